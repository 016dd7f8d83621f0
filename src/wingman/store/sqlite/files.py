"""The database's files: which one a URL means, whether it is ours, whether it is still the same."""

import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from wingman.errors import StoreError, StoreTooNew, StoreUnavailable
from wingman.store.sqlite.ownership import Identity, identity

__all__ = ["APPLICATION_ID", "Watch", "check_is_ours", "check_version", "path_of"]

APPLICATION_ID: Final = 0x57494E47
"""`PRAGMA application_id` of a Wingman database: "WING"."""

_URL: Final = re.compile(
    r"(?P<scheme>[\w+]+)://(?P<host>[^/?]*)(/(?P<database>[^?]*))?(?P<query>\?.*)?", re.DOTALL
)

_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100  # bytes; https://www.sqlite.org/fileformat2.html, 1.3
_PAGE_SIZE: Final = slice(16, 18)  # 1 means 65536, and is not ours
_USER_VERSION: Final = slice(60, 64)
_APPLICATION_ID: Final = slice(68, 72)


def path_of(url: str | Path) -> Path:
    """The file that a URL, or a path, names; symbolic links are followed, once.

    Errors do not repeat the URL: there may be a password in it.
    """
    if isinstance(url, str) and "://" in url:
        parsed = _URL.fullmatch(url)
        if parsed is None:
            raise StoreError("The database's URL is not one: it looks like sqlite:///path.")
        backend = parsed["scheme"].partition("+")[0]
        if backend != "sqlite":
            raise StoreError(
                f"Wingman keeps its sessions in SQLite or PostgreSQL, not in {backend}: "
                "give a path, sqlite:///path, or postgresql://user@host/database."
            )
        if parsed["query"] or parsed["host"] or not parsed["database"]:
            raise StoreError("A SQLite URL names a file and nothing else: sqlite:///path.")
        url = parsed["database"]
    return Path(url).expanduser().resolve()


def check_is_ours(path: Path, descriptor: int, newest: int) -> None:
    """Look at a file before SQLite does; raise `StoreError` if it is something else.

    Nothing of the file changes by it. An empty file may become ours.
    """
    header = os.pread(descriptor, _HEADER, 0)
    if not header:
        return
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise StoreError(f"{path} is not a database: give Wingman another path.")
    application = int.from_bytes(header[_APPLICATION_ID], "big")
    version = int.from_bytes(header[_USER_VERSION], "big", signed=True)
    if application == APPLICATION_ID:
        check_version(path, version, newest)
    elif (
        (application, version) != (0, 0)
        or os.fstat(descriptor).st_size > int.from_bytes(header[_PAGE_SIZE], "big")
        or not _is_empty(path)
    ):
        raise StoreError(f"{path} is a database, but not one of Wingman's.")


def check_version(path: Path, version: int, newest: int) -> None:
    """Raise `StoreTooNew` if a later Wingman wrote this."""
    if version > newest:
        raise StoreTooNew(
            f"{path} was written by a later Wingman (its version is {version}, this one knows "
            f"{newest}): use that one."
        )


def _is_empty(path: Path) -> bool:
    """Whether this database, which does not say whose it is, is ours, or has no tables.

    It is one page long, and its log may hold the rest: a Wingman that was killed while it made it,
    or soon after in versions 1 and 2, has left it like that. SQLite would write beside what it
    reads: it gets a copy.
    """
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "copy.db"
        shutil.copyfile(path, copy)
        log = path.with_name(path.name + "-wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name("copy.db-wal"))
        with closing(sqlite3.connect(copy)) as connection:
            application, version, tables = connection.execute(
                "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
                " FROM pragma_application_id, pragma_user_version"
            ).fetchone()
    return application == APPLICATION_ID or (application, version, tables) == (0, 0, 0)


class Watch:
    """Notices when the database, or its log, is removed or replaced while it is in use.

    SQLite would go on writing to what has no name any more, and all of it would be lost.
    """

    def __init__(self, path: Path, database: Identity) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._database_identity = database
        self._log_identity = identity(self._log)
        self._size = 0

    def check_database(self) -> None:
        """Raise `StoreUnavailable` if the database is not the file that was opened, or was cut.

        SQLite never makes it smaller while it is in use.
        """
        if identity(self._path) == self._database_identity:
            size = self._path.stat().st_size
            if size < self._size:
                raise StoreUnavailable(
                    f"{self._path} was cut from {self._size:,} to {size:,} bytes while Wingman "
                    "used it, and what it held is damaged. Stop Wingman, put a backup in its "
                    "place, remove the -wal and -shm files, and start Wingman again.",
                    retry_after=0,
                )
            self._size = size
        else:
            raise StoreUnavailable(
                f"{self._path} was removed or replaced while Wingman used it. What was written "
                "since then, and what the removed file held, is lost when Wingman ends. Before "
                f"that, it can be copied from /proc/{os.getpid()}/fd. Stop Wingman. If the "
                f"file was moved, move it back to where {self._log.name} is, and keep both. If it "
                "was deleted, take the copy or a backup, and remove the -wal and -shm files first.",
                retry_after=0,
            )

    def log_is_there(self) -> bool:
        """Whether the write-ahead log is what it was when the database was opened."""
        return identity(self._log) == self._log_identity

    def log_is_gone(self, *, saved: bool) -> StoreUnavailable:
        """What to say when it is not. `saved`: what was in it has been folded into the database."""
        what = (
            "All that was acknowledged is safe, since it was folded into the database; what was "
            "being written just then may be there, too."
            if saved
            else "What was acknowledged last may be lost when Wingman ends."
        )
        return StoreUnavailable(
            f"{self._log} was removed or replaced while Wingman used it. {what} "
            "Start Wingman again.",
            retry_after=0,
        )
