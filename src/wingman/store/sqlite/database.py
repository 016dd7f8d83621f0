"""Database: one SQLite file, opened, owned, brought up to date, and written. Synchronous.

This module knows nothing of trio: what it does, it does on the thread that calls it.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias, cast

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from wingman.errors import StoreError, StoreTooNew
from wingman.store.call import Call
from wingman.store.sqlite import schema, versions
from wingman.store.sqlite.batch import STATEMENT_TEXTS, write_in_order, write_together
from wingman.store.sqlite.ownership import OwnerLock

__all__ = ["READERS", "Database", "Synchronous"]

Synchronous: TypeAlias = Literal["full", "normal"]
"""`normal` survives a crash of the process; a loss of power may take the last commits with it."""

READERS = 4
"""Connections that read at the same time."""

_BUSY_TIMEOUT = 5_000  # ms; only a person with `sqlite3` can be in the way, for a moment

_OLDEST_SQLITE = (3, 33, 0)  # the first with UPDATE FROM

_NOT_THE_CALLS_FAULT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)


class Database:
    """The file at `path`. Made, with its directories, if it is not there."""

    def __init__(self, path: Path, synchronous: Synchronous) -> None:
        self.path = path
        self._synchronous = synchronous
        self._lock = OwnerLock(path)
        self._engine: Engine | None = None
        self._writing: Connection | None = None

    def open(self) -> None:
        """Lock the file, check that it is ours, and bring it up to date.

        Raises `StoreLocked`, `StoreTooNew`, or `StoreError` for a file that is something else.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: 3.33 is needed.")
        _make_private(self.path.parent)
        self._lock.take()
        try:
            with translated(self.path):
                _touch_private(self.path)
                self._engine = _engine(self.path, self._synchronous)
                self._writing = self._engine.connect()
                _bring_up_to_date(self._writing, self.path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Fold the write-ahead log into the file, and let others have it."""
        try:
            if self._engine is not None:
                with translated(self.path):
                    self._close_connections(self._engine)
        finally:
            self._engine = self._writing = None
            self._lock.release()

    def _close_connections(self, engine: Engine) -> None:
        try:
            if self._writing is not None:
                self._writing.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
        finally:
            if self._writing is not None:
                self._writing.close()
            engine.dispose()

    # --- reading ----------------------------------------------------------------------------------

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees the database as of one moment."""
        if self._engine is None:
            raise StoreError("The store is not open: nothing can be read from it.")
        with translated(self.path), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    # --- writing ----------------------------------------------------------------------------------

    def commit(self, calls: Sequence[Call]) -> None:
        """Commit these calls in one transaction, without those that cannot be.

        A call that fails is found by halving, so that its neighbours hardly pay for it.
        """
        try:
            self._transact(calls)
        except Exception as error:  # the writer outlives whatever is in a call
            if len(calls) == 1 or _is_of_the_disk(error):
                for call in calls:
                    call.failure = StoreError(str(error))
                    call.failure.__cause__ = error
            else:
                middle = len(calls) // 2
                self.commit(calls[:middle])
                self.commit(calls[middle:])

    def _transact(self, calls: Sequence[Call]) -> None:
        connection = self._driver()
        try:
            connection.execute("BEGIN IMMEDIATE")
            if len(calls) == 1:
                write_in_order(connection, calls[0].changes)
            else:
                write_together(connection, (change for call in calls for change in call.changes))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _driver(self) -> sqlite3.Connection:
        """The connection without SQLAlchemy, whose share of a statement exceeds SQLite's."""
        if self._writing is None:
            raise StoreError("The store is not open: nothing can be written to it.")
        return cast("sqlite3.Connection", self._writing.connection.driver_connection)


def _is_of_the_disk(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _NOT_THE_CALLS_FAULT


# --- opening --------------------------------------------------------------------------------------


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what the database raises as `StoreError`. No parameter of a statement is in it."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"{path}: {getattr(error, 'orig', None) or error}") from error
    except (sqlite3.Error, msgspec.MsgspecError, OSError) as error:
        raise StoreError(f"{path}: {error}") from error


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Cannot make the directory {directory}: {error.strerror}.") from error


def _touch_private(path: Path) -> None:
    """Make the file before SQLite does: it holds credentials. The log's files take its mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _engine(path: Path, synchronous: Synchronous) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=READERS + 1,  # and the one that writes
        max_overflow=0,
        isolation_level="AUTOCOMMIT",  # transactions are begun by name, not by the driver's guess
        hide_parameters=True,
        connect_args={"check_same_thread": False, "cached_statements": STATEMENT_TEXTS},
    )

    @event.listens_for(engine, "connect")
    def configure(driver: sqlite3.Connection, _: object) -> None:
        driver.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
        driver.execute(f"PRAGMA synchronous = {synchronous}")

    return engine


def _bring_up_to_date(connection: Connection, path: Path) -> None:
    version = _version(connection, path)
    newest = len(versions.STEPS)
    if version > newest:
        raise StoreTooNew(
            f"{path} was written by a later Wingman (its version is {version}, this one knows "
            f"{newest}): use that one."
        )
    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    if version < newest:
        _migrate(connection, version)


def _migrate(connection: Connection, version: int) -> None:
    """Take the steps that are missing, all or none."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        for step in versions.STEPS[version:]:
            step(connection)
        connection.exec_driver_sql(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version = {len(versions.STEPS)}")
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise


def _version(connection: Connection, path: Path) -> int:
    """The schema's version, 0 for an empty file; raise `StoreError` if the file is not ours."""
    application, version, tables = connection.exec_driver_sql(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
        " FROM pragma_application_id, pragma_user_version"
    ).one()
    if application != schema.APPLICATION_ID and (application, version, tables) != (0, 0, 0):
        raise StoreError(f"{path} is a database, but not one of Wingman's.")
    return int(version)
