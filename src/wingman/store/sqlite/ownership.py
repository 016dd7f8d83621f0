"""OwnerLock: a database has one owner.

The lock is an `flock` on a file beside the database, never on the database itself: SQLite's own
locks are POSIX ones, which the process loses as soon as *any* descriptor of the file is closed
(https://www.sqlite.org/howtocorrupt.html, 2.2). The kernel drops an `flock` when its holder dies,
so no lock is ever stale; the file stays behind, empty, because removing it would let two owners in.
"""

import fcntl
import os
from pathlib import Path

from wingman.errors import StoreError, StoreLocked

__all__ = ["OwnerLock"]


class OwnerLock:
    """Held from `take` to `release`, or to the end of the process."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file = database.with_name(database.name + ".lock")
        self._descriptor: int | None = None

    def take(self) -> None:
        """Own the database; raise `StoreLocked`, naming the holder, if somebody else does."""
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"Cannot lock {self._database}: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StoreLocked(
                f"{self._database} is in use by process {holder or 'unknown'}, and a database has "
                "one owner: stop that process, or give this one another database."
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StoreError(f"Cannot lock {self._database}: {error.strerror}.") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others in. Harmless when it is not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
