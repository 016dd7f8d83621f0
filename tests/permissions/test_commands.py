"""What rules say of command lines, by many spellings of the same."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wingman.permissions import HOLE, Policy, Rules, resources_of
from wingman.permissions.shell import parse
from wingman.permissions.words import quoted

ALLOW_SOME = Rules.of(
    {
        "bash": {
            "*": "ask",
            "git status*": "allow",
            "ls *": "allow",
            "echo *": "allow",
            "cat *": "allow",
        }
    }
)
DENY_RM = Rules.of({"bash": {"*": "allow", "rm *": "deny"}})


def effect(rules: Rules, line: str, work_dir: Path = Path("/work")) -> str:
    """The strictest of what holds for what a line does."""
    found = [
        Policy.of(Rules(), rules).effect(("bash",), each)
        for each in resources_of("bash", [line], work_dir)
    ]
    assert found, "a line that does nothing is a resource as well"
    return max(found, key=("allow", "ask", "deny").index)


ALLOWED = [
    "git status", "git status -s", "git  status\t-s", "ls", "ls -la src", "echo hello; ls",
    "ls && git status", "ls | cat -n", "'git' status", 'g""it st\'at\'us', "ls *.py",
    "ls $HOME", 'cat "$file"', "ls ~/x", "for f in a b; do cat $f; done",
    "if ls x; then echo yes; else echo no; fi", "(ls; ls x)", "{ ls; }", "! ls", "ls 2>&1",
    "ls 2>/dev/null", "ls >/dev/null 2>&1 &", "# a remark\nls", "ls # a remark", "ls\nls x\n",
    "echo 'a;b|c'", 'echo "a && rm x"', "echo a\\;b", "while ls x; do echo y; done",
    "until ls x; do echo y; done", "echo $?", 'echo "exit: $?"', "ls 'résumé'",
    "git status || echo none", "cat a b |& cat", "echo '$(rm x)' '`rm x`'", "ls [ab]?", "echo {}",
    "cat <in.txt", "echo a#b", "ls -- -x", "if ls a; then ls; elif ls b; then ls c; fi",
]  # fmt: skip


# Lines that do something which the rules of `ALLOW_SOME` do not allow, or that may.
NOT_ALLOWED = [
    "rm x", "git push", "git -c core.pager=x status", "git --exec-path=x status", "ls; rm x",
    "ls && rm x", "ls || rm x", "ls | rm x", "ls & rm x", "ls\nrm x", "ls |& rm x", "ls;rm x",
    "ls&rm x", "ls&&rm x", "(rm x)", "{ rm x; }", "! rm x", "echo $(rm x)", "echo `rm x`",
    'echo "$(rm x)"', 'echo "`rm x`"', "echo <(rm x)", "cat >(rm x)", "echo ${x:-$(rm x)}",
    "echo ${x}$(rm x)", "echo $((a[$(rm x)]))", "echo $[a[$(rm x)]]", "cat <<E\n$(rm x)\nE",
    "cat <<'E'\nx\nE\nrm x", "cat <<< $(rm x)", "ls \\\n; rm x", "ls \\\nx", "l\\\ns",
    "ls \r rm x", "ls\x0brm x", "ls\x0crm", "ls\u00a0x", "ls\u2028rm x", "ls \u202e x", "x=1 ls",
    "LD_PRELOAD=./x.so ls", "PATH=. ls", "x=1", "x[0]=1", "x+=1 ls", "ls(){ rm x; }; ls x",
    "function ls { rm x; }; ls x", "alias ls=rm; ls x", "ls {a,b}", "echo {1..9}", "$x", "$x y",
    "${x} y", "l$x", "*", "./*", "l? x", "~/ls x", "eval ls", "eval 'rm x'", "exec ls",
    "command ls", "builtin echo x", "source x", ". x", "bash x", "sh -c ls", "env ls",
    "env -i ls x", "xargs ls", "sudo ls", "nice ls", "timeout 5 ls", "nohup ls", "time ls",
    "coproc ls", "busybox ls x", "find . -exec ls {} ;", "/bin/ls x", "./ls x", "../ls x",
    "'ls x'", "'git status'", '"git status"', "git\\ status", "'ls;rm' x", "LS x", "lsx y",
    "gitstatus", "git 'status;rm'", "git stat", "ls >out", "ls > out", "ls >>out", "ls >|out",
    "ls &>out", "ls 2>out", "ls <>out", "ls >/etc/x", "ls >$x", "ls >~/x", "ls > *.txt", "> out",
    "ls >&out", "ls {fd}>out", "cat </etc/shadow", "ls >/dev/tcp/h/1", "ls 2>/dev/sda",
    "cat < ../x", "cd x && ls > out", "case x in a) rm x;; esac", "select x in a; do rm x; done",
    "[[ -f x ]]", "[[ -v a[$(rm)] ]]", "(( x ))", "let x=1", "for ((;;)); do ls; done",
    "for PATH in .; do ls x; done", "for LD_PRELOAD in ./x; do ls; done",
    "for IFS in a; do ls; done", "for https_proxy in x; do ls; done",
    "for x in $(rm y); do ls $x; done", "for x in a; do rm $x; done", "for x; do ls; done",
    "for x in a; { rm x; }", "if rm x; then ls; fi", "if ls; then rm x; fi",
    "while rm x; do ls; done", "while ls; do rm x; done", "if ls; then ls; elif rm x; then ls; fi",
    "if ls; then ls; else rm x; fi", "echo $'a'", 'echo $"a"', "$'ls'", "ls $'\\x3b'", "echo !(x)",
    "echo @(x)", "set -x", "shopt -s extglob", "export PATH=.", "declare x=1", "readonly x=1",
    "trap 'rm x' EXIT", "read x", "mapfile x", "enable -f x y", "hash -p /bin/rm ls",
    "printf -v x y", "unset 'a[$(rm)]'", "test -v 'a[$(rm)]'", "[ -v 'a[$(rm)]' ]", "ls )", "ls (",
    "ls '", 'ls "', "ls `", "ls $(", "ls |", "ls &&", ";", "ls ;;", "", " ", "#", "# ls",
    "ls \x00 rm", "\ud800", "ls" + " x" * 5000, "ls" + ";ls" * 3000, "ls" + "|ls" * 301,
    "git st$x", "git $x", "git s*", "${!x}", "${x@P}", "echo ${x@P}", "echo ${x/a/b}",
    "echo ${#x}", "echo ${x[0]}", "echo $(<x)", "git status$(rm x)", 'git status "$(rm x)"',
    "git status; $x", "if", "then ls", "do ls", "in ls", "fi", "done", "! ", "{ls; }", "{ ls }",
    "}", "time -p ls", "ls 1>&2 >x", "ls 2>&x", "ls >& x", "exec 3>x", "ls <<-E\nx\nE",
    "wait -p x", "jobs -x rm x", "/proc/self/exe -c x",
]  # fmt: skip


@pytest.mark.parametrize("line", ALLOWED)
def test_what_is_allowed_is_allowed_in_each_usual_spelling(line: str, tmp_path: Path) -> None:
    rules = Rules((*ALLOW_SOME.rules, *Rules.of({"read": "allow"}).rules))
    assert effect(rules, line, tmp_path) == "allow"


@pytest.mark.parametrize("line", NOT_ALLOWED)
def test_nothing_else_passes_as_what_is_allowed(line: str, tmp_path: Path) -> None:
    rules = Rules((*ALLOW_SOME.rules, *Rules.of({"read": "allow", "edit": "ask"}).rules))
    assert effect(rules, line, tmp_path) != "allow"


# Spellings of rm that can be seen: they are denied.
DENIED = [
    "rm x", "rm", "rm -rf /", "  rm x", "\trm x", "\nrm x", "r\\m x", "\\rm x", "'rm' x", '"rm" x',
    "r''m x", 'r"m" x', "'r'm x", "/bin/rm x", "/usr/bin/../bin/rm x", "./rm x", "ls; rm x",
    "ls;rm x", "ls && rm x", "ls||rm x", "ls | rm x", "ls & rm x", "ls\nrm x", "! rm x", "(rm x)",
    "( rm x )", "{ rm x; }", "if rm x; then ls; fi", "if ls; then rm x; fi",
    "while ls; do rm x; done", "for f in *; do rm $f; done", 'for f in a b; do rm "$f"; done',
    "rm $x", "rm *", "rm ~", "rm '' x", ">o rm x", "rm >o x", "2>/dev/null rm x", "rm x &",
    "rm x # remark", "# remark\nrm x", "env rm x", "env -i rm x", "env A=1 rm x", "env -u A rm x",
    "env -C d rm x", "nice rm x", "nice -n 5 rm x", "nice -5 rm x", "nohup rm x", "timeout 5 rm x",
    "timeout -k 1 5 rm x", "timeout --signal=KILL 5 rm x", "stdbuf -oL rm x", "setsid rm x",
    "setsid -w rm x", "ionice -c 3 rm x", "taskset -c 0 rm x", "time rm x", "time -p rm x",
    "command rm x", "command -p rm x", "exec rm x", "exec -a y rm x", "sudo rm x",
    "sudo -u u rm x", "sudo -n -- rm x", "doas rm x", "xargs rm", "ls | xargs rm -f",
    "xargs -0 rm", "xargs -n 1 -P 4 rm", "xargs -I{} rm {}", "xargs -I {} rm {}",
    "find . | xargs -I % rm -f %", "find . -exec rm {} \\;", "find . -exec rm {} +",
    "find . -name '*.o' -exec rm -f {} ';'", "find . -execdir rm {} \\;", "find . -ok rm {} \\;",
    "find . -exec ls {} \\; -exec rm {} \\;", "find . -name -exec -exec rm x \\;",
    "find . -exec env rm {} \\;", "busybox rm x", "toybox rm x", "chroot d rm x", "unshare rm x",
    "watch rm x", "strace rm x", "ssh h rm x", "parallel rm ::: x", "env nice timeout 5 rm x",
    "sudo env A=1 nice -n 3 rm x", "/usr/bin/env rm x", "/usr/bin/env /bin/rm x", "sh -c 'rm x'",
    'bash -c "rm x"', "bash -lc 'ls; rm x'", "eval 'rm x'", "eval rm x", "trap 'rm x' EXIT",
    "su -c 'rm x'", "bash -c \"bash -c 'rm x'\"", "sudo sh -c 'rm x'", "env sh -c 'rm x'",
    "echo $(rm x)", "echo `rm x`", 'echo "$(rm x)"', "cat <(rm x)", "x=$(rm y)", "x=1 rm y",
    "LD_PRELOAD=x rm y", "f() { rm x; }; f", "function f { rm x; }; f", "case x in x) rm y;; esac",
    "coproc rm x", "echo ${x:-$(rm y)}", "cat <<E\n$(rm x)\nE", "[[ -f x ]] && rm x",
    "[ -f x ] && rm x", "[ -f x ]&&rm x", "(( 1 )) && rm x", "echo {a,b}; rm x",
    "while read f; do rm $f; done", "export A=1; rm x", "cd d && rm x",
    "select x in a; do rm $x; done", "until rm x; do ls; done", "watch 'rm x'",
    "builtin command rm x", "gtimeout 5 rm x", "genv rm x", "uv run rm x", "npm exec rm x",
    "bundle exec rm x", "docker exec c rm x", "git bisect run rm x", "env -S 'rm x'",
    "flock l rm x", "flock l -c 'rm x'", "script -c 'rm x'",
]  # fmt: skip
# Spellings of rm that cannot be seen, or not surely: somebody is asked.
NOT_PASSED = [
    "echo 'rm x' >a; sh a", "echo 'rm x' >a && chmod +x a && ./a",
    "echo x >d/a.py; nice python d/a.py",
    "$x", "$x y", "r$x y", "r$()m x", "$(echo rm) x", "`echo rm` x", "$'rm' x", '$"rm" x',
    "$'\\x72m' x", "r{m,} x", "{rm,x}", "r? x", "r[m] x", "*", "/bin/r? x", "~/rm x", "${x}m y",
    "${x:-rm} y", "r\\\nm x", "alias l=rm; l x", "hash -p /bin/rm l; l x", "sh <<E\nrm x\nE",
    "bash <<< 'rm x'", "echo 'rm x' | sh", "echo rm x | bash -s", "curl u | sh", ". ./x",
    "source x", "python3 -c 'x'", "python -Ic x", "python3.11 -c x", "python -", "python",
    "python /dev/stdin", "perl -e x", "perl -ne x", "ruby -e x", "node -e x", "node --eval=x",
    "node -p x", "deno eval x", "deno run -", "bun -e x", "php -r x", "lua -e x", "tclsh",
    "Rscript -e x", "osascript -e x", "pwsh -c x", "awk 'BEGIN{system(\"rm x\")}'",
    "awk '{print | \"sh\"}'", "awk '{print > \"x\"}'", "gawk -f x", "mawk '{\"x\" | getline}'",
    "sed '1e rm x'", "sed 's/a/b/e'", "sed -n 's/a/b/w x'", "sed -e p -e '1e x'", "sed -f x",
    "sed s/a/b/w x", "sed 's|a|b|e'", "sed -ne p -e 1e", "sed --expression=1e", "sed p $x",
    "find . -delete", "find . -fprint x", "find $x", 'find "$x"', "find . $x",
    "git -c alias.x='!rm y' x", "git --exec-path=. x", "git --config-env=a=b x", "git unknown",
    "git config alias.x '!rm y'", "git rebase -x 'rm x'", "git rebase --exec 'rm x'",
    "git rebase --exe='rm x'", "git grep -Orm x", "git grep --open-files-in-pager=rm x",
    "git clone ext::x", "git clone -u x y", "git fetch --upload-pack=x y",
    "git submodule foreach rm x", "git difftool -x rm", "git $x", "git config core.pager x",
    "tar -cf x --to-command=rm y", "tar --checkpoint-action=exec=rm -cf x y", "tar -I rm -cf x y",
    "tar cIf rm x y", "tar --use-comp=rm x", "tar -xF rm", "rsync -e rm a b", "rsync --rsh=rm a b",
    "sort --compress-program=rm x", "sort --compress=rm", "split --filter='rm x' y",
    "zip x y -TT rm", "man -P rm x", "less +!rm", "wget --use-askpass=rm x", "vim -c '!rm x'",
    "vi x", "vim.tiny x", "ed x", "emacs --eval x", "nano x", "gdb -ex x", "socat x y",
    "nc -e rm h 1", "m4 x", "dc -e x", "sqlite3 x", "psql x", "crontab x", "at now", "env $x",
    "env $x rm y", "xargs $x", "xargs -Irm rm x", "xargs -rI rm rm x", "xargs sh", "timeout 5 sh",
    "nice $x", "env -S \"$x\"", "env A=1 ls", "sudo -s", "command $x", "exec $x", "sudo $x",
    "busybox sh", "/lib64/ld-linux-x86-64.so.2 /bin/rm x", "/proc/self/exe -c x", "/proc/$$/exe x",
    "export PATH=x", "PATH=x ls", "for PATH in x; do ls; done", "BASH_ENV=x sh y", "read x <y",
    "printf -v 'a[$(rm)]' x", "printf $x 'a[$(rm)]'", "test -v 'a[$(rm)]'", "[ $x 'a[$(rm)]' ]",
    '[ "$x" \'a[$(rm)]\' ]', "unset 'a[$(rm)]'", "let 'a[$(rm)]'", "declare 'a=x'",
    "wait -p 'a[$(rm)]' 1", "trap x EXIT", "mapfile -C 'rm x' y", "complete -C rm x",
    "compgen -C rm", "bind -x x", "enable -f x y", "set -- rm", "shopt -s expand_aliases",
    "jobs -x rm x", "java -cp . -XX:OnError=rm X", "ssh h", "ssh -o ProxyCommand=rm h",
    "scp -S rm a b", "fd -x rm", "rg --pre rm x", "npx -c 'rm x'", "uv run python -c x",
    "find . -exec sh -c x \\;", "find . -exec {} \\;", "xargs -I{} {} x", "parallel", "screen x",
    "tmux x", "rm\u00a0x", "rm\rx", "\u200brm x", "time", "if x; then", "rm(",
    "git config core.pager user.x", "git config core.editor get",
    "git config --global core.pager rm", "cmake -E env rm x", "ip netns exec n rm x",
    "go test -exec rm", "go build -toolexec=rm", "xterm -e rm x", "rpm -E x", "gh alias set x y",
    "git-unknown x", "bfs . -exec sh \\;", "tcpdump -z rm", "echo ${x@P}", "echo $((a[$(rm x)]))",
    "fc -s rm", "watch x", "entr rm", "hyperfine x", "gcc -wrapper rm x",
]  # fmt: skip


@pytest.mark.parametrize("line", DENIED)
def test_a_denied_program_is_denied_in_each_spelling_that_can_be_seen(line: str) -> None:
    assert effect(DENY_RM, line) == "deny"


@pytest.mark.parametrize("line", NOT_PASSED)
def test_what_cannot_be_seen_is_asked_about(line: str) -> None:
    assert effect(DENY_RM, line) in ("ask", "deny")


# What is usual, and runs nothing that is hidden.
ORDINARY = [
    "python x.py >out; cat out", "./x >log 2>&1", "sort d/x >x",
    "python3 x.py a b", "python -m pytest -q", "python --version", "node x.js", "ruby x.rb",
    "perl x.pl", "bash x.sh", "sh ./x.sh a", "java -jar x.jar", "deno run x.ts", "pytest -q tests",
    "make test", "cargo build", "npm test", "npm install", "go test ./...", "git diff HEAD~1",
    "git commit -m 'a b'", "git add .", "git add *.py", "git log --oneline | head -5",
    "git push origin main", "git -C d status", "git --no-pager log", "git config user.name x",
    "git config --global user.name x", "git config --get core.pager", "cmake -DX=E .",
    "cmake --build b", "git checkout -b x", "sed -n 1,5p x", "sed -i 's/a/b/g' x",
    "sed 's|a|b|;s/c/d/' x", "sed -n '/a/,/b/p' x", "sed -E 's/(a+)/[\\1]/' x",
    "awk '{print $1}' x", "awk -F: '{print $2}' x", "find . -name '*.py' -type f",
    "find . -name x -exec grep -l y {} +", "find src | xargs grep x", "grep -rn 'a b' src",
    "[ -f x ] && cat x", "[ \"$a\" = b ] && ls", "test -d x", "printf '%s\\n' a", "cd x && ls",
    "timeout 10 pytest", "env", "command -v git", "type git", "tar czf x.tgz y", "tar -xzf x.tgz",
    "curl -s u | head", "sort x | uniq -c", "cp a b", "mkdir -p a/b", "touch a", "kill 1",
    "sleep 1", "wait", "true", "docker ps", "kubectl get pods", "jq '.a' x",
    "wc -l x", "diff a b", "which ls", "chmod +x a", "echo a | tee b", "rsync -a a b",
    "xargs -0 -n 1 ls", "ls | xargs", "nice -n 5 make", "./configure --prefix=x", "export_x",
    "sed '$d' x", "ls -la ~/x", "exit 1", "cat x | grep \"a$\"",
]  # fmt: skip


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_lines_are_not_asked_about(line: str) -> None:
    assert effect(DENY_RM, line) == "allow"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("g\"\"it st'at'us", "git status"),
        ("'git status'", "'git status'"),
        ("ls a\\ b", "ls 'a b'"),
        ('echo "a\\"b" \'c"d\'', "echo 'a\"b' 'c\"d'"),
        ('echo "a\\b\\$x\\`"', "echo 'a\\b$x`'"),
        ("echo $x a$y \"b $z\"", f"echo {HOLE} a{HOLE} 'b {HOLE}'"),
        ("ls src/*.py ~ ~/x", f"ls src/{HOLE}.py {HOLE} {HOLE}/x"),
        ("ls >o 2>&1 <i", "ls"),
        ("echo it\"'\"s", "echo 'it'\"'\"'s'"),
    ],
)  # fmt: skip
def test_a_commands_text_is_its_words_quoted_anew(line: str, text: str) -> None:
    (command,) = parse(line).commands
    assert command.text == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ls $x", "ls $y"),
        ("ls $x", "ls '$x'"),
        ("ls $x", 'ls "$x"'),
        ("ls *.py", "ls '*.py'"),
        ("ls >a", "ls >b"),
        ("ls >a", "ls >>a"),
        ("ls >a", "ls '>a'"),
        ("ls 2>a", "ls 2 >a"),
        ("for x in a; do rm $x; done", "for x in b; do rm $x; done"),
        ("cd a; rm x", "cd b; rm x"),
        ("ls a | xargs rm", "ls b | xargs rm"),
        ("(ls) >a", "ls"),
        ("a 'b c'", "a b c"),
    ],
)
def test_what_differs_in_effect_is_shown_differently(one: str, other: str) -> None:
    shown = [{each.shown for each in parse(line).commands} for line in (one, other)]
    assert shown[0] != shown[1]


def test_redirections_are_files_that_are_read_and_written() -> None:
    (command,) = parse("cat <a >b 2>>c &>d").commands
    assert command.reads == ("a",)
    assert command.writes == ("b", "c", "d")
    first, second = parse("{ ls; cat; } >o").commands
    assert first.writes == second.writes == ("o",)
    assert parse("ls >/dev/null 2>&1").commands[0].writes == ()
    assert not parse("ls >$x").complete
    assert [each.writes for each in parse("x=1 ls >o; >p").commands if each.writes] == [("o", "p")]


def test_a_line_that_changes_its_directory_says_so() -> None:
    for line in ("cd x", "ls; cd x", "pushd x", "(cd x; ls)", "command cd x", "builtin cd x"):
        assert parse(line).moves, line
    assert not parse("ls cd").moves


def test_a_file_that_is_denied_is_not_written_by_a_redirection(tmp_path: Path) -> None:
    rules = Rules.of({"bash": "allow", "edit": {"*": "allow", ".env": "deny"}, "read": "allow"})
    for line in (
        "echo x >.env",
        "{ ls; } >.env",
        "x=1 ls >.env",
        "ls >a/../.env",
        ">.env",
        "ls &>.env",
    ):
        assert effect(rules, line, tmp_path) == "deny", line
    assert effect(rules, "echo x >a", tmp_path) == "allow"


def test_characters_that_crash_the_grammars_scanner_are_only_parts_of_words() -> None:
    assert not parse("\U0008af51{\U0010f832T\U0004ad19\u01b1").complete
    assert parse("ls '\u00e9\u4e2d'").complete


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text("ab$(){}[]|&;<>'\"`\\ \n#!*?~=", max_size=40)))
def test_any_text_is_told_something_of(line: str) -> None:
    parsed = parse(line)
    for command in parsed.commands if parsed.complete else ():
        assert "\r" not in command.text


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters=HOLE, exclude_categories=["Cs"])), min_size=1)
)
def test_words_come_back_from_their_quotes(words: list[str]) -> None:
    assert shlex.split(" ".join(map(quoted, words))) == words


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="ascii", exclude_categories=["Cc"])), min_size=1, max_size=5
    )
)
def test_a_line_of_quoted_words_is_told_as_these(words: list[str]) -> None:
    parsed = parse("p " + " ".join(map(shlex.quote, words)))
    assert parsed.complete
    assert parsed.commands[0].text == "p " + " ".join(map(quoted, words))


UNITS = [
    "a|", "a&&", "a;", "a=(", "$(", "(", "{ ", '"$(', "`", "<<a\n", "[[ ", "((", "${a:", "if ",
    "case a in a) ", "a<<<", "for i in ", "'", '"', "\\", "\\a", "=(", "[", "a[", "$[", "<(", "f{",
    "a b ", "*", "@(", "! ", "((a+", "2>", "&", "|", ">", "<", "é", "\x01", "\n", "# \n", "a()",
    "~", "{a,", "$a", "${", "$'", "-a -", "[ a -a ", "time ", "coproc ", "do ", ";;", "env ",
    "nice -n 1 ", "find . -exec ", "xargs -I{} ", "sh -c '", "a\n", "${a", '"$a', '"\\"',
    "s/a/b/;", "a=b ", "\u202e", "''", "<a ", "a>b;", "-exec env ", "sudo -u a ",
]  # fmt: skip


def test_a_line_takes_a_bounded_time_whatever_it_is() -> None:
    parse("ls")
    slow = {}
    for unit in UNITS:
        for count in (300, 8_000 // len(unit.encode()), 100_000 // len(unit)):
            line = unit * count
            began = time.process_time()
            parse(line)
            took = time.process_time() - began
            if took > 0.2:  # many times what it takes
                slow[line[:20], count] = took
    assert not slow


def test_the_grammar_is_imported_when_a_line_is_parsed() -> None:
    code = "import sys, wingman, wingman.permissions; sys.exit('tree_sitter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0
