"""A file's content is replaced, as a whole or not at all, and what belongs to the file stays.

As a rule the new content is made beside the file and moves into its place in one step: a reader
sees the old file or the new one, whatever happens. The new one is given the old one's owner, mode,
ACL and extended attributes.

Some files can be kept only by writing into them: those with several names (hard links), mount
points, those in a directory that may not be written, and those whose owner or attributes could not
be given to another. A write into a file that fails is undone: nothing it needs space for begins
before the space is there, and what it overwrites is held in memory until it has succeeded. Only
if this process is killed, or the machine stops, within those milliseconds, the file may be left
with some of each.
"""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from wingman.errors import ToolError

__all__ = ["replace"]

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# A write takes a file's capabilities from it, as it takes setuid: https://man7.org/capabilities.7
_LOST_BY_A_WRITE: Final = {"security.capability"}


def replace(path: Path, data: bytes | bytearray, given: str) -> None:
    """Put `data` into the file at `path`, or make it, with its directories and the umask's mode.

    `path` is resolved; if there is something, it is a regular file. Raises `ToolError`, which names
    the file as it was `given`: then the file is as it was.
    """
    try:
        try:
            before = path.stat()
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            _move_in(path, data, None)
            return
        _refuse_unwritable(path, before)
        if not _replaced(path, data, before):
            _write_into(path, data)
    except OSError as error:
        raise ToolError(f"{given} cannot be written: {error.strerror}.") from error


def _refuse_unwritable(path: Path, before: os.stat_result) -> None:
    """What could not be written plainly is not replaced either, though its directory may allow."""
    if not before.st_mode & stat.S_IWUSR:
        raise PermissionError(None, "it is read-only; if you may change it, `chmod u+w` it first")
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(None, "it belongs to another user, who lets only some write it")


def _replaced(path: Path, data: bytes | bytearray, before: os.stat_result) -> bool:
    """Replace the file by a new one; False if that cannot be without losing what belongs to it."""
    if before.st_nlink > 1:
        return False
    try:
        _move_in(path, data, before)
    except OSError as error:
        if error.errno in _FULL:
            raise
        return False
    return True


def _move_in(path: Path, data: bytes | bytearray, before: os.stat_result | None) -> None:
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            if before is not None:
                _dress(file.fileno(), path, before)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _dress(new: int, path: Path, before: os.stat_result) -> None:
    """Give a new file what the old one has, as far as a write would have left it."""
    own = os.fstat(new)
    if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(new, before.st_uid, before.st_gid)
    wanted = _attributes(path)
    has = _attributes(new)
    for name in has.keys() - wanted.keys() - _LOST_BY_A_WRITE:
        os.removexattr(new, name)
    os.fchmod(new, _mode_after_a_write(before.st_mode))  # after the owner, before the ACL
    for name, value in wanted.items():
        if has.get(name) != value:
            os.setxattr(new, name, value)


def _mode_after_a_write(mode: int) -> int:
    """Only root may write a file and leave it setuid: https://man7.org/linux/man-pages/man2/write.2"""
    mode = stat.S_IMODE(mode)
    if os.geteuid() == 0:
        return mode
    with_group = stat.S_ISGID if mode & stat.S_IXGRP else 0
    return mode & ~(stat.S_ISUID | with_group)


def _attributes(file: Path | int) -> dict[str, bytes]:
    """The extended attributes, ACLs among them; none where the system or file system has none."""
    if not hasattr(os, "listxattr"):
        return {}
    try:
        names = set(os.listxattr(file)) - _LOST_BY_A_WRITE
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {name: os.getxattr(file, name) for name in names}


def _write_into(path: Path, data: bytes | bytearray) -> None:
    """Write into the file itself. What it holds is put back if that fails."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        saved = _read(descriptor, min(size, len(data)))
        try:
            if data and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, len(data))
            _write(descriptor, data)
            os.ftruncate(descriptor, len(data))
        except BaseException:
            _write(descriptor, saved)
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _read(descriptor: int, size: int) -> bytes:
    pieces: list[bytes] = []
    done = 0
    while done < size and (piece := os.pread(descriptor, size - done, done)):
        pieces.append(piece)
        done += len(piece)
    return b"".join(pieces)


def _write(descriptor: int, data: bytes | bytearray) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(data):
            done += os.pwrite(descriptor, view[done:], done)
