"""A directory tree: what is in it, however deep it is, and how to open that."""

# ruff: noqa: PTH118
# (pathlib is slow here)

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, TypeAlias

__all__ = ["SKIPPED", "Entry", "Request", "is_long", "named", "open_text", "walk"]

Request: TypeAlias = dict[str, Any]

SKIPPED = {".git", ".hg", ".svn", ".jj", "node_modules", ".venv", "venv", ".tox", ".nox"} | {
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
}
_LONGEST_PATH = 4_000  # bytes; the kernel takes 4,095 at once


class Entry(NamedTuple):
    """Something that is no directory: its path below the root, and the time of its last change.

    `regular`: it is a file, and neither a symlink nor a pipe, device or socket.
    """

    path: str
    regular: bool
    modified: int


def walk(root: str) -> Iterator[Entry]:
    """All that is no directory below `root`, by name; symlinks are not followed.

    What may not be read, or is gone when it is looked at, is left out.
    """
    names: list[str] = []
    waiting = [iter(_listing(root))]
    while waiting:
        for name, is_directory, regular, modified in waiting[-1]:
            if not is_directory:
                yield Entry("/".join([*names, name]), regular, modified)
            elif name not in SKIPPED:
                names.append(name)
                waiting.append(iter(_listing("/".join([root, *names]))))
                break
        else:
            waiting.pop()
            if names:
                names.pop()


def _listing(directory: str) -> list[tuple[str, bool, bool, int]]:
    found: list[tuple[str, bool, bool, int]] = []
    with contextlib.suppress(OSError):  # not ours to read, or gone
        descriptor = _opened(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        mode = status.st_mode
                        kind = stat.S_ISDIR(mode), stat.S_ISREG(mode)
                        found.append((entry.name, *kind, status.st_mtime_ns))
        finally:
            os.close(descriptor)
    return sorted(found)


def open_text(path: str) -> BinaryIO:
    """A regular file, open to be read. Raises OSError for all else, a pipe without a writer too."""
    descriptor = _opened(path, os.O_RDONLY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no regular file")
    return open(descriptor, "rb")  # noqa: PTH123 - a descriptor has no path


def is_long(path: str) -> bool:
    """Whether a path has to be walked in parts."""
    return len(os.fsencode(path)) > _LONGEST_PATH


def _opened(path: str, flags: int) -> int:
    """`os.open`, for a path of any length; never a symlink, and nothing is waited for."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if not is_long(path):
        return os.open(path, flags)
    at: int | None = None
    left = path.split("/")
    try:
        while left:
            part, length = [left.pop(0)], 0
            while left and (length := length + len(os.fsencode(left[0])) + 1) < _LONGEST_PATH // 2:
                part.append(left.pop(0))
            more = flags if not left else os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            following = os.open("/".join(part), more, dir_fd=at)
            if at is not None:
                os.close(at)
            at = following
    except OSError:
        if at is not None:
            os.close(at)
        raise
    assert at is not None  # noqa: S101 - `split` gives one part at least
    return at


def named(root: str, path: str) -> str:
    """A path below the root as it is shown, relative to the working directory."""
    return os.path.normpath(os.path.join(root, path))
