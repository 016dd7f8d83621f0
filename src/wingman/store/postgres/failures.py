"""What PostgreSQL and its driver raise, as Wingman's own errors: whose fault it is, what to do."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import psycopg

from wingman.errors import StoreError, StoreUnavailable

__all__ = ["Hide", "translated"]

Hide = Callable[[str], str]
"""A text without the passwords that may be in it."""

_IN_THE_WAY: Final = "Other transactions are in the way: end them."
_NOT_THERE: Final = "Look whether PostgreSQL runs, and whether it can be reached from here."
_READ_ONLY: Final = "It takes no writes: look whether it is a replica, or was made read-only."

# The storage's doing, and what to do about it, by the code or by its class:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_ADVICE: Final = {
    "08": _NOT_THERE,
    "25006": _READ_ONLY,
    "25": _NOT_THERE,
    "28": "Look at the user and the password, and at the server's pg_hba.conf.",
    "3D000": "Make the database first: CREATE DATABASE.",
    "3F000": "Make the schema of the search_path first: CREATE SCHEMA.",
    "40": _IN_THE_WAY,
    "42501": "Let this role read and write Wingman's tables: GRANT, or make it their owner.",
    "42P01": "A table of Wingman's is gone: stop Wingman, and restore a backup.",
    "53100": "Make room on the disk of the server.",
    "53300": "Raise max_connections, or the limit of this role or database: a node needs six.",
    "53": "The server lacks memory or other resources.",
    "55P03": "Another session holds a lock on Wingman's tables: end its transaction.",
    "57014": "A time limit of the server ended it: raise statement_timeout for this role.",
    "57P03": "The server is starting or stopping: Wingman tries again.",
    "57": _NOT_THERE,
    "58": "Look at the server's log, and at its disk.",
    "XX": "Look at the server's log: its data may be damaged, and a backup be needed.",
}


@contextmanager
def translated(name: str, hide: Hide) -> Iterator[None]:
    """Raise what the database raises as `StoreUnavailable` or `StoreError`.

    No parameter of a statement is in the text, and no password.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _of(name, error, hide) from None  # its details have what was written
    except MemoryError as error:
        raise StoreUnavailable(f"{name}: there is not enough memory.") from error
    except msgspec.MsgspecError as error:
        raise StoreError(f"{name}: a row of it is damaged: {error}") from error


def _of(name: str, error: psycopg.Error, hide: Hide) -> StoreError:
    code = error.sqlstate
    text = hide(_text(error))
    if code is None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return StoreUnavailable(f"{name}: {text}. {_advice_without_code(text)}")
        return StoreError(f"{name}: {text}")
    advice = _ADVICE.get(code) or _ADVICE.get(code[:2])
    if advice is not None:
        return StoreUnavailable(f"{name}: {text}. {advice}")
    if code.startswith("22"):  # data: its text says which
        return StoreError(f"{name}: a value cannot be kept ({type(error).__name__}).")
    return StoreError(f"{name}: {text}")


def _text(error: psycopg.Error) -> str:
    """One line. Of several addresses that were tried, the last one's."""
    text = error.diag.message_primary or str(error).strip() or type(error).__name__
    lines = [re.sub(r"^[\s-]+|\.$", "", line) for line in text.splitlines() if line.strip()]
    return " ".join(lines)


# What the server says before it knows the client comes as text alone.
_BY_TEXT: Final = {
    "too many clients": "53300",
    "remaining connection slots": "53300",
    "too many connections": "53300",
    "password": "28",
    "pg_hba.conf": "28",
    "does not exist": "3D000",
    "starting up": "57P03",
    "shutting down": "57P03",
    "session is read-only": "25006",
    "in recovery": "25006",
}


def _advice_without_code(text: str) -> str:
    for part, code in _BY_TEXT.items():
        if part in text:
            return _ADVICE[code]
    return _NOT_THERE
