"""Programs that run what they are given: of none of them the name tells what it does.

Each is judged by its arguments: is it certain what it does, and which commands does it run in turn?
What is not certain makes somebody be asked.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import attrs

from wingman.permissions.patterns import HOLE
from wingman.permissions.tables import (
    AS_BASH_READS_IT,
    BY_OPTION,
    GIT_PLAIN,
    GIT_RUNS,
    INTERPRETERS,
    MOVES,
    NEVER,
    ONLY_ALONE,
    SHELLS,
    SUBCOMMANDS,
    WRAPPERS,
    Wrapper,
)
from wingman.permissions.words import Word

__all__ = ["Judgement", "judged", "name_of"]

Argv: TypeAlias = tuple[Word, ...]

_ANYTHING: Final = Word(HOLE, HOLE, single=False, fixed=False)
_OF_DEVICES: Final = re.compile(r"(^|/)(dev|proc)/")
_VERSION: Final = re.compile(r"(?<=[a-z])[-.]?[0-9][0-9.]*$")
_VARIANT: Final = re.compile(r"\.(exe|tiny|basic|nox|gtk3?|athena|traditional|openbsd)$")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@attrs.frozen
class Judgement:
    """What is known of a command. `certain`: it does what its words say, and runs `inner` alone.

    `scripts` are texts that it gives to a shell. `moves`: it changes the shell's directory.
    `by_input`: what it runs, or on what, its input says.
    """

    certain: bool = True
    inner: tuple[Argv, ...] = ()
    scripts: tuple[str, ...] = ()
    moves: bool = False
    by_input: bool = False


_ORDINARY: Final = Judgement()
_UNCERTAIN: Final = Judgement(certain=False)


def name_of(program: str) -> str:
    """A program's name without its directory."""
    return program.rpartition("/")[2]


def judged(argv: Argv) -> Judgement:
    """What is known of this command; of its words the first one is the program."""
    if not argv or not argv[0].literal or not argv[0].single:
        return _UNCERTAIN
    program = argv[0].text
    name = name_of(program).lower()  # some file systems do not tell RM from rm
    if not name or (name in AS_BASH_READS_IT and name not in WRAPPERS):
        return _UNCERTAIN
    if _OF_DEVICES.search(program) or re.match(r"ld(-linux.*|-musl.*)?\.so", name):
        return _UNCERTAIN  # the running shell by another name, or the loader of any program
    name = _known(name)
    rest = argv[1:]
    if name in NEVER:
        return attrs.evolve(_UNCERTAIN, scripts=tuple(_scripts(name, rest)))
    if name in ONLY_ALONE:
        return Judgement(certain=not rest)
    if name in MOVES:
        return Judgement(moves=True)
    if name in SHELLS:
        return _shell(rest)
    if name in INTERPRETERS:
        return _interpreter(name, rest)
    if name in _OF_THEIR_OWN:
        return _OF_THEIR_OWN[name](rest)
    if name in WRAPPERS:
        return _wrapper(name, WRAPPERS[name], rest)
    if rest and (name, rest[0].text) in SUBCOMMANDS:
        return attrs.evolve(_wrapper(name, Wrapper(), rest[1:]), certain=False)
    if any(name == program for program, _ in SUBCOMMANDS) and rest and _dashed(rest[0]):
        return _UNCERTAIN  # an option may stand before the subcommand
    if name in BY_OPTION:
        letters, longs, whole = BY_OPTION[name]
        if name == "tar" and rest and not rest[0].text.startswith("-"):
            rest = (attrs.evolve(rest[0], text="-" + rest[0].text), *rest[1:])
        return Judgement(certain=not _has_option(rest, letters, longs, whole))
    return _ORDINARY


def _known(name: str) -> str:
    """A program's name as the tables have it: without a version, or the `g` of GNU's programs."""
    tables = (NEVER, SHELLS, INTERPRETERS, WRAPPERS, BY_OPTION, _OF_THEIR_OWN)
    name = _VARIANT.sub("", name)
    for candidate in (name, _VERSION.sub("", name), name.removeprefix("g")):
        if candidate and any(candidate in table for table in tables):
            return candidate
    return name


def _dashed(word: Word) -> bool:
    """Whether a word is an option, or may become one."""
    return not word.fixed or word.text.startswith(("-", HOLE))


def _has_option(
    words: Sequence[Word],
    letters: str,
    longs: frozenset[str],
    whole: frozenset[str] = frozenset(),
) -> bool:
    """Whether one of these options is, or may be, among the words. Its value is not told from an
    option: that says yes too often."""
    for word in words:
        if word.text == "--" and not whole:
            return False
        text = word.text
        if any(text.startswith(each) for each in whole):
            return True
        if text.startswith("--") and len(text) > 2:
            name = text[2:].partition("=")[0]
            if HOLE in name or any(long.startswith(name) for long in longs):
                return True
        elif _dashed(word) and (not text.startswith("-") or _any_of(letters + HOLE, text[1:])):
            return True
    return False


def _any_of(letters: str, text: str) -> bool:
    return any(letter in text for letter in letters)


def _scripts(name: str, rest: Argv) -> Iterator[str]:
    if name in ("eval", "trap", "hyperfine"):
        yield " ".join(word.text for word in rest)
    for option, script in pairwise(rest):
        if re.fullmatch(r"-[a-z]*c|--command", option.text):
            yield script.text


def _shell(rest: Argv) -> Judgement:
    """A shell runs a file that is named; anything else is not certain."""
    if rest and rest[0].text == "--version" and len(rest) == 1:
        return _ORDINARY
    if _is_script(rest):
        return _ORDINARY
    return attrs.evolve(_UNCERTAIN, scripts=tuple(_scripts("sh", rest)))


def _is_script(rest: Argv) -> bool:
    """Whether the first argument is a file, and no option, device or standard input."""
    if not rest or not rest[0].literal or not rest[0].single:
        return False
    text = rest[0].text
    return bool(text) and text[0] not in "-+@" and not _OF_DEVICES.search(text)


_BARE: Final = frozenset({"--version", "-V", "--help"})
_MODULES: Final = re.compile(
    r"(?!(timeit|code|pdb|asyncio|idlelib|profile|cProfile|trace|runpy|bdb|IPython|sqlite3|site"
    r"|ensurepip|pyrepl|doctest)(\.|$))[A-Za-z_][A-Za-z0-9_.]*"
)
# Of these the first word says what is done, and may say that code follows.
_BY_WORD: Final[Mapping[str, frozenset[str]]] = {
    "deno": frozenset({"eval", "repl", "x", "task", "jupyter"}),
    "bun": frozenset({"x", "repl", "exec"}),
    "swift": frozenset({"repl"}),
}


def _interpreter(name: str, rest: Argv) -> Judgement:
    """An interpreter runs a file that is named, or a module of Python's; no more is certain."""
    if len(rest) == 1 and rest[0].text in _BARE:
        return _ORDINARY
    if name in _BY_WORD:
        certain = _is_script(rest) and rest[0].text not in _BY_WORD[name]
        return Judgement(certain and not any(_dashed(each) for each in rest[1:]))
    if name in ("python", "pypy") and len(rest) > 1 and rest[0].text == "-m":
        return Judgement(certain=bool(_MODULES.fullmatch(rest[1].text)))
    if name == "java" and len(rest) > 1 and rest[0].text == "-jar":
        return Judgement(certain=_is_script(rest[1:]))
    return Judgement(certain=_is_script(rest))


def _wrapper(name: str, wrapper: Wrapper, rest: Argv) -> Judgement:
    """A program that runs the command at the end of its words."""
    certain, at, replaced = wrapper.certain, 0, ""
    scripts = tuple(_scripts(name, rest))
    if name == "command" and rest and re.fullmatch(r"-p?[vV]", rest[0].text):
        return _ORDINARY  # it only tells where a program is
    while at < len(rest) and (rest[at].text.startswith("-") or not rest[at].fixed):
        text = rest[at].text
        if not rest[at].literal or not rest[at].single:
            return Judgement(certain=False, scripts=scripts)
        at += 1
        if text in ("--", "-"):
            certain = certain and text == "--"
            break
        known, takes, value = _option(wrapper, text, rest[at : at + 1])
        certain = certain and known
        if name == "xargs" and "I" in text:
            replaced = value or ""
            certain = certain and text.startswith("-I") and bool(replaced)
        if name == "env" and re.match(r"-[i0v]*S|--split", text):
            scripts += (" ".join([text.lstrip("-S"), *(each.text for each in rest[at:])]),)
        at += takes
    for _ in range(wrapper.operands):
        certain = certain and at < len(rest) and rest[at].single and rest[at].fixed
        at += 1
    if name == "env":
        while at < len(rest) and _ASSIGNMENT.match(rest[at].text):
            certain, at = False, at + 1  # LD_PRELOAD, PATH, GIT_EXTERNAL_DIFF, …
    inner = rest[at:]
    if name == "exec" and not inner:
        certain = False
    if name == "xargs" and inner:
        inner = _filled(inner, replaced) if replaced else (*inner, _ANYTHING)
    if name in ("watch", "parallel", "ssh"):  # these hand it to a shell
        scripts += (" ".join(word.text for word in inner),)
    by_input = name in ("xargs", "parallel")
    return Judgement(certain, (inner,) if inner else (), scripts, by_input=by_input)


def _option(wrapper: Wrapper, text: str, following: Argv) -> tuple[bool, int, str | None]:
    """Whether an option is known, how many of the following words it takes, and its value."""
    after = following[0].text if following else None
    certain = bool(following) and following[0].literal and following[0].single
    if text.startswith("--"):
        name, equals, value = text[2:].partition("=")
        if name in wrapper.long_values:
            return (True, 0, value) if equals else (certain, 1, after)
        return name in wrapper.long_flags and not equals, 0, None
    for place, letter in enumerate(text[1:], 2):
        if letter in wrapper.values:
            return (True, 0, text[place:]) if text[place:] else (certain, 1, after)
        if letter not in wrapper.flags:
            return False, 0, None
    return True, 0, None


def _filled(argv: Argv, placeholder: str) -> Argv:
    """The words of a command with holes for what is put in for a placeholder."""
    return tuple(
        attrs.evolve(word, text=word.text.replace(placeholder, HOLE), fixed=False)
        if placeholder in word.text
        else word
        for word in argv
    )


def _find(rest: Argv) -> Judgement:
    """What is found is looked at; with some of find's words it is run, written or deleted.

    Every such word counts wherever it stands: `-name -exec` is not told from `-exec`.
    """
    certain, inner = True, []
    for at, word in enumerate(rest):
        if not word.fixed:
            certain = False
        elif word.text in ("-exec", "-execdir", "-ok", "-okdir"):
            argv = _filled(tuple(_until_end(rest[at + 1 :])), "{}")
            inner.append(argv)
        elif re.match(r"-(delete|f(print|ls)|files0)", word.text):
            certain = False
    return Judgement(certain and len(inner) < 20, tuple(inner[:20]))


def _until_end(words: Argv) -> Iterator[Word]:
    before = ""
    for word in words:
        if word.text == ";" or (word.text == "+" and before == "{}"):
            return
        yield word
        before = word.text


# Other settings name programs: an alias, an editor, a pager, a filter, a directory of hooks.
_PLAIN_SETTING: Final = re.compile(
    r"(--get(-all|-regexp)?|--list|-l|get|list)$|(user|init|pull|push|color|advice)\."
)


def _git(rest: Argv) -> Judgement:
    """Git runs its aliases, its hooks and what its options name. Only its own subcommands with none
    of these options are certain."""
    at = 0
    while at < len(rest) and _dashed(rest[at]):
        text = rest[at].text
        if text in ("-C", "--git-dir", "--work-tree") and at + 1 < len(rest):
            if not rest[at + 1].single:
                return _UNCERTAIN
            at += 2
        elif text in ("--no-pager", "-P", "--bare", "--no-optional-locks", "--literal-pathspecs"):
            at += 1
        else:
            return Judgement(certain=len(rest) == 1 and text in ("--version", "--help", "-h"))
    if at == len(rest):
        return _ORDINARY
    subcommand, words = rest[at], rest[at + 1 :]
    if subcommand.text in GIT_PLAIN:
        return _ORDINARY
    if subcommand.text == "config":
        return Judgement(certain=any(_PLAIN_SETTING.match(word.text) for word in words))
    if subcommand.text not in GIT_RUNS:  # an alias, `bisect run`, `submodule foreach`, …
        script = " ".join(word.text for word in words[1:])
        return Judgement(certain=False, inner=(words[1:],) if words[1:] else (), scripts=(script,))
    letters, longs = GIT_RUNS[subcommand.text]
    runs = _has_option(words, letters, longs) or any(
        not word.literal or word.text.startswith("!") or "::" in word.text for word in words
    )
    return Judgement(certain=not runs)


def _test(rest: Argv) -> Judgement:
    """`-v` and `-R` evaluate the subscript of a name, and may be what fills a hole."""
    words = [word for word in rest if word.text != "]"]
    if any(word.text in ("-v", "-R") for word in words):
        return _UNCERTAIN
    if all(word.literal for word in words):
        return _ORDINARY
    if words and words[0].text == "!":
        words = words[1:]
    if not all(word.single for word in words):
        return _UNCERTAIN
    match [word.text for word in words]:
        case [_]:
            return _ORDINARY
        case [operator, _]:
            return Judgement(certain=bool(re.fullmatch(r"-[a-zA-Z]", operator)))
        case [_, operator, _]:
            binary = r"==?|!=|-(eq|ne|lt|le|gt|ge|nt|ot|ef)"
            return Judgement(certain=bool(re.fullmatch(binary, operator)))
        case _:
            return _UNCERTAIN


def _printf(rest: Argv) -> Judgement:
    """`-v` names a variable to set, and evaluates its subscript."""
    return Judgement(certain=bool(rest) and rest[0].fixed and not rest[0].text.startswith("-"))


def _wait(rest: Argv) -> Judgement:
    """`-p` names a variable to set."""
    return Judgement(certain=not any(_dashed(word) for word in rest))


_ADDRESS: Final = r"(?:[0-9]+|\$|/(?:[^/\\\n]|\\[^\n])*/)"
_FLAGS: Final = r"[gpiIM0-9]*"
_SUBSTITUTION: Final = "|".join(
    rf"s{d}(?:[^{d}\\\n]|\\[^\n])*{d}(?:[^{d}\\\n]|\\[^\n])*{d}{_FLAGS}" for d in "/|#,@:%"
)
_SED_COMMAND: Final = (
    rf"\s*(?:{_ADDRESS}(?:,(?:{_ADDRESS}|[+~][0-9]+))?\s*!?\s*)?"
    rf"(?:[pdDPNnGgHhxl=]|q[0-9]*|{_SUBSTITUTION})?\s*"
)
_HARMLESS_SED: Final = re.compile(rf"{_SED_COMMAND}(?:[;\n]{_SED_COMMAND})*+")
_SED_OPTIONS: Final = re.compile(
    r"-[nErsuz]+|-i|-i\.[A-Za-z]+|--(quiet|silent|regexp-extended|in-place|null-data|posix)"
)


def _sed(rest: Argv) -> Judgement:
    """A script of sed's may write files (`w`) and run commands (`e`)."""
    scripts: list[Word] = []
    files: list[Word] = []
    words = iter(rest)
    for word in words:
        if word.text == "--":
            files += words
        elif re.fullmatch(r"-[nErsuz]*e|--expression", word.text):
            script = next(words, None)
            scripts += [script] if script is not None else []
        elif word.text.startswith("--expression="):
            scripts.append(attrs.evolve(word, text=word.text.partition("=")[2]))
        elif not _dashed(word):
            files.append(word)
        elif not _SED_OPTIONS.fullmatch(word.text):
            # Before the script, a hole is a script or an option, and after it an option.
            return _UNCERTAIN
    if not scripts:
        if not files:
            return _ORDINARY
        scripts = files[:1]
        if not files[0].text:  # other seds than GNU's: `sed -i '' SCRIPT`
            scripts = files[:2]
    return Judgement(all(each.literal and _is_harmless_sed(each.text) for each in scripts))


def _is_harmless_sed(script: str) -> bool:
    return len(script) <= 500 and _HARMLESS_SED.fullmatch(script) is not None


def _awk(rest: Argv) -> Judgement:
    """A program of awk's may write files and run commands: with `|`, `>`, `system`, `@`."""
    at = 0
    while at < len(rest) and _dashed(rest[at]):
        text = rest[at].text
        if text in ("-F", "-v") and at + 1 < len(rest):
            if not rest[at + 1].single:
                return _UNCERTAIN
            at += 2
        elif re.match(r"-[Fv]", text) and rest[at].single and rest[at].fixed:
            at += 1
        else:
            return Judgement(certain=len(rest) == 1 and text in ("--version", "-V", "--help"))
    if at == len(rest):
        return _ORDINARY
    program = rest[at]
    runs = re.search(r"[|>@\\]|system|getline|extension|load|include", program.text)
    later = any(word.text.startswith("-") and word.text != "-" for word in rest[at + 1 :])
    return Judgement(program.literal and program.single and not runs and not later)


_OF_THEIR_OWN: Final[Mapping[str, Callable[[Argv], Judgement]]] = {
    "find": _find,
    "git": _git,
    "test": _test,
    "[": _test,
    "printf": _printf,
    "wait": _wait,
    "sed": _sed,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "original-awk"), _awk),
}
