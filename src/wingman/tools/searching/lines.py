"""The lines of a text file that match, by Python's `re`, and how a line is shown.

A file is binary, and not searched, if it has a NUL at its beginning. It is UTF-8, or UTF-16 where
its first two bytes say so; what cannot be decoded is U+FFFD.
"""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, Literal, TypeAlias

from wingman.tools.searching.tree import open_text

__all__ = ["Kind", "Pattern", "around", "compiled", "kind_of", "matching_lines"]

Pattern: TypeAlias = re.Pattern[str]
Kind: TypeAlias = Literal["plain", "special", "binary"]

_SNIFFED = 8_192  # bytes
_LONGEST_LINE = 10_000_000  # characters; a longer one is searched in pieces
_SHOWN = 500  # characters of a line
_BEFORE = 150  # of them, at most so many before the match
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_SET = re.compile(r"\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_NAMED_SET = re.compile(r"\[:(\w+):\]")
# https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap09.html, in the C locale
_POSIX = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\n\r\f\v",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "print": " -~",
    "graph": "!-~",
    "cntrl": r"\x00-\x1f\x7f",
    "xdigit": "0-9A-Fa-f",
    "word": "a-zA-Z0-9_",
}


def compiled(pattern: str, *, ignore_case: bool) -> Pattern:
    """The pattern, in which `[[:alpha:]]` and the like mean what they do elsewhere."""

    def with_ranges(found: re.Match[str]) -> str:
        return _NAMED_SET.sub(lambda name: _POSIX.get(name[1], name[0]), found[0])

    return re.compile(_SET.sub(with_ranges, pattern), re.IGNORECASE if ignore_case else 0)


def kind_of(path: str) -> Kind:
    """Whether a file is plain UTF-8, as far as its beginning shows, other text, or not for us."""
    try:
        with open_text(path) as file:
            head = file.read(_SNIFFED)
    except OSError:
        return "binary"  # not ours to read, or gone
    if head.startswith((*_UTF_16, codecs.BOM_UTF8)):
        return "special"
    if b"\0" in head:
        return "binary"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < _SNIFFED)
    except UnicodeDecodeError:
        return "special"
    return "plain"


def matching_lines(path: str, pattern: Pattern) -> Iterator[tuple[int, str]]:
    """The matching lines with their numbers, as they are shown."""
    shown = 0
    try:
        with open_text(path) as file:
            for number, line in _lines(file):
                if number > shown and (match := pattern.search(line)):
                    shown = number
                    yield number, around(line, match.start())
    except OSError:
        return


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    head = file.read(len(codecs.BOM_UTF8))
    file.seek(0)
    encoding = "utf-16" if head.startswith(_UTF_16) else "utf-8-sig"
    with io.TextIOWrapper(file, encoding, errors="replace", newline="\n") as text:
        number = 1
        while line := text.readline(_LONGEST_LINE):
            yield number, line.rstrip("\r\n")
            number += line.endswith("\n")


def around(line: str, match: int) -> str:
    """A line as it is shown: of a long one, what is around the match."""
    if len(line) <= _SHOWN:
        return line
    start = max(min(match - _BEFORE, len(line) - _SHOWN), 0)
    stop = start + _SHOWN
    return ("…" if start else "") + line[start:stop] + ("…" if stop < len(line) else "")
