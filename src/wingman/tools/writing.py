"""The tools `write` and `edit`: a file is replaced as a whole and at once, or not at all."""

import contextlib
import os
import secrets
import stat
import threading
from pathlib import Path
from typing import Annotated

import msgspec

from wingman.errors import ToolError
from wingman.tools.base import ToolContext
from wingman.tools.decorator import tool
from wingman.tools.paths import display, existing_file, resolve

__all__ = ["edit", "write"]

_LARGEST_EDIT = 10_000_000  # bytes

# Sibling calls run at once, and two edits of one file must not lose the one or the other. Files
# share a fixed number of locks, each held for a read and a write.
_LOCKS = tuple(threading.Lock() for _ in range(64))

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


@tool
def write(path: NonEmpty, content: str, context: ToolContext) -> str:
    """Write a file in the working directory: make it, with its directories, or replace all of it.

    To change a part of a file, use edit.

    Args:
        path: The file, relative to the working directory or absolute.
        content: All that the file shall hold.
    """
    resolved = resolve(context, path)
    if resolved.exists():
        existing_file(context, path)
    data = _encode(content)
    with _lock(resolved):
        _replace(resolved, data, path)
    return f"Wrote {len(data):,} bytes to {display(context, resolved)}."


@tool
def edit(
    path: NonEmpty, old: NonEmpty, new: str, context: ToolContext, replace_all: bool = False
) -> str:
    """Replace text in a file of the working directory.

    `old` must occur exactly once, character for character, so give it with enough of the lines
    around it; or set `replace_all`.

    Args:
        path: The file, relative to the working directory or absolute.
        old: The text to replace, without the line numbers that read shows.
        new: What takes its place.
        replace_all: Replace every occurrence.
    """
    resolved = existing_file(context, path)
    with _lock(resolved):
        text = _decode(resolved, path)
        changed, count, line = _substitute(text, old, new, path, replace_all)
        _replace(resolved, _encode(changed), path)
    where = f"{count} occurrences" if count > 1 else f"1 occurrence, at line {line},"
    return f"Replaced {where} in {display(context, resolved)}."


def _substitute(
    text: str, old: str, new: str, path: str, replace_all: bool
) -> tuple[str, int, int]:
    """The text with its change, how many occurrences were replaced, and the line of the first."""
    if "\r\n" in text and old not in text:  # the model was shown lines without their ends
        old, new = _with_crlf(old), _with_crlf(new)
    if old == new:
        raise ToolError("old and new are the same text: there is nothing to change.")
    first = text.find(old)
    if first < 0:
        raise ToolError(
            f"old was found 0 times in {path}: read the file again, "
            "and copy the text exactly, with its indentation."
        )
    if not replace_all and text.rfind(old) != first:
        raise ToolError(
            f"old was found {max(text.count(old), 2)} times in {path}: "
            "give more of the lines around it, or set replace_all."
        )
    return text.replace(old, new), text.count(old), text.count("\n", 0, first) + 1


def _with_crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _lock(path: Path) -> threading.Lock:
    return _LOCKS[hash(path) % len(_LOCKS)]


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ToolError(f"The text cannot be written as UTF-8: {error}") from error


def _decode(path: Path, given: str) -> str:
    try:
        if path.stat().st_size > _LARGEST_EDIT:
            raise ToolError(f"{given} is too large to edit: change it in bash, with `sed`.")
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ToolError(f"{given} is not UTF-8 text: change it in bash.") from error
    except OSError as error:
        raise ToolError(f"{given} cannot be read: {error.strerror}.") from error


def _replace(path: Path, data: bytes, given: str) -> None:
    """Put `data` in the file's place in one move, with the mode it has; a new one gets the umask's.

    A reader sees the old file or the new one. Hard links keep the old one, as with most editors.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _mode(path)
        with temporary.open("xb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ToolError(f"{given} cannot be written: {error.strerror}.") from error


def _mode(path: Path) -> int | None:
    """The file's permissions, or None without a file. A read-only file stays what it is."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
    if not mode & stat.S_IWUSR:
        raise PermissionError(None, "it is read-only; if you may change it, `chmod u+w` it first")
    return mode
