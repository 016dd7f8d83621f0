"""Database: one schema of a PostgreSQL server, owned, brought up to date, and written. Synchronous.

What is committed goes over one connection, which holds the lock; each reader has its own. A
connection that is lost is made again by whoever needs it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, TypeVar

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure

from wingman.errors import StoreError, StoreLocked, StoreUnavailable
from wingman.foreign import copy_of
from wingman.store.changes import Change
from wingman.store.disk import InDoubt
from wingman.store.postgres.address import Address
from wingman.store.postgres.connection import Connection
from wingman.store.postgres.dial import Dial
from wingman.store.postgres.failures import translated
from wingman.store.postgres.ownership import Owner
from wingman.store.postgres.tables import bring_up_to_date, check_server
from wingman.store.sql import Reading, write_calls

__all__ = ["BUSY_TIMEOUT", "Database", "Reader"]

BUSY_TIMEOUT: Final = 5.0
"""Seconds that a commit waits for another session's lock on the tables."""

_ATTEMPTS: Final = 3
"""How often a transaction is tried that others were in the way of."""

T = TypeVar("T")


class Database:
    """The database at `address`. One thread opens, writes and closes it."""

    def __init__(self, address: Address, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.address = address
        self._busy_timeout = busy_timeout
        self._owner = Owner(address.name)
        self._dial = Dial(self.connect)
        self._writing: Connection | None = None
        self._gone: StoreUnavailable | None = None
        self._begun = self._made = 0
        """The numbers of the last transaction that was begun, and of the last that is committed."""

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.address.name

    def open(self) -> None:
        """Own the database, and bring its tables up to date.

        Raises `StoreLocked`, `StoreTooNew`, `StoreError` for one that cannot be used, or
        `StoreUnavailable`.
        """
        connection = self.connect()
        try:
            with self.translated():
                self._owner.take(connection)
                bring_up_to_date(connection, self.name)
                self._owner.register(connection)
        except BaseException:
            self._let_go(connection)
            raise
        self._writing, self._gone = connection, None
        self._begun = self._made = 0

    def close(self) -> None:
        """Let others have it."""
        if self._writing is not None:
            self._let_go(self._writing)
            self._writing = None

    def _let_go(self, connection: Connection) -> None:
        """Close a connection, and let its lock go before: the server sees its end only later."""
        with suppress(psycopg.Error):
            self._owner.release(connection)
        connection.real.close()

    def connect(self) -> Connection:
        """A new connection to a server that can be used."""
        with self.translated():
            connection = Connection(self.address.connection())
            try:
                check_server(connection, self.name)
                self._limit_waiting(connection)
            except BaseException:
                connection.real.close()
                raise
        return connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise what the database raises as Wingman's own errors."""
        with translated(self.name, self.address.hide):
            yield

    def _limit_waiting(self, connection: Connection) -> None:
        limit = f"{round(self._busy_timeout * 1000)}ms"
        connection.real.execute(b"SELECT set_config('lock_timeout', %s, false)", (limit,))

    # --- writing ----------------------------------------------------------------------------------

    def commit(self, calls: Sequence[tuple[Change, ...]]) -> None:
        """Commit the changes of all these calls, or of none.

        Raises `StoreUnavailable` where the storage is at fault, else what one of the calls raises;
        and `InDoubt` where the connection was lost before it had the answer.
        """
        self._transact(lambda connection: write_calls(connection, calls))

    def probe(self) -> None:
        """Commit nothing new; raise `StoreUnavailable` if that is not possible."""
        try:
            self._transact(lambda _: None)
        except InDoubt as doubt:
            if not doubt.outcome():
                raise StoreUnavailable(f"{self.name}: the connection was lost.") from None

    def _transact(self, write: Callable[[Connection], object]) -> None:
        connection = self._connected()
        with self.translated():
            for attempt in range(1, _ATTEMPTS + 1):
                self._begun += 1
                try:
                    self._try(connection, write)
                except (SerializationFailure, DeadlockDetected):
                    if attempt == _ATTEMPTS:
                        raise
                else:
                    self._made = self._begun
                    return

    def _try(self, connection: Connection, write: Callable[[Connection], object]) -> None:
        """One transaction, whose statements go out together."""

        def statements() -> None:
            connection.begin(b"READ COMMITTED")
            self._owner.mark(connection, self._begun)
            write(connection)
            connection.commit()

        try:
            connection.together(statements)
        except Exception:
            if connection.roll_back():
                raise
            self._writing = None
            raise InDoubt(partial(self._outcome, self._begun)) from None

    # --- a connection that was lost ---------------------------------------------------------------

    def _connected(self) -> Connection:
        """The connection that writes."""
        if self._gone is not None:
            raise copy_of(self._gone)
        if self._writing is None:
            self._writing = self._owned_again(self._new_connection())
        return self._writing

    def _outcome(self, batch: int) -> bool:
        """Whether this transaction is committed, now that it cannot be under way any more."""
        connection = self._new_connection()
        with self.translated():
            last = self._owner.last_batch(connection)
        if last is None:
            connection.real.close()
            raise StoreUnavailable(
                f"{self.name}: the connection was lost during a commit, and its record is gone: "
                "whether it was made is not known."
            )
        if last == batch:
            self._made = batch
        with suppress(StoreError):  # then the next who writes is told
            self._writing = self._owned_again(connection)
        return last == batch

    def _new_connection(self) -> Connection:
        """One on which all that the lost one did can be seen."""
        connection = self._dial()
        try:
            with self.translated():
                self._owner.end_old_connection(connection)
        except BaseException:
            connection.real.close()
            raise
        return connection

    def _owned_again(self, connection: Connection) -> Connection:
        """The same connection, which has the lock now; otherwise it is closed.

        Raises `StoreUnavailable`: for ever, where somebody else has owned the database since.
        """
        try:
            with self.translated():
                self._owner.take(connection)
                newest = self._owner.is_newest(connection)
                last = self._owner.last_batch(connection)
        except StoreLocked as error:
            connection.real.close()
            raise StoreUnavailable(str(error)) from error
        except BaseException:
            self._let_go(connection)
            raise
        if newest and last in (self._made, self._begun):  # a probe may have been made unseen
            self._made = last
            return connection
        self._let_go(connection)
        self._gone = StoreUnavailable(
            f"{self.name} was in use by another Wingman while the connection to it was lost, and "
            "is not what this one holds in memory any more. Start this one again."
            if not newest
            else f"{self.name} has lost what was committed last: perhaps a replica took its place. "
            "It is not what Wingman holds in memory any more. Start Wingman again.",
            retry_after=0,
        )
        raise copy_of(self._gone)

    # --- reading ----------------------------------------------------------------------------------

    def reader(self) -> "Reader":
        """A connection that reads, for the thread that calls this."""
        return Reader(self, self.connect())


class Reader:
    """One connection that reads, and a new one where it is lost."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._database = database
        self._dial = Dial(database.connect)
        self._connection: Connection | None = connection

    def read(self, query: Callable[[Reading], T]) -> T:
        """What `query` finds in the database as of one moment.

        A connection may have been lost since it was used last: then it is asked once more.
        """
        if self._connection is not None:
            with suppress(_Lost):
                return self._read(self._connection, query)
        self._connection = self._dial()
        try:
            return self._read(self._connection, query)
        except _Lost:
            raise StoreUnavailable(
                f"{self._database.name}: the connection was lost twice."
            ) from None

    def _read(self, connection: Connection, query: Callable[[Reading], T]) -> T:
        with self._database.translated():
            try:
                found = connection.together(lambda: _as_of_one_moment(connection, query))
            except Exception as error:
                if connection.roll_back():
                    raise
                self._connection = None
                raise _Lost from error
        return found

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.real.close()


def _as_of_one_moment(connection: Connection, query: Callable[[Reading], T]) -> T:
    connection.begin(b"REPEATABLE READ READ ONLY")
    found = query(connection)
    connection.commit()
    return found


class _Lost(Exception):
    """The connection was lost."""
