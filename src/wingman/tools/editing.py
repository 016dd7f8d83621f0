"""A text replaced within a text, whatever ends its lines; pure, in bounded memory and short steps.

A model sees lines, not what ends them. So texts are compared with "\\n" for every line end, and
what is replaced gets the line ends that the file has there; all else stays byte for byte as it was.
A file with "\\r" alone, and no "\\n" at all, is one of the old Macs': there it ends the lines.

Python's own functions on strings hold the interpreter's lock, so none of them is given more than a
window of the text at once.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from wingman.errors import ToolError
from wingman.tools.threads import stop_if_cancelled

__all__ = ["LARGEST", "Edited", "encoded", "substitute"]

LARGEST: Final = 10_000_000
"""How many bytes a file that is written may have, and one that is edited."""

_LONGEST_OLD: Final = 250_000  # bytes
_WINDOW: Final = 65_536  # bytes
_FILE_ENDS: Final = (b"\n", b"\r\n")


@attrs.frozen
class Edited:
    """The new content, how many occurrences were replaced, and the line of the first, from 1."""

    data: bytearray
    count: int
    line: int


@attrs.frozen
class _Text:
    """A file's content with `\\n` for every line end.

    `end` is what most of its lines end with, empty where it has one line. `mixed`: some end with
    the other of `\\n` and `\\r\\n`; the latter stand where `crlf` says, by their place in `text`.
    """

    raw: bytes
    text: bytearray
    end: bytes
    mixed: bool
    crlf: Sequence[int]

    def original(self, start: int, stop: int) -> bytes:
        """What stands in the file for a part of the text."""
        return self.raw[start + bisect_left(self.crlf, start) : stop + bisect_left(self.crlf, stop)]

    def ends(self, start: int, stop: int) -> list[bytes]:
        """The line ends of a part of the text, as they stand in the file."""
        found = []
        at = self.text.find(b"\n", start, stop)
        while at >= 0:
            place = bisect_left(self.crlf, at)
            found.append(_FILE_ENDS[place < len(self.crlf) and self.crlf[place] == at])
            at = self.text.find(b"\n", at + 1, stop)
        return found


def encoded(text: str) -> bytearray:
    """A text as UTF-8. Raises `ToolError` if it is none, or larger than a file may be."""
    data = bytearray()
    try:
        for start in range(0, min(len(text), LARGEST + 1), _WINDOW):
            data += text[start : start + _WINDOW].encode()
            if len(data) > LARGEST:
                raise ToolError(
                    f"The text is too large: a file that is written has {LARGEST:,} bytes at most. "
                    "Write it in parts, or make it with a command in bash."
                )
    except UnicodeEncodeError as error:
        raise ToolError(f"The text cannot be written as UTF-8: {error.reason}.") from error
    return data


def substitute(raw: bytes, old: str, new: str, path: str, *, replace_all: bool) -> Edited:
    """Replace `old` in a file's content, where it occurs once, or everywhere with `replace_all`.

    Raises `ToolError`, with `path` as the file's name, for what cannot be done.
    """
    source = _read(raw)
    sought, wanted = _unified(old, source.end), _unified(new, source.end or b"?")
    if sought == wanted:
        raise ToolError(_same(old, new))
    if len(sought) > _LONGEST_OLD:
        raise ToolError(
            f"old is too long: {_LONGEST_OLD:,} bytes are the most. Give a part of it, "
            "or write the whole file anew."
        )
    first = _find(source.text, sought, 0)
    if first < 0:
        raise ToolError(_not_found(raw, path))
    unique = _find(source.text, sought, first + 1) < 0
    count = 1 if unique else sum(len(parts) - 1 for parts in _split(source.text, sought))
    if not (unique or replace_all):
        raise ToolError(
            f"old was found {max(count, 2)} times in {path}: "
            "give more of the lines around it, or set replace_all."
        )
    if len(source.text) + count * (len(wanted) - len(sought)) > LARGEST:
        raise ToolError(_too_large(path))
    data = _mixed(source, sought, wanted) if source.mixed else _uniform(source, sought, wanted)
    if len(data) > LARGEST:
        raise ToolError(_too_large(path))
    return Edited(data, count, _count(source.text, b"\n", first) + 1)


# --- the file's lines ---------------------------------------------------------------------------


def _read(raw: bytes) -> _Text:
    text = _swapped(raw, b"\r\n", b"\n")
    crlf = len(raw) - len(text)
    lf = _count(text, b"\n", len(text)) - crlf
    if not crlf and not lf and b"\r" in text:
        return _Text(raw, _swapped(text, b"\r", b"\n"), b"\r", mixed=False, crlf=())
    if not crlf or not lf:
        end = b"\r\n" if crlf else b"\n" if lf else b""
        return _Text(raw, text, end, mixed=False, crlf=())
    return _Text(raw, text, _FILE_ENDS[crlf > lf], mixed=True, crlf=_places_of_crlf(raw))


def _places_of_crlf(raw: bytes) -> Sequence[int]:
    places = array("I")
    at = raw.find(b"\r\n")
    while at >= 0:
        places.append(at - len(places))
        at = raw.find(b"\r\n", at + 2)
    return places


def _unified(text: str, end: bytes) -> bytearray:
    """A text of the model's with `\\n` for its line ends; as it is, where the file has none."""
    data = encoded(text)
    if end == b"?":
        return data
    data = _swapped(data, b"\r\n", b"\n")
    return _swapped(data, b"\r", b"\n") if end == b"\r" else data


# --- the work, window by window -----------------------------------------------------------------


def _uniform(source: _Text, old: bytearray, new: bytearray) -> bytearray:
    data = bytearray()
    for parts in _split(source.text, old):
        data += new.join(parts)
    return data if source.end in (b"", b"\n") else _swapped(data, b"\n", source.end)


def _mixed(source: _Text, old: bytearray, new: bytearray) -> bytearray:
    data = bytearray()
    done = at = 0
    for parts in _split(source.text, old):
        for part in parts[:-1]:
            at += len(part)
            data += source.original(done, at)
            done = at + len(old)
            data += _with_ends(old, new, source.ends(at, done), source.end)
            at = done
        at += len(parts[-1])
    data += source.original(done, len(source.text))
    return data


def _with_ends(old: bytearray, new: bytearray, ends: list[bytes], usual: bytes) -> bytes:
    """The new lines with the line ends of those that they replace.

    Lines that the change has left at the beginning and at the end keep theirs; those between get
    what most of the replaced ones had.
    """
    if b"\n" not in new:
        return bytes(new)
    before, after = old.split(b"\n"), new.split(b"\n")
    needed = len(after) - 1
    if len(ends) != needed:
        most = max(_FILE_ENDS, key=ends.count) if ends else usual
        shorter = min(len(ends), needed)
        head = _alike(before, after, shorter)
        tail = _alike(before[::-1], after[::-1], shorter - head)
        ends = ends[:head] + [most] * (needed - head - tail) + ends[len(ends) - tail :]
    lines = [line + end for line, end in zip(after, ends, strict=False)]
    return b"".join(lines) + after[-1]


def _alike(one: list[bytearray], other: list[bytearray], most: int) -> int:
    """How many of the first lines are the same, `most` at most."""
    count = 0
    while count < most and one[count] == other[count]:
        count += 1
    return count


def _split(text: bytearray, old: bytearray) -> Iterator[list[bytearray]]:
    """The text taken apart at each `old`, window by window: what `old.join` of each list adds up
    to is the text."""
    start, step = 0, max(_WINDOW, 4 * len(old))
    while start < len(text):
        stop_if_cancelled()
        window = text[start : start + step]
        parts = window.split(old)
        start += len(window)
        if start < len(text):  # the last part may hold the beginning of an `old`
            kept = min(len(parts[-1]), len(old) - 1)
            del parts[-1][len(parts[-1]) - kept :]
            start -= kept
        yield parts


def _find(text: bytearray, old: bytearray, start: int) -> int:
    step = max(_WINDOW, 4 * len(old))
    for window in range(start, len(text), step):
        stop_if_cancelled()
        found = text.find(old, window, window + step + len(old) - 1)
        if found >= 0:
            return found
    return -1


def _count(text: bytearray, byte: bytes, stop: int) -> int:
    return sum(
        text.count(byte, start, min(start + _WINDOW, stop)) for start in range(0, stop, _WINDOW)
    )


def _swapped(text: bytes | bytearray, old: bytes, new: bytes) -> bytearray:
    """`text.replace`, window by window; `old` is one byte, or two."""
    data = bytearray()
    start = 0
    while start < len(text):
        window = text[start : start + _WINDOW]
        if len(old) > 1 and len(window) > 1 and window.endswith(old[:1]):
            window = window[:-1]
        start += len(window)
        data += window.replace(old, new)
    return data


# --- what the model is told ---------------------------------------------------------------------


def _same(old: str, new: str) -> str:
    if old == new:
        return "old and new are the same text: there is nothing to change."
    return (
        "old and new differ in their line ends alone, and edit keeps those of the file: "
        "change them in bash, with `sed -i 's/$/\\r/'` or `sed -i 's/\\r$//'`."
    )


def _not_found(raw: bytes, path: str) -> str:
    if b"\0" in raw[:_WINDOW]:
        return (
            f"old was found 0 times in {path}, which is binary, or text in another encoding such "
            "as UTF-16: change it in bash."
        )
    return (
        f"old was found 0 times in {path}: read the file again, "
        "and copy the text exactly, with its indentation."
    )


def _too_large(path: str) -> str:
    return (
        f"{path} was not changed: it would have more than {LARGEST:,} bytes, which is the most "
        "that edit writes. Change it in bash, with `sed`."
    )
