"""Database: one SQLite file, opened, owned, brought up to date, and written. Synchronous.

This module knows nothing of trio: what it does, it does on the thread that calls it.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

from wingman.errors import StoreError, StoreUnavailable
from wingman.store.changes import Change
from wingman.store.sql import Reading, versions, write_calls
from wingman.store.sqlite.connection import STATEMENT_TEXTS, Connection
from wingman.store.sqlite.failures import translated
from wingman.store.sqlite.files import (
    APPLICATION_ID,
    Watch,
    check_is_ours,
    check_version,
)
from wingman.store.sqlite.ownership import Owner

__all__ = ["BUSY_TIMEOUT", "Database", "Reader", "Synchronous"]

Synchronous: TypeAlias = Literal["full", "normal"]
"""`normal` survives a crash of the process; a loss of power may take the last commits with it."""

BUSY_TIMEOUT: Final = 5.0
"""Seconds; only a person with `sqlite3`, or a backup, can be in the way, for a moment."""

_OLDEST_SQLITE: Final = (3, 33, 0)  # the first with UPDATE FROM

T = TypeVar("T")


class Database:
    """The file at `path`. Made, with its directories, if it is not there.

    One thread opens, writes and closes it. Others read, each by a `Reader` of its own.
    """

    def __init__(
        self, path: Path, synchronous: Synchronous, busy_timeout: float = BUSY_TIMEOUT
    ) -> None:
        self.path = path
        self._synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._owner = Owner(path)
        self._writing: Connection | None = None
        self._watch: Watch | None = None
        self._gone: StoreUnavailable | None = None
        self._readers = 0
        self._reader_left = threading.Condition()

    @property
    def name(self) -> str:
        """What errors call it."""
        return str(self.path)

    def open(self) -> None:
        """Own the file, check that it is ours, and bring it up to date.

        Raises `StoreLocked`, `StoreTooNew`, `StoreError` for a file that is something else, or
        `StoreUnavailable`.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: 3.33 is needed.")
        _make_private(self.path.parent)
        self._owner.take()
        try:
            with translated(self.path):
                check_is_ours(self.path, self._owner.descriptor, len(versions.STEPS))
                self._writing = self.connect()
                _bring_up_to_date(self._writing, self.path)
                self._watch = Watch(self.path, self._owner.identity)
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Wait for the readers, fold the write-ahead log into the file, and let others have it."""
        with self._reader_left:
            self._reader_left.wait_for(lambda: not self._readers)
        try:
            with translated(self.path):
                self.writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        try:
            if self._writing is not None:
                self._writing.close()
        finally:
            self._writing = None
            self._owner.release()

    def connect(self) -> Connection:
        """A connection for one thread, for as long as the database is open."""
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",  # if the file is gone by now, none is made
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,  # transactions are begun by name, not by the driver's guess
            check_same_thread=False,
            cached_statements=STATEMENT_TEXTS,
            factory=Connection,
        )
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        return connection

    @property
    def writing(self) -> Connection:
        """The connection that writes."""
        if self._writing is None:
            raise StoreUnavailable(f"{self.path} is not open.")
        return self._writing

    # --- writing ----------------------------------------------------------------------------------

    def commit(self, calls: Sequence[tuple[Change, ...]]) -> None:
        """Commit the changes of all these calls, or of none.

        Raises `StoreUnavailable` where the storage is at fault, else what one of the calls raises.
        """
        self._transact(lambda connection: write_calls(connection, calls))

    def probe(self) -> None:
        """Commit a page that is as it was; raise `StoreUnavailable` if that is not possible."""
        self.writing.execute("PRAGMA busy_timeout = 0")  # there is a next time
        try:
            version = len(versions.STEPS)
            self._transact(
                lambda connection: connection.execute(f"PRAGMA user_version = {version}")
            )
        finally:
            self.writing.execute(f"PRAGMA busy_timeout = {round(self._busy_timeout * 1000)}")

    def _transact(self, write: Callable[[Connection], object]) -> None:
        if self._gone is not None:
            raise self._gone
        if self._writing is None or self._watch is None:
            raise StoreUnavailable(f"{self.path} is not open.")
        connection = self._writing
        with translated(self.path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                write(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.nothing_waits = False  # it may have been found out of what is undone
                if connection.in_transaction:
                    with suppress(sqlite3.Error):  # SQLite has rolled back what it could not write
                        connection.execute("ROLLBACK")
                raise
            self._check_files(self._watch)

    def _check_files(self, watch: Watch) -> None:
        """Raise `StoreUnavailable`, now and ever after, if what is written has no name any more."""
        try:
            watch.check_database()
            if not watch.log_is_there():
                raise watch.log_is_gone(saved=self._fold_the_log())
        except StoreUnavailable as error:
            self._gone = error
            raise

    def _fold_the_log(self) -> bool:
        with suppress(sqlite3.Error):
            row = self.writing.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            return bool(row[0] == 0 and row[1] == row[2])
        return False

    # --- reading ----------------------------------------------------------------------------------

    def reader(self) -> "Reader":
        """A connection that reads, for the thread that calls this."""
        with translated(self.path):
            connection = self.connect()
        with self._reader_left:
            self._readers += 1
        return Reader(self, connection)

    def reader_left(self) -> None:
        """A reader's connection is closed."""
        with self._reader_left:
            self._readers -= 1
            self._reader_left.notify_all()


class Reader:
    """One connection that reads."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._database = database
        self._connection = connection

    def read(self, query: Callable[[Reading], T]) -> T:
        """What `query` finds in the database as of one moment."""
        with translated(self._database.path):
            self._connection.execute("BEGIN")
            try:
                return query(self._connection)
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection; the database waits for that when it is closed."""
        try:
            self._connection.close()
        finally:
            self._database.reader_left()


# --- opening --------------------------------------------------------------------------------------


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Cannot make the directory {directory}: {error.strerror}.") from error


def _bring_up_to_date(connection: Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    check_version(path, version, len(versions.STEPS))
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"{path}: SQLite's write-ahead log does not work on its file system.")
    if version < len(versions.STEPS):
        _migrate(connection, version)
        # So that the file's first bytes say whose it is. If it is not done, the log says it.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # the log is there


def _migrate(connection: Connection, version: int) -> None:
    """Take the steps that are missing, all or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in versions.STEPS[version:]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(versions.STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
