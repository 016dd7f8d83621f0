"""Programs that run what they are given: of none of them the name tells what it does.

Each is judged by its arguments: is it certain what it does, and which commands does it run in turn?
What is not certain makes somebody be asked.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

import attrs

from wingman.permissions.particular import (
    ORDINARY,
    PARTICULAR,
    UNCERTAIN,
    Argv,
    Judgement,
    dashed,
    filled,
    has_option,
)
from wingman.permissions.patterns import HOLE
from wingman.permissions.tables import (
    AS_BASH_READS_IT,
    BY_OPTION,
    INTERPRETERS,
    MOVES,
    NAMED_FIRST,
    NEVER,
    ONLY_ALONE,
    SHELLS,
    SUBCOMMANDS,
    WRAPPERS,
    Wrapper,
)
from wingman.permissions.words import Word

__all__ = ["judged", "name_of", "runs_a_file"]

_ANYTHING: Final = Word(HOLE, HOLE, single=False, fixed=False)
_OF_DEVICES: Final = re.compile(r"(^|/)(dev|proc)/")
_VERSION: Final = re.compile(r"(?<=[a-z])[-.]?[0-9][0-9.]*$")
_VARIANT: Final = re.compile(r"\.(exe|tiny|basic|nox|gtk3?|athena|traditional|openbsd)$")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def name_of(program: str) -> str:
    """A program's name without its directory."""
    return program.rpartition("/")[2]


def judged(argv: Argv) -> Judgement:
    """What is known of this command; of its words the first one is the program."""
    if not argv or not argv[0].literal or not argv[0].single:
        return UNCERTAIN
    program = argv[0].text
    name = name_of(program).lower()  # some file systems do not tell RM from rm
    if not name or (name in AS_BASH_READS_IT and name not in WRAPPERS):
        return UNCERTAIN
    if _OF_DEVICES.search(program) or re.match(r"ld(-linux.*|-musl.*)?\.so|git-", name):
        return UNCERTAIN  # this shell by another name, the loader of any program, parts of git
    name = _known(name)
    rest = argv[1:]
    if name in NEVER:
        return attrs.evolve(UNCERTAIN, scripts=tuple(_scripts(name, rest)))
    if name in ONLY_ALONE:
        return Judgement(certain=not rest)
    if name in MOVES:
        return Judgement(moves=True)
    if name in SHELLS:
        return _shell(rest)
    if name in INTERPRETERS:
        return _interpreter(name, rest)
    if name in PARTICULAR:
        return PARTICULAR[name](rest)
    if name in WRAPPERS:
        return _wrapper(name, WRAPPERS[name], rest)
    if rest and (name, rest[0].text) in SUBCOMMANDS:
        return _wrapper(name, Wrapper(operands=name in NAMED_FIRST), rest[1:])
    if any(name == program for program, _ in SUBCOMMANDS) and rest and dashed(rest[0]):
        return UNCERTAIN  # an option may stand before the subcommand
    if name in BY_OPTION:
        letters, longs, whole = BY_OPTION[name]
        if name == "tar" and rest and not rest[0].text.startswith("-"):
            rest = (attrs.evolve(rest[0], text="-" + rest[0].text), *rest[1:])
        return Judgement(certain=not has_option(rest, letters, longs, whole))
    return ORDINARY


def runs_a_file(argv: Argv) -> bool:
    """Whether one of the words may be a file that is run: a program by its path, or a script."""
    return "/" in argv[0].text or any(
        word.text.startswith("./") or _known(name_of(word.text).lower()) in SHELLS | INTERPRETERS
        for word in argv
    )


def _known(name: str) -> str:
    """A program's name as the tables have it: without a version, or the `g` of GNU's programs."""
    tables = (NEVER, SHELLS, INTERPRETERS, WRAPPERS, BY_OPTION, PARTICULAR)
    name = _VARIANT.sub("", name)
    for candidate in (name, _VERSION.sub("", name), name.removeprefix("g")):
        if candidate and any(candidate in table for table in tables):
            return candidate
    return name


def _scripts(name: str, rest: Argv) -> Iterator[str]:
    if name in ("eval", "trap", "hyperfine"):
        yield " ".join(word.text for word in rest)
    for option, script in pairwise(rest):
        if re.fullmatch(r"-[a-z]*c|--command", option.text):
            yield script.text


def _shell(rest: Argv) -> Judgement:
    """A shell runs a file that is named; anything else is not certain."""
    if rest and rest[0].text == "--version" and len(rest) == 1:
        return ORDINARY
    if _is_script(rest):
        return ORDINARY
    return attrs.evolve(UNCERTAIN, scripts=tuple(_scripts("sh", rest)))


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
        return ORDINARY
    if name in _BY_WORD:
        certain = _is_script(rest) and rest[0].text not in _BY_WORD[name]
        return Judgement(certain and not any(dashed(each) for each in rest[1:]))
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
        return ORDINARY  # it only tells where a program is
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
        inner = filled(inner, replaced) if replaced else (*inner, _ANYTHING)
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
