"""Shell: the simple commands of a bash command line, by a real grammar of it, tree-sitter's.

What a command line does is told only where that is certain. Two readings have to agree: the tokens,
of which each character is understood (`words.py`), and the grammar's tree, of which only some kinds
of nodes are (`tree.py`). Then the programs are judged (`programs.py`). Whatever is unusual makes
the answer incomplete: somebody is asked about the whole of the line.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import attrs

from wingman.permissions.command_line import LONGEST, CommandLine, SimpleCommand
from wingman.permissions.particular import after_options
from wingman.permissions.patterns import HOLE
from wingman.permissions.programs import judged, name_of, runs_a_file
from wingman.permissions.tree import Found, structure_of, visible
from wingman.permissions.words import Token, Word, joined, tokens_of

if TYPE_CHECKING:
    from tree_sitter import Language, Tree

__all__ = ["parse"]

# Bounds on what is looked at: tree-sitter takes time quadratic in the number of some signs.
_MOST_SIGNS: Final = 200
_SIGN: Final = re.compile(rb"[|&<>(){}\[\]$`;\n]")
_MOST_COMMANDS: Final = 200  # of a line
_MOST_NAMES: Final = 10  # of a command: those that it runs in turn
_MOST_WORDS: Final = 2_000  # of a command, and of those that it runs
LONGEST_SCRIPTS: Final = 2_000  # bytes of all texts for a shell in a line, and in those texts

_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_COST: Final = 100  # of a script, however short, in characters

# What goes to these is in no file.
_NOWHERE: Final = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr"})
_SOCKET: Final = re.compile(r"/+dev/+(tcp|udp)/")


def parse(line: str) -> CommandLine:
    """The simple commands of a command line, whatever text that is. It takes a bounded time: of a
    line that is too long, nothing is told."""
    return _parse(line, _Room(LONGEST_SCRIPTS))


@attrs.define
class _Room:
    """How many characters of scripts may still be parsed."""

    left: int


def _parse(line: str, room: _Room) -> CommandLine:
    try:
        source = line.encode()
    except UnicodeEncodeError:
        return CommandLine((), complete=False)
    if len(source) > LONGEST or sum(1 for _ in _SIGN.finditer(source)) > _MOST_SIGNS:
        return CommandLine((), complete=False)
    text = source.decode("latin-1")
    tree = _tree(source)
    tokens = tokens_of(text) if _is_plain(line) else None
    found = None if tokens is None else structure_of(tree.root_node, text, tokens)
    if found and len(found) <= _MOST_COMMANDS:
        return _understood(found, line, room)
    seen = visible(tree.root_node, text)
    commands = [*_seen(seen.commands[:_MOST_COMMANDS], room), *_files(seen.files, line)]
    return CommandLine(tuple(commands), complete=False, moves=True)


def _is_plain(line: str) -> bool:
    """Whether a line has no character that does something unseen."""
    if _CONTROL.search(line):
        return False
    return line.isascii() or not any(
        unicodedata.category(each) in _INVISIBLE and each not in "\n\t" for each in line
    )


def _tree(source: bytes) -> "Tree":
    """The tree of a line, with a `%` in place of each byte that is not ASCII, as much a part of a
    word: the grammar's scanner reads beyond its tables for some characters, and crashes."""
    from tree_sitter import Parser  # noqa: PLC0415 - only who has rules for a shell needs it

    return Parser(_language()).parse(_NOT_ASCII.sub(b"%", source))


@lru_cache(1)
def _language() -> "Language":
    import tree_sitter_bash  # noqa: PLC0415
    from tree_sitter import Language  # noqa: PLC0415

    return Language(tree_sitter_bash.language())


@attrs.frozen
class _Told:
    """A command, and what is known of it and of what it runs."""

    command: SimpleCommand
    certain: bool
    moves: bool
    by_input: bool
    scripts: tuple[str, ...]


def _told(found: Found) -> _Told:
    names: list[str] = []
    scripts: list[str] = []
    certain, moves, by_input = True, False, False
    runs = [found.words]
    room = _MOST_WORDS
    for argv in runs:  # it grows
        room -= len(argv)
        names += _names(argv)
        judgement = judged(argv)
        certain = certain and judgement.certain
        moves = moves or judgement.moves
        by_input = by_input or judgement.by_input
        scripts += judgement.scripts
        runs += judgement.inner
        if len(runs) > _MOST_NAMES or room < 0:
            certain = False
            break
    reads, writes, redirected = _redirected(found.redirections)
    text, *also = dict.fromkeys(names)
    shown = " ".join([*(word.shown for word in found.words), *_shown(found.redirections)])
    command = SimpleCommand(text, shown, tuple(also), reads, writes)
    return _Told(command, certain and redirected, moves, by_input, tuple(scripts))


def _names(argv: tuple[Word, ...]) -> Iterator[str]:
    """The texts of one command: as it is called, and by the program's name."""
    if not argv:
        return
    yield joined(argv)
    program, *rest = argv
    name = name_of(program.text)
    # Some file systems do not tell RM from rm.
    for other in dict.fromkeys((name, name.lower())):
        yield joined([attrs.evolve(program, text=other), *rest])
    if name_of(program.text) == "git" and (words := after_options(rest)) != tuple(rest):
        yield joined([attrs.evolve(program, text="git"), *words])


def _redirected(tokens: tuple[Token, ...]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The files that are read and written, and whether that is certain."""
    reads: list[str] = []
    writes: list[str] = []
    certain = True
    for token in tokens:
        if token.word is None or token.word.text in _NOWHERE:
            continue
        path = token.word.text
        certain = certain and token.word.literal and bool(path) and not _SOCKET.match(path)
        (reads if token.source.endswith("<") else writes).append(path)
    return tuple(dict.fromkeys(reads)), tuple(dict.fromkeys(writes)), certain


def _shown(tokens: tuple[Token, ...]) -> Iterator[str]:
    for token in tokens:
        yield token.source + (token.word.shown if token.word is not None else "")


def _understood(found: tuple[Found, ...], line: str, room: _Room) -> CommandLine:
    told = [_told(each) for each in found]
    moves = [each.command.shown for each in told if each.moves]
    commands = []
    for each, where in zip(told, found, strict=True):
        before = [*moves] if not each.moves else []
        if HOLE in "".join(each.command.texts):
            before += where.loops
        if each.by_input and where.pipeline:
            before.append(where.pipeline)
        shown = ": ".join([*before, each.command.shown])
        commands.append(attrs.evolve(each.command, shown=shown))
    complete = all(each.certain for each in told) and not _runs_what_it_writes(told, found)
    if not complete:
        commands += _in_scripts(told, room)
    return CommandLine(tuple(commands), complete, bool(moves))


def _runs_what_it_writes(told: list[_Told], found: tuple[Found, ...]) -> bool:
    """Whether a file that a line writes may be a program or a script that it runs."""
    written = {name_of(path) for each in told for path in each.command.writes}
    return bool(written) and any(
        name_of(word.text) in written
        for each in found
        for word in (each.words if runs_a_file(each.words) else ())
    )


def _seen(found: tuple[Found, ...], room: _Room) -> Iterator[SimpleCommand]:
    told = [_told(each) for each in found]
    yield from (each.command for each in told)
    yield from _in_scripts(told, room)


def _in_scripts(told: list[_Told], room: _Room) -> Iterator[SimpleCommand]:
    """The commands in texts that are given to a shell. A hole in one is a variable's again."""
    scripts = [script for each in told if not each.certain for script in each.scripts]
    for script in scripts:
        room.left -= len(script) + _COST
        if room.left < 0:
            return
        yield from _parse(script.replace(HOLE, "$_"), room).commands


def _files(tokens: tuple[Token, ...], line: str) -> Iterator[SimpleCommand]:
    reads, writes, _ = _redirected(tokens)
    if reads or writes:
        yield SimpleCommand(HOLE, line, reads=reads, writes=writes)
