"""Text with NUL characters, which PostgreSQL does not take and SQLite does.

A NUL is kept as two characters, DLE and `0`, and a DLE as DLE and `1`: what has neither, and so
nearly all text, lies in the table as it is. JSON has both as `\\u0000` and `\\u0010`, and needs
nothing.
"""

from typing import Final

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.adapt import Loader

__all__ = ["escaped", "load_escaped"]

_DLE: Final = "\x10"


def escaped(text: str) -> str:
    """What is kept of a text."""
    if "\0" in text or _DLE in text:
        return text.replace(_DLE, _DLE + "1").replace("\0", _DLE + "0")
    return text


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        text = str(data, "utf-8")
        if _DLE in text:
            return text.replace(_DLE + "0", "\0").replace(_DLE + "1", _DLE)
        return text


class _BytesLoader(Loader):
    """The beginning of a text, as bytes: it may end between the two characters of a pair."""

    def load(self, data: Buffer) -> bytes:
        kept = bytes.fromhex(str(data[2:], "ascii"))  # \x48656c6c6f
        if b"\x10" in kept:
            return kept.removesuffix(b"\x10").replace(b"\x100", b"\0").replace(b"\x101", b"\x10")
        return kept


def load_escaped(connection: Connection) -> None:
    """Have what the connection reads be what was kept."""
    connection.adapters.register_loader("text", _TextLoader)
    connection.adapters.register_loader("bytea", _BytesLoader)
