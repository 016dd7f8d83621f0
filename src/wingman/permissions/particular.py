"""Particular programs: those whose arguments say in a way of their own what they run.

`find -exec`, git's options and aliases, the languages of sed and awk, builtins that take a name.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from wingman.permissions.patterns import HOLE
from wingman.permissions.tables import GIT_PLAIN, GIT_RUNS
from wingman.permissions.words import Word

__all__ = [
    "ORDINARY",
    "PARTICULAR",
    "UNCERTAIN",
    "Argv",
    "Judgement",
    "after_options",
    "dashed",
    "filled",
    "has_option",
]

Argv: TypeAlias = tuple[Word, ...]


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


ORDINARY: Final = Judgement()
UNCERTAIN: Final = Judgement(certain=False)


def dashed(word: Word) -> bool:
    """Whether a word is an option, or may become one."""
    return not word.fixed or word.text.startswith(("-", HOLE))


def has_option(
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
        elif dashed(word) and (not text.startswith("-") or _any_of(letters + HOLE, text[1:])):
            return True
    return False


def _any_of(letters: str, text: str) -> bool:
    return any(letter in text for letter in letters)


def filled(argv: Argv, placeholder: str) -> Argv:
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
            argv = filled(tuple(_until_end(rest[at + 1 :])), "{}")
            inner.append(argv)
        elif re.match(r"-(delete|f(print|ls)|files0)", word.text):
            certain = False
    return Judgement(certain and len(inner) < 10, tuple(inner[:10]))


def _until_end(words: Argv) -> Iterator[Word]:
    before = ""
    for word in words:
        if word.text == ";" or (word.text == "+" and before == "{}"):
            return
        yield word
        before = word.text


# Other settings name programs: an alias, an editor, a pager, a filter, a directory of hooks.
_PLAIN_SETTING: Final = re.compile(
    r"(--get(-all|-regexp)?|--list|-l|get|list)|(user|init|pull|push|color|advice)\.[a-zA-Z.]+"
)
_WHOSE: Final = frozenset({"--global", "--local", "--system", "--worktree"})


_WITH_VALUE: Final = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace"})


def after_options(rest: Sequence[Word]) -> Argv:
    """The words of a git command from its subcommand on."""
    at = 0
    while at < len(rest) and dashed(rest[at]):
        at += 2 if rest[at].text in _WITH_VALUE else 1
    return tuple(rest[at:])


def _git(rest: Argv) -> Judgement:
    """Git runs its aliases, its hooks and what its options name. Only its own subcommands with none
    of these options are certain."""
    at = 0
    while at < len(rest) and dashed(rest[at]):
        text = rest[at].text
        if text in ("-C", "--git-dir", "--work-tree") and at + 1 < len(rest):
            if not rest[at + 1].single:
                return UNCERTAIN
            at += 2
        elif text in ("--no-pager", "-P", "--bare", "--no-optional-locks", "--literal-pathspecs"):
            at += 1
        else:
            return Judgement(certain=len(rest) == 1 and text in ("--version", "--help", "-h"))
    if at == len(rest):
        return ORDINARY
    subcommand, words = rest[at], rest[at + 1 :]
    if subcommand.text in GIT_PLAIN:
        return ORDINARY
    if subcommand.text == "config":
        while words and words[0].text in _WHOSE:
            words = words[1:]
        return Judgement(bool(words) and bool(_PLAIN_SETTING.fullmatch(words[0].text)))
    if subcommand.text not in GIT_RUNS:  # an alias, `bisect run`, `submodule foreach`, …
        inner = words[1:] if subcommand.text in ("bisect", "submodule") else ()
        scripts = (" ".join(word.text for word in inner),) if inner else ()
        return Judgement(certain=False, inner=(inner,) if inner else (), scripts=scripts)
    letters, longs = GIT_RUNS[subcommand.text]
    runs = has_option(words, letters, longs) or any(
        not word.literal or word.text.startswith("!") or "::" in word.text for word in words
    )
    return Judgement(certain=not runs)


def _test(rest: Argv) -> Judgement:
    """`-v` and `-R` evaluate the subscript of a name, and may be what fills a hole."""
    words = [word for word in rest if word.text != "]"]
    if any(word.text in ("-v", "-R") for word in words):
        return UNCERTAIN
    if all(word.literal for word in words):
        return ORDINARY
    if words and words[0].text == "!":
        words = words[1:]
    if not all(word.single for word in words):
        return UNCERTAIN
    match [word.text for word in words]:
        case [_]:
            return ORDINARY
        case [operator, _]:
            return Judgement(certain=bool(re.fullmatch(r"-[a-zA-Z]", operator)))
        case [_, operator, _]:
            binary = r"==?|!=|-(eq|ne|lt|le|gt|ge|nt|ot|ef)"
            return Judgement(certain=bool(re.fullmatch(binary, operator)))
        case _:
            return UNCERTAIN


def _printf(rest: Argv) -> Judgement:
    """`-v` names a variable to set, and evaluates its subscript."""
    return Judgement(certain=bool(rest) and rest[0].fixed and not rest[0].text.startswith("-"))


def _wait(rest: Argv) -> Judgement:
    """`-p` names a variable to set."""
    return Judgement(certain=not any(dashed(word) for word in rest))


_ADDRESS: Final = r"(?:[0-9]+|\$|/(?:[^/\\\n]|\\[^\n])*/)"
_FLAGS: Final = r"[gpiIM0-9]*"
_SUBSTITUTION: Final = "|".join(
    rf"s{d}(?:[^{d}\\\n]|\\[^\n])*{d}(?:[^{d}\\\n]|\\[^\n])*{d}{_FLAGS}"
    for d in map(re.escape, "/|#,@:%")
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
        elif not dashed(word):
            files.append(word)
        elif not _SED_OPTIONS.fullmatch(word.text):
            # Before the script, a hole is a script or an option, and after it an option.
            return UNCERTAIN
    if not scripts:
        if not files:
            return ORDINARY
        scripts = files[:1]
        if not files[0].text:  # other seds than GNU's: `sed -i '' SCRIPT`
            scripts = files[:2]
    return Judgement(all(each.literal and _is_harmless_sed(each.text) for each in scripts))


def _is_harmless_sed(script: str) -> bool:
    return len(script) <= 500 and _HARMLESS_SED.fullmatch(script) is not None


def _awk(rest: Argv) -> Judgement:
    """A program of awk's may write files and run commands: with `|`, `>`, `system`, `@`."""
    at = 0
    while at < len(rest) and dashed(rest[at]):
        text = rest[at].text
        if text in ("-F", "-v") and at + 1 < len(rest):
            if not rest[at + 1].single:
                return UNCERTAIN
            at += 2
        elif re.match(r"-[Fv]", text) and rest[at].single and rest[at].fixed:
            at += 1
        else:
            return Judgement(certain=len(rest) == 1 and text in ("--version", "-V", "--help"))
    if at == len(rest):
        return ORDINARY
    program = rest[at]
    runs = re.search(r"[|>@\\]|system|getline|extension|load|include", program.text)
    later = any(word.text.startswith("-") and word.text != "-" for word in rest[at + 1 :])
    return Judgement(program.literal and program.single and not runs and not later)


PARTICULAR: Final[Mapping[str, Callable[[Argv], Judgement]]] = {
    "find": _find,
    "bfs": _find,
    "git": _git,
    "test": _test,
    "[": _test,
    "printf": _printf,
    "wait": _wait,
    "sed": _sed,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "original-awk"), _awk),
}
