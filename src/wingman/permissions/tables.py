"""Tables: what is known of single programs. A name that stands nowhere here is an ordinary program,
which does what its arguments say and runs nothing that they name."""

from collections.abc import Mapping
from typing import Final

import attrs

__all__ = [
    "AS_BASH_READS_IT",
    "BY_OPTION",
    "GIT_PLAIN",
    "GIT_RUNS",
    "INTERPRETERS",
    "MOVES",
    "NAMED_FIRST",
    "NEVER",
    "ONLY_ALONE",
    "SHELLS",
    "SUBCOMMANDS",
    "WRAPPERS",
    "Wrapper",
]


@attrs.frozen
class Wrapper:
    """A program that runs the command that its arguments end with.

    `flags` and `values` are its short options, without and with a value; `long_flags` and
    `long_values` its long ones. `operands` words stand before the command. `certain`: the command
    is all that it does; otherwise it does more, or does it elsewhere or as somebody else.
    """

    flags: str = ""
    values: str = ""
    long_flags: frozenset[str] = frozenset()
    long_values: frozenset[str] = frozenset()
    operands: int = 0
    certain: bool = False


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that bash takes for its own grammar where a program would stand.
AS_BASH_READS_IT: Final = _names(
    "if then elif else fi while until do done for in case esac select function time coproc"
    " { } ! [[ ]]"
)

MOVES: Final = _names("cd pushd popd")

# Harmless without arguments; with some, they run a command, or change how the next ones are found.
ONLY_ALONE: Final = _names("hash jobs history")

# Of these nothing is certain, whatever follows.
NEVER: Final = frozenset().union(
    # Builtins that run their words, or a file, in the shell itself, now or later.
    _names("eval source . trap fc bind complete compgen compopt mapfile readarray"),
    # Builtins that change what names stand for (aliases, PATH, IFS), or that evaluate the
    # subscript of a name they are given: `unset 'a[$(rm x)]'` runs rm.
    _names("alias unalias enable read declare typeset local export readonly unset let set shopt"),
    _names("getopts autoload emulate zmodload"),
    # They run what another file, a schedule or their input says.
    _names("su crontab at batch run-parts expect m4 pee mispipe vipe vidir hyperfine socat tclsh"),
    _names("wish gnuplot dc sqlite3 sqlite psql mysql mariadb ftp lftp tmux screen byobu"),
    _names("watchexec entr systemd-run anacron incrontab visudo vipw vigr"),
    _names(
        "mail mailx mutt xterm urxvt konsole gnome-terminal alacritty kitty x-terminal-emulator"
    ),
    _names("sudoedit osascript powershell open xdg-open start rundll32 wscript cscript"),
    # Editors: each has a command that runs another.
    _names(
        "vi vim nvim view gvim vimdiff rvim rview ex ed red emacs emacsclient nano pico joe jed"
    ),
    _names("micro helix hx kak ne mcedit code edit sensible-editor"),
)

SHELLS: Final = _names("sh bash dash ash zsh ksh mksh lksh oksh yash posh fish csh tcsh rbash rzsh")
SHELLS_OF_OTHERS: Final = _names("nu xonsh elvish rc es pwsh oil osh ysh")

# They run code that they are given as an argument or on their input. By name without its version.
INTERPRETERS: Final = SHELLS_OF_OTHERS | _names(
    "python pypy ipython perl ruby jruby irb node nodejs deno bun php lua luajit texlua rscript r"
    " julia java jshell groovy scala kotlin guile racket sbcl clisp ecl octave ghci"
    " runghc runhaskell ocaml escript erl elixir iex swift tsx ts-node janet jimsh rakudo"
    " raku crystal nim dotnet-script csi fsi clojure clj bb micropython pike gjs qjs d8 js mongo"
    " mongosh sage maxima"
)

_NICE: Final = Wrapper("", "n", long_values=_names("adjustment"), certain=True)
_PLAIN: Final = Wrapper(certain=True)

WRAPPERS: Final[Mapping[str, Wrapper]] = {
    "nice": _NICE,
    "nohup": _PLAIN,
    "builtin": _PLAIN,
    "command": Wrapper("p", certain=True),
    "exec": Wrapper("cl", "a", certain=True),
    "timeout": Wrapper(
        "fpv",
        "ks",
        _names("foreground preserve-status verbose"),
        _names("kill-after signal"),
        operands=1,
        certain=True,
    ),
    "stdbuf": Wrapper("", "ioe", long_values=_names("input output error"), certain=True),
    "setsid": Wrapper("cfw", "", _names("ctty fork wait"), certain=True),
    "ionice": Wrapper("t", "cn", long_values=_names("class classdata"), certain=True),
    "taskset": Wrapper("ac", "", _names("all-tasks cpu-list"), operands=1, certain=True),
    "env": Wrapper(
        "i0v", "uC", _names("ignore-environment null debug"), _names("unset chdir"), certain=True
    ),
    "xargs": Wrapper(
        "0rtxo",
        "nLPsdEIa",
        _names("null no-run-if-empty verbose exit open-tty"),
        _names("max-args max-procs max-chars delimiter arg-file"),
        certain=True,
    ),
    # `-p` asks at a terminal, `-o` writes a file, and as bash's own word it takes a whole pipeline.
    "time": Wrapper("pvaq", "fo", _names("portability verbose append"), _names("format output")),
    "coproc": Wrapper(),
    # From here on, somebody else, somewhere else, or under a program that may do more.
    "sudo": Wrapper(
        "AbEHnPSkKVvils",
        "ugpCDRTUrth",
        _names("askpass background non-interactive preserve-env login shell stdin set-home"),
        _names("user group prompt chdir chroot host role type close-from command-timeout"),
    ),
    "doas": Wrapper("nsL", "uC"),
    "runuser": Wrapper("lmp", "ugGs", long_values=_names("user group supp-group shell")),
    "pkexec": Wrapper(long_values=_names("user")),
    "sg": Wrapper(operands=1),
    "chroot": Wrapper("", "", long_values=_names("userspec groups"), operands=1),
    "unshare": Wrapper(
        "imnpuUCTfrc", "RwSG", long_values=_names("root wd setuid setgid propagation map-user")
    ),
    "nsenter": Wrapper("aimnpuUCTFZ", "tSGrw", long_values=_names("target setuid setgid")),
    "strace": Wrapper("fcCdDhiknqrtTvVxyzZ", "oesSuPaEIbXp", long_values=_names("output trace")),
    "ltrace": Wrapper("fcCdhiLSrtTV", "oeslnuaAFDpwx"),
    "gdb": Wrapper("q", "pxd"),
    "perf": Wrapper("ag", "oeFpt", operands=1),
    "flock": Wrapper("xesnuoFv", "wE", operands=1, long_values=_names("wait timeout")),
    "watch": Wrapper("bcdegtpxwr", "nqs", long_values=_names("interval")),
    "ssh": Wrapper("46AaCfGgKkMNnqsTtVvXxYy", "BbcDEeFIiJLlmOopQRSWw", operands=1),
    "parallel": Wrapper("0kqtuvX", "jnNLIaSsdP", long_values=_names("jobs arg-file delay")),
    "chrt": Wrapper("abfiormv", "TPD", operands=1),
    "prlimit": Wrapper("", "p"),
    "chpst": Wrapper("vPN012", "uUbenmdocfoprt/"),
    "setpriv": Wrapper(),
    "caffeinate": Wrapper("dimsu", "tw"),
    "start-stop-daemon": Wrapper("SKbmqtv", "xnpudgcsRNIP"),
    **dict.fromkeys(("gosu", "su-exec", "setuidgid", "envdir", "faketime"), Wrapper(operands=1)),
    **dict.fromkeys(
        _names(
            "busybox toybox coreutils setarch linux32 linux64 i386 x86_64 numactl valgrind"
            " rr fakeroot fakechroot catchsegv unbuffer chronic ifne xvfb-run dbus-run-"
            " session ssh-agent rlwrap systemd-inhibit choom cgexec torsocks torify"
            " proxychains proxychains4 firejail bwrap proot capsh eatmydata ccache sccache"
            " distcc daemonize tini dumb-init softlimit pgrphack wine script uftrace"
            " heaptrack lxc-attach machinectl direnv aws-vault op dotenv npx pnpx bunx uvx"
            " pipx nix-shell guix scl ts tsp nocache trickle"
        ),
        Wrapper(),
    ),
}

# Programs one of whose subcommands runs the rest of the line.
SUBCOMMANDS: Final = frozenset(
    (program, subcommand)
    for program, subcommands in {
        "uv": "run tool",
        "poetry": "run",
        "pdm": "run",
        "pipenv": "run",
        "hatch": "run",
        "rye": "run",
        "pixi": "run",
        "conda": "run",
        "mamba": "run",
        "micromamba": "run",
        "bundle": "exec",
        "rbenv": "exec",
        "pyenv": "exec",
        "nodenv": "exec",
        "asdf": "exec",
        "mise": "exec x",
        "npm": "exec x explore",
        "pnpm": "exec dlx",
        "yarn": "exec dlx node",
        "docker": "run exec compose buildx",
        "podman": "run exec compose",
        "nerdctl": "run exec compose",
        "kubectl": "exec run debug",
        "opam": "exec",
        "stack": "exec runghc ghci eval",
        "cabal": "exec repl",
        "nix": "run shell develop",
        "flatpak": "run",
        "snap": "run",
        "adb": "shell",
        "vagrant": "ssh",
        "gcloud": "compute",
        "terraform": "console",
        "composer": "exec",
        "rustup": "run",
        "ip": "netns vrf",
        "gh": "alias extension",
        "lxc": "exec",
        "incus": "exec",
        "multipass": "exec shell",
        "limactl": "shell",
        "minikube": "ssh",
        "oc": "exec run rsh debug",
        "heroku": "run",
        "toolbox": "run",
        "distrobox": "enter",
    }.items()
    for subcommand in subcommands.split()
)

# Of these a name stands before the command: a container's, or an image's.
NAMED_FIRST: Final = _names("docker podman nerdctl kubectl")

# Ordinary programs that an option makes run another: the letters and the long options that do,
# and words that do in whole. GNU programs take the beginning of a long option for the option.
BY_OPTION: Final[Mapping[str, tuple[str, frozenset[str], frozenset[str]]]] = {
    "tar": (
        "IF",
        _names(
            "to-command checkpoint-action use-compress-program info-script new-volume-script"
            " rsh-command rmt-command"
        ),
        frozenset(),
    ),
    "bsdtar": ("", _names("use-compress-program"), frozenset()),
    "rsync": ("eM", _names("rsh rsync-path remote-option config"), frozenset()),
    "sort": ("", _names("compress-program"), frozenset()),
    "split": ("", _names("filter"), frozenset()),
    "man": ("PHC", _names("pager html config-file preprocessor"), frozenset()),
    "less": ("kKoO", _names("lesskey-file lesskey-src lesskey-content log-file"), _names("+!")),
    "more": ("", frozenset(), _names("+!")),
    "zip": ("T", _names("test unzip-command"), _names("-TT")),
    "wget": ("e", _names("execute use-askpass config"), frozenset()),
    "scp": ("SoFDJ", frozenset(), frozenset()),
    "sftp": ("SoFDJbB", frozenset(), frozenset()),
    "nc": ("ec", _names("exec sh-exec lua-exec"), frozenset()),
    "ncat": ("ec", _names("exec sh-exec lua-exec"), frozenset()),
    "netcat": ("ec", _names("exec sh-exec lua-exec"), frozenset()),
    "install": ("", _names("strip-program"), frozenset()),
    "gcc": ("", _names("wrapper plugin"), _names("-wrapper -fplugin -specs -B")),
    "g++": ("", _names("wrapper plugin"), _names("-wrapper -fplugin -specs -B")),
    "cc": ("", _names("wrapper plugin"), _names("-wrapper -fplugin -specs -B")),
    "apt": ("oc", _names("option config-file"), frozenset()),
    "apt-get": ("oc", _names("option config-file"), frozenset()),
    "dpkg": ("", _names("pre-invoke post-invoke"), frozenset()),
    "ctags": ("", _names("options langdef"), frozenset()),
    "rg": ("", _names("pre hostname-bin search-zip"), frozenset()),
    "fd": ("xX", _names("exec exec-batch"), frozenset()),
    "fdfind": ("xX", _names("exec exec-batch"), frozenset()),
    "bat": ("", _names("pager"), frozenset()),
    "hg": ("", _names("config config-file ssh remotecmd"), frozenset()),
    "svn": ("", _names("config-option diff-cmd diff3-cmd editor-cmd"), frozenset()),
    "cmake": ("", frozenset(), _names("-E -P")),
    "go": ("", frozenset(), _names("-exec -toolexec --exec --toolexec")),
    "cargo": ("", _names("config"), frozenset()),
    "tcpdump": ("z", frozenset(), frozenset()),
    "pandoc": ("FL", _names("filter lua-filter pdf-engine"), frozenset()),
    "cpio": ("", _names("rsh-command"), frozenset()),
    "rpm": ("E", _names("eval pipe define"), frozenset()),
    "exiftool": ("", frozenset(), _names("-if -config -p -@")),
    "openssl": ("", _names("engine provider"), _names("-engine -provider")),
    "sdiff": ("o", _names("diff-program output"), frozenset()),
    "diff3": ("", _names("diff-program"), frozenset()),
    "pdflatex": ("", _names("shell-escape enable-write18"), _names("-shell-escape")),
}

# What git does itself, whatever its arguments (unless they come before the subcommand).
GIT_PLAIN: Final = _names(
    "status log diff show add commit branch checkout switch restore tag stash reset rm mv blame"
    " annotate rev-parse ls-files cat-file describe shortlog reflog merge cherry-pick revert init"
    " rev-list merge-base name-rev show-ref ls-tree apply clean diff-tree diff-index diff-files"
    " for-each-ref hash-object count-objects fsck gc prune version whatchanged range-diff cherry"
    " update-index read-tree write-tree commit-tree update-ref symbolic-ref check-ignore"
    " check-attr show-branch var verify-commit verify-tag worktree notes format-patch am bundle"
    " sparse-checkout mktree pack-refs repack unpack-objects index-pack"
)
# What runs another program with one of these options: `-` letters, and names of long ones.
GIT_RUNS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "clone": ("uc", _names("upload-pack config template")),
    "fetch": ("", _names("upload-pack")),
    "pull": ("", _names("upload-pack")),
    "push": ("", _names("receive-pack exec")),
    "ls-remote": ("", _names("upload-pack exec")),
    "remote": ("", frozenset()),
    "rebase": ("x", _names("exec")),
    "archive": ("", _names("exec remote")),
    "grep": ("O", _names("open-files-in-pager")),
}
