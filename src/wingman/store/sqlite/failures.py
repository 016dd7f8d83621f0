"""What SQLite and the system raise, as Wingman's own errors: whose fault it is, and what to do."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from wingman.errors import StoreError, StoreUnavailable

__all__ = ["translated"]

# The storage's doing, and what to do about it. Everything else is the statement's own fault.
_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "Another program holds the database's lock: end its transaction.",
    sqlite3.SQLITE_CANTOPEN: "Look whether it is still there, and who may open it.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: stop Wingman, and put a backup in its place.",
    sqlite3.SQLITE_FULL: "Make room on its disk.",
    sqlite3.SQLITE_IOERR: "Look at its disk, and at the limits on the size of files.",
    sqlite3.SQLITE_LOCKED: "Another program holds the database's lock: end its transaction.",
    sqlite3.SQLITE_NOLFS: "The file is as big as its file system lets it be.",
    sqlite3.SQLITE_NOTADB: "The file is damaged: stop Wingman, and put a backup in its place.",
    sqlite3.SQLITE_PERM: "Look who may write to it.",
    sqlite3.SQLITE_PROTOCOL: "Another program holds the database's lock: end its transaction.",
    sqlite3.SQLITE_READONLY: "Look whether its disk is mounted read-only, and who may write to it.",
}

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what the database raises as `StoreUnavailable` or `StoreError`.

    No parameter of a statement is in the text.
    """
    try:
        yield
    except sqlite3.Error as error:
        advice = _ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if advice is None:
            raise StoreError(f"{path}: {error}") from error
        raise StoreUnavailable(f"{path}: {error}. {advice}") from error
    except MemoryError as error:
        raise StoreUnavailable(f"{path}: there is not enough memory.") from error
    except OSError as error:
        advice = _ADVICE[sqlite3.SQLITE_FULL if error.errno in _FULL else sqlite3.SQLITE_IOERR]
        raise StoreUnavailable(f"{path}: {error.strerror}. {advice}") from error
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path}: a row of it is damaged: {error}") from error
