"""The one door between the paths a model gives and the file system: all stay in the work directory.

It keeps the file tools where they belong; it is no sandbox. Between the look and the use, another
process may put a symlink in the way, but whoever can run one (the tool `bash`) needs no such trick.
"""

import difflib
import os
import stat
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from wingman.errors import ToolError
from wingman.processes import clip
from wingman.tools.base import ToolContext

__all__ = ["display", "existing_file", "opened", "resolve"]

_NAMES_COMPARED = 2_000  # of a directory's, for a suggestion


def resolve(context: ToolContext, path: str) -> Path:
    """The absolute path, symlinks resolved, of a path relative to the work directory or absolute.

    It need not exist. Touches the file system: call it in a thread. Raises `ToolError` for what
    lies outside of the work directory, or is no path at all.
    """
    try:
        resolved = (context.work_dir / path).resolve()
        if resolved.is_relative_to(context.work_dir):
            resolved.exists()  # a name that is too long is found out only when it is looked for
            return resolved
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: symlinks in a circle
        why = error.strerror if isinstance(error, OSError) else error
        raise ToolError(f"{clip(path, 200)!r} is not a usable path: {why}.") from error
    raise ToolError(
        f"{path} is outside of the working directory {context.work_dir}: give a path inside of it."
    )


def existing_file(context: ToolContext, path: str) -> Path:
    """`resolve`, for what must be a regular file; the error says what is there instead."""
    resolved = resolve(context, path)
    if resolved.is_file():
        return resolved
    if resolved.is_dir():
        raise ToolError(f"{path} is a directory: list it with glob, or with `ls` in bash.")
    if resolved.exists():
        raise _special(path)
    raise ToolError(f"There is no file {path}.{_suggestion(resolved)}")


def opened(resolved: Path, path: str) -> BinaryIO:
    """A regular file, open to be read; what has become something else waits for nobody."""
    descriptor = os.open(resolved, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _special(path)
    return open(descriptor, "rb")  # noqa: PTH123 - a descriptor has no path


def display(context: ToolContext, path: Path) -> str:
    """A resolved path as the model should write it: relative to the work directory."""
    return str(path.relative_to(context.work_dir))


def _special(path: str) -> ToolError:
    return ToolError(f"{path} is neither a file nor a directory, but a device, pipe or socket.")


def _suggestion(missing: Path) -> str:
    try:
        with os.scandir(missing.parent) as entries:
            names = [entry.name for entry in islice(entries, _NAMES_COMPARED)]
    except OSError:
        return " Its directory does not exist either: find the file with glob."
    if close := difflib.get_close_matches(missing.name, names, n=3):
        return f" Its directory has {', '.join(close)}."
    return " Find it with glob."
