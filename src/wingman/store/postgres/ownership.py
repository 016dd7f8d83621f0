"""Ownership: a database has one owner, by an advisory lock on the connection that writes.

The lock ends with its connection, and with the connection ends what was not committed on it. So
whoever has the lock knows that no earlier owner can write any more: there is no clock in it.

Each owner has a row in `owners`, with the number of its last commit, which is part of that commit.
It tells what became of a commit whose answer was lost with the connection, once the server has
ended what that connection did. The newest row is that of the last one who had the lock: an owner
that lost its connection and finds another one's row there has nothing to say any more.
"""

import time
from typing import Any, Final

import attrs

from wingman.errors import StoreLocked, StoreUnavailable
from wingman.ids import new_id
from wingman.store.postgres.connection import Connection

__all__ = ["Owner", "make_table"]

_LOCK: Final = 0x57494E47  # "WING"

_TABLE: Final = b"""
CREATE TABLE IF NOT EXISTS owners (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    batch bigint NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now()
)"""

_KEPT: Final = 8
"""Rows of earlier owners that are kept: they may come back, and want to know."""

# The schema's number as 32 bits with a sign, which a lock takes.
_SCHEMA: Final = b"""
SELECT oid::bigint::bit(32)::int FROM pg_namespace WHERE nspname = current_schema()"""

_HOLDER: Final = b"""
SELECT activity.application_name, host(activity.client_addr)
FROM pg_locks AS locks JOIN pg_stat_activity AS activity ON activity.pid = locks.pid
WHERE locks.locktype = 'advisory' AND locks.granted AND locks.objsubid = 2
    AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND locks.classid::bigint = %s AND locks.objid::bigint::bit(32)::int = %s"""

_BACKEND: Final = b"""
SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"""

_END_BACKEND: Final = b"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND backend_start::text = %s AND usename = current_user"""

_IS_THERE: Final = b"SELECT 1 FROM pg_stat_activity WHERE pid = %s AND backend_start::text = %s"

END_TIMEOUT: Final = 2.0
"""Seconds that an old connection of ours has to come to its end in the server."""


@attrs.define(eq=False)
class Owner:
    """Owns a database, from `take` to `release`, or to the end of its connection."""

    name: str
    _id: str = attrs.field(factory=new_id, init=False)
    _backend: tuple[Any, ...] = attrs.field(default=(), init=False)

    def take(self, connection: Connection) -> None:
        """Have the lock on this connection; raise `StoreLocked` if somebody else has it."""
        lock = (_LOCK, *connection.row(_SCHEMA))
        if connection.row(b"SELECT pg_try_advisory_lock(%s, %s)", lock) != (True,):
            raise self._locked(connection.row(_HOLDER, lock))
        self._backend = connection.row(_BACKEND)

    def register(self, connection: Connection) -> None:
        """Be the newest owner: with this, no earlier one writes any more."""
        self._id = new_id()
        connection.real.execute(b"INSERT INTO owners (id, batch) VALUES (%s, 0)", (self._id,))
        connection.real.execute(
            b"DELETE FROM owners WHERE seq <= (SELECT max(seq) FROM owners) - %s", (_KEPT,)
        )

    def release(self, connection: Connection) -> None:
        """Let others in."""
        connection.real.execute(b"SELECT pg_advisory_unlock_all()")

    def mark(self, connection: Connection, batch: int) -> None:
        """Make this number part of the transaction."""
        connection.real.execute(b"UPDATE owners SET batch = %s WHERE id = %s", (batch, self._id))

    def end_old_connection(self, connection: Connection) -> None:
        """Return when the connection that was lost is at its end in the server, too.

        Raises `StoreUnavailable` where it is not within `END_TIMEOUT`.
        """
        if not self._backend:
            return
        connection.real.execute(_END_BACKEND, self._backend)
        deadline = time.monotonic() + END_TIMEOUT
        while connection.row(_IS_THERE, self._backend):
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"{self.name}: the connection that was lost is still at work in the server "
                    f"(process {self._backend[0]} there)."
                )
            time.sleep(0.01)
        self._backend = ()

    def is_newest(self, connection: Connection) -> bool:
        """Whether nobody has owned the database since."""
        query = b"SELECT id FROM owners ORDER BY seq DESC LIMIT 1"
        return connection.row(query) == (self._id,)

    def last_batch(self, connection: Connection) -> int | None:
        """The number of the last commit that was made; None: nobody knows any more."""
        query = b"SELECT batch FROM owners WHERE id = %s"
        found = connection.row(query, (self._id,))
        return int(found[0]) if found else None

    def _locked(self, holder: tuple[Any, ...]) -> StoreLocked:
        who = "another Wingman"
        if holder:
            program, address = holder
            who = f"{program or 'a program'}{f' ({address})' if address else ''}"
        return StoreLocked(
            f"{self.name} is in use by {who}, and a database has one owner: "
            "stop that process, or give this one another database or schema."
        )


def make_table(connection: Connection) -> None:
    """Make the table of owners, where it is not there."""
    connection.real.execute(_TABLE)
