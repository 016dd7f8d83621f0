"""Ownership: a database has one owner.

On Linux the lock is an `flock` on the database file itself, which nobody can delete separately
from it; the kernel keeps `flock` and the POSIX locks of SQLite apart. Elsewhere the two conflict,
and the `flock` is on a file beside the database, which stays behind. The kernel drops the lock
when its holder dies, so none is ever stale.

A process loses its POSIX locks, and so SQLite's, as soon as it closes *any* descriptor of the file
(https://www.sqlite.org/howtocorrupt.html, 2.2). So the descriptor is closed after SQLite has
closed its own, and none is opened of a database that this process owns already.
"""

import fcntl
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Final, TypeAlias

from wingman.errors import StoreError, StoreLocked, StoreUnavailable

__all__ = ["Identity", "Owner", "identity"]

Identity: TypeAlias = tuple[int, int]
"""A file's device and inode: a file that replaces it has others."""

LOCKS_THE_DATABASE: Final = sys.platform == "linux"

_owned: Final[set[Identity]] = set()
_lock: Final = threading.Lock()


def identity(path: Path) -> Identity | None:
    """Which file is there; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class Owner:
    """Owns the database from `take` to `release`, or to the end of the process.

    `descriptor` is one of the database, to look at it before SQLite does.
    """

    def __init__(self, database: Path, *, beside: bool = not LOCKS_THE_DATABASE) -> None:
        self._database = database
        self._beside = database.with_name(database.name + ".lock")
        self._locks_beside = beside
        self._identity: Identity = (0, 0)
        self._descriptor = -1
        self._lock_descriptor = -1

    @property
    def identity(self) -> Identity:
        """Which file it is that is owned."""
        return self._identity

    @property
    def descriptor(self) -> int:
        """The database, open for reading and writing."""
        return self._descriptor

    def take(self) -> None:
        """Own the database, which is made if it is not there.

        Raises `StoreLocked`, naming the holder, if somebody else owns it, and `StoreError` for what
        cannot be opened or locked.
        """
        with _lock:
            try:
                if identity(self._database) in _owned:
                    raise self._locked(os.getpid())
                self._open()
                self._take_lock()
            except OSError as error:
                self._close()
                raise StoreError(f"Cannot open {self._database}: {error.strerror}.") from error
            except BaseException:
                self._close()
                raise
            _owned.add(self.identity)

    def release(self) -> None:
        """Let others in, after SQLite has closed the file. Harmless when it is not held."""
        with _lock:
            _owned.discard(self._identity)
            self._close()

    def _open(self) -> None:
        # Private, and made before SQLite does it: there are credentials in it, and the log's files
        # take its mode.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        self._descriptor = os.open(self._database, flags, 0o600)
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{self._database} is not a file.")
        self._identity = (found.st_dev, found.st_ino)

    def _take_lock(self) -> None:
        if self._locks_beside:
            descriptor = os.open(self._beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._flock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._lock_descriptor = descriptor
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        else:
            self._flock(self._descriptor)
            self._supersede_old_lock()
        if identity(self._database) != self._identity:
            raise StoreUnavailable(f"{self._database} was replaced while it was being opened.")

    def _flock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._locked(self._holder(descriptor)) from error

    def _supersede_old_lock(self) -> None:
        """Earlier versions locked a file beside the database: respect it, and remove it."""
        try:
            descriptor = os.open(self._beside, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self._flock(descriptor)
            self._beside.unlink()
        finally:
            os.close(descriptor)

    def _holder(self, descriptor: int) -> int | None:
        """The process that holds the `flock` on this file, as far as the system tells."""
        written = os.pread(descriptor, 32, 0).strip()
        if written.isdigit():
            return int(written)
        inode = str(os.fstat(descriptor).st_ino)
        try:
            locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        for line in locks:  # 1: FLOCK  ADVISORY  WRITE 4242 08:01:131073 0 EOF
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return int(fields[4]) if int(fields[4]) > 0 else None
        return None

    def _locked(self, holder: int | None) -> StoreLocked:
        who = "another process" if holder is None else f"process {holder}"
        return StoreLocked(
            f"{self._database} is in use by {who}, and a database has one owner: "
            "stop that process, or give this one another database."
        )

    def _close(self) -> None:
        self._identity = (0, 0)
        if self._lock_descriptor >= 0:
            os.ftruncate(self._lock_descriptor, 0)
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
