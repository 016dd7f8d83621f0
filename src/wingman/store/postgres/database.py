"""Database: one schema of a PostgreSQL server, brought up to date, and written. Synchronous.

Other processes may have it open as well: this one is a node among them. What is committed goes over
one connection, which is the node; each reader has its own. A connection that is lost is made again
by whoever needs it. Where it is the node's, this process is another node from there on.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, TypeVar

import psycopg
from psycopg.errors import DeadlockDetected, NotNullViolation, SerializationFailure

from wingman.errors import SessionMoved, StoreError, StoreUnavailable
from wingman.store.changes import Change
from wingman.store.disk import InDoubt
from wingman.store.postgres.address import Address
from wingman.store.postgres.connection import Connection
from wingman.store.postgres.dial import Dial
from wingman.store.postgres.failures import translated
from wingman.store.postgres.node import NodeConnection
from wingman.store.postgres.notices import notify
from wingman.store.postgres.tables import bring_up_to_date, check_server
from wingman.store.sql import Reading, write_calls, written_sessions

__all__ = ["BUSY_TIMEOUT", "Database", "Reader"]

_NEED_NOT_LAST: Final = b"SET LOCAL synchronous_commit = off"

BUSY_TIMEOUT: Final = 5.0
"""Seconds that a commit waits for another session's lock on the tables."""

_ATTEMPTS: Final = 3
"""How often a transaction is tried that others were in the way of."""

T = TypeVar("T")


def _nobody_listens(_kept: Collection[str]) -> None:
    pass


class Database:
    """The database at `address`. One thread opens, writes and closes it.

    `reborn` is called on that thread where this process has become another node: with the ids of
    the sessions that it still owns. `proven_at` is when that was sent which the server took last,
    and `lost_at` since when the connection is known to be lost (`time.monotonic`; None: it is
    there).
    """

    def __init__(self, address: Address, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.address = address
        self.node = NodeConnection(address.name)
        self.reborn: Callable[[Collection[str]], object] = _nobody_listens
        self.proven_at = 0.0
        self.lost_at: float | None = None
        self._busy_timeout = busy_timeout
        self._dial = Dial(self.connect)
        self._writing: Connection | None = None
        self._begun = self._made = 0
        """The numbers of the last transaction that was begun, and of the last that was needed and
        is committed."""
        self._lost_births: list[int] = []
        """Numbers under which this process may own sessions, and never wrote anything else."""

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.address.name

    def open(self) -> None:
        """Bring the tables up to date, and be a node.

        Raises `StoreLocked` where an earlier Wingman has it, `StoreTooNew`, `StoreError` for one
        that cannot be used, or `StoreUnavailable`.
        """
        connection = self.connect()
        try:
            with self.translated():
                self.node.share(connection)
                bring_up_to_date(connection, self.name)
                self.node.be_born(connection)
        except BaseException:
            self._let_go(connection)
            raise
        self._take(connection)

    def close(self) -> None:
        """Be no node any more."""
        if self._writing is not None:
            self._let_go(self._writing)
            self._writing = None

    def _let_go(self, connection: Connection) -> None:
        """Close a connection, and let its locks go before: the server sees its end only later."""
        with suppress(psycopg.Error):
            self.node.release(connection)
        connection.real.close()

    def _take(self, connection: Connection) -> None:
        """Write over this connection from now on."""
        self._writing = connection
        self._begun = self._made = 0
        self.proven_at, self.lost_at = time.monotonic(), None

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

        Raises `StoreUnavailable` where the storage is at fault, `SessionMoved` where they are about
        a session of another node, else what one of the calls raises; and `InDoubt` where the
        connection was lost before it had the answer.
        """

        def write(connection: Connection) -> None:
            write_calls(connection, calls)
            notify(connection, calls, self.node.number)

        self._transact(write, written_sessions(calls))
        self._made = self._begun

    def probe(self) -> None:
        """Let others see that this node lives; raise `StoreUnavailable` if that is not possible."""
        try:
            # It need not last: who comes after a crash of the server finds no node alive.
            self._transact(lambda connection: connection.real.execute(_NEED_NOT_LAST), ())
        except InDoubt as doubt:
            if not doubt.outcome():
                raise StoreUnavailable(f"{self.name}: the connection was lost.") from None

    def _transact(
        self, write: Callable[[Connection], object], session_ids: Collection[str]
    ) -> None:
        connection = self._connected()
        with self.translated():
            for attempt in range(1, _ATTEMPTS + 1):
                self._begun += 1
                sent_at = time.monotonic()
                try:
                    self._try(connection, write, session_ids)
                except (SerializationFailure, DeadlockDetected):
                    if attempt == _ATTEMPTS:
                        raise
                except NotNullViolation as error:
                    self.proven_at = sent_at
                    if error.diag.table_name != "nodes":
                        raise
                    raise SessionMoved(
                        "The session is not this node's any more: nothing of this was kept."
                    ) from None
                else:
                    self.proven_at = sent_at
                    return

    def _try(
        self,
        connection: Connection,
        write: Callable[[Connection], object],
        session_ids: Collection[str],
    ) -> None:
        """One transaction, whose statements go out together."""

        def statements() -> None:
            connection.begin(b"READ COMMITTED")
            self.node.mark(connection, self._begun, session_ids)
            write(connection)
            connection.commit()

        try:
            connection.together(statements)
        except Exception:
            if connection.roll_back():
                raise
            self._writing, self.lost_at = None, time.monotonic()
            raise InDoubt(partial(self._outcome, self.node.number, self._begun)) from None

    # --- a connection that was lost ---------------------------------------------------------------

    def _connected(self) -> Connection:
        """The connection that writes."""
        if self._writing is None:
            return self._born_again(self._new_connection())
        return self._writing

    def _outcome(self, number: int, batch: int) -> bool:
        """Whether this transaction of a former life is committed. It is not under way any more."""
        connection = self._new_connection()
        with self.translated():
            last = self.node.last_batch(connection, number)
        if last is None:
            connection.real.close()
            raise StoreUnavailable(
                f"{self.name}: the connection was lost during a commit, and its record is gone: "
                "whether it was made is not known."
            )
        if last == batch:
            self._made = batch
        with suppress(StoreError):  # then the next who writes is told
            self._born_again(connection)
        return last == batch

    def _new_connection(self) -> Connection:
        """One on which all that the lost one did can be seen."""
        connection = self._dial()
        try:
            with self.translated():
                self.node.end_old_connection(connection)
        except BaseException:
            connection.real.close()
            raise
        return connection

    def _born_again(self, connection: Connection) -> Connection:
        """Be another node, by this connection, which is closed where that fails.

        The sessions come along that no other node has claimed; but none does where the server has
        lost what was committed: memory is ahead of it then, as where a replica took its place.
        """
        former = self.node.number
        try:
            with self.translated():
                last = self.node.last_batch(connection, former)
                self.node.share(connection)
                self.node.be_born(connection)
                kept: Collection[str] = ()
                if last is not None and self._made <= last <= self._begun:
                    kept = self.node.take_along(connection, [former, *self._lost_births])
        except BaseException:
            if self.node.number != former:
                self._lost_births.append(self.node.number)  # some may have come along
            self.node.number = former  # it still has what is to come along
            self._let_go(connection)
            raise
        self._lost_births.clear()
        self._take(connection)
        self.reborn(kept)
        return connection

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
