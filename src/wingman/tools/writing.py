"""The tools `write` and `edit`: a file is replaced as a whole and at once, or not at all."""

import codecs
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from wingman.errors import ToolError
from wingman.tools.base import ToolContext
from wingman.tools.decorator import tool
from wingman.tools.editing import LARGEST, encoded, substitute
from wingman.tools.paths import display, existing_file, opened, resolve
from wingman.tools.replacing import replace
from wingman.tools.threads import stop_if_cancelled

__all__ = ["edit", "write"]

_PIECE = 1_000_000  # bytes
_LARGE = 1_000_000  # bytes; larger files are worked on one at a time
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# Sibling calls run at once, and two edits of one file must not lose the one or the other. Files
# share a fixed number of locks, each held for a read and a write.
_LOCKS = tuple(threading.Lock() for _ in range(64))

# An edit holds a few times the file's size in memory, and much of the interpreter's time.
_ONE_LARGE = threading.Lock()
_PATIENCE = 0.1  # seconds between two looks whether the call was cancelled

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


# What would replace the whole file, if it were left out.
_INSTEAD = dict.fromkeys(
    ("append", "insert_line", "line", "mode", "offset"),
    "write replaces the whole file. Change a part of it with edit.",
)


@tool(permission="edit", resources=("path",), leave_out_unknown=True, instead=_INSTEAD)
def write(path: NonEmpty, content: str, context: ToolContext) -> str:
    """Write a file in the working directory: make it, with its directories, or replace all of it.

    The content is written as it is given, line ends too, as UTF-8; 10 MB at most. A file that is
    there keeps its owner, mode and other attributes. To change a part of a file, use edit.

    Args:
        path: The file, relative to the working directory or absolute.
        content: All that the file shall hold.
    """
    resolved = resolve(context, path)
    if resolved.exists():
        existing_file(context, path)
    with _share_of_memory(len(content)):
        data = encoded(content)
        with _lock(resolved):
            replace(resolved, data, path)
    return f"Wrote {len(data):,} bytes to {display(context, resolved)}."


@tool(resources=("path",), leave_out_unknown=True)
def edit(
    path: NonEmpty, old: NonEmpty, new: str, context: ToolContext, replace_all: bool = False
) -> str:
    """Replace text in a file of the working directory.

    `old` must occur exactly once, character for character, so give it with enough of the lines
    around it; or set `replace_all`. Line ends need no care: the file keeps its own, LF or CRLF.

    Args:
        path: The file, relative to the working directory or absolute.
        old: The text to replace, without the line numbers that read shows.
        new: What takes its place.
        replace_all: Replace every occurrence.
    """
    resolved = existing_file(context, path)
    size = _size(resolved, path)
    with _share_of_memory(max(size, len(new))), _lock(resolved):
        edited = substitute(_text(resolved, path), old, new, path, replace_all=replace_all)
        replace(resolved, edited.data, path)
    where = f"{edited.count} occurrences"
    if edited.count == 1:
        where = f"1 occurrence, at line {edited.line},"
    return f"Replaced {where} in {display(context, resolved)}."


@contextlib.contextmanager
def _share_of_memory(size: int) -> Iterator[None]:
    if size < _LARGE:
        yield
        return
    while not _ONE_LARGE.acquire(timeout=_PATIENCE):
        stop_if_cancelled()
    try:
        yield
    finally:
        _ONE_LARGE.release()


def _lock(path: Path) -> threading.Lock:
    return _LOCKS[hash(path) % len(_LOCKS)]


def _size(path: Path, given: str) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ToolError(f"{given} cannot be read: {error.strerror}.") from error


def _text(path: Path, given: str) -> bytes:
    """The content of a file that holds UTF-8."""
    try:
        with opened(path, given) as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ToolError(f"{given} cannot be read: {error.strerror}.") from error
    if len(data) > LARGEST:
        raise ToolError(
            f"{given} is too large to edit, with more than {LARGEST:,} bytes: "
            "change it in bash, with `sed`."
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PIECE):
            decoder.decode(data[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise ToolError(_not_utf_8(data, given)) from error
    return data


def _not_utf_8(data: bytes, given: str) -> str:
    if data.startswith(_UTF_16):
        return (
            f"{given} is not UTF-8 text, but UTF-16: change it in bash, where `iconv -f UTF-16 "
            "-t UTF-8` and back again converts it."
        )
    return f"{given} is not UTF-8 text: change it in bash, where `iconv` converts it."
