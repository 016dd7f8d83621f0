"""PostgresNodes: the nodes that share a database, as one of them sees them."""

# ruff: noqa: S608  (what is put into these statements is constant)

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
import trio

from wingman.store.nodes import Node, NodeTerms, Ownership, Unowned
from wingman.store.postgres.connection import Connection
from wingman.store.postgres.database import Database
from wingman.store.postgres.node import LIVES
from wingman.store.postgres.notices import Listener
from wingman.store.records import RunStatus
from wingman.store.sql import Reading

__all__ = ["PostgresNodes"]

T = TypeVar("T")

_labels: Final = msgspec.json.Decoder(tuple[str, ...]).decode

_NODE: Final = "nodes.seq, nodes.url, nodes.labels, nodes.draining, nodes.secret, nodes.batch"

_LIVING: Final = f"SELECT {_NODE} FROM nodes WHERE {LIVES} ORDER BY nodes.seq"

_OWNERSHIP: Final = f"""
SELECT sessions.node, sessions.label, sessions.work_dir, {_NODE}
FROM sessions LEFT JOIN nodes ON nodes.seq = sessions.node AND {LIVES}
WHERE sessions.id = ? AND sessions.deleting = 0"""

_OWNED: Final = """
SELECT id FROM sessions WHERE id IN (SELECT value FROM json_each(?)) AND node = ?"""

# The last one of a session is kept: the one that is furthest.
_STATUSES: Final = """
SELECT session_id, status FROM runs
WHERE session_id IN (SELECT value FROM json_each(?))
    AND status IN ('queued', 'waiting', 'running')
ORDER BY CASE status WHEN 'running' THEN 2 WHEN 'waiting' THEN 1 ELSE 0 END"""

# What is unfinished is found by its status, of which there are few rows.
_UNOWNED: Final = f"""
WITH living AS MATERIALIZED (SELECT nodes.seq FROM nodes WHERE {LIVES}),
work AS (
    SELECT session_id, count(*) FILTER (WHERE status <> 'running') AS runs FROM runs
    WHERE status IN ('queued', 'waiting', 'running') GROUP BY session_id
    UNION ALL SELECT id, 0 FROM sessions WHERE deleting <> 0
)
SELECT sessions.id, sessions.node, sessions.label, sessions.work_dir, sum(work.runs)::bigint,
    sessions.deleting
FROM work JOIN sessions ON sessions.id = work.session_id
WHERE sessions.node IS NULL OR sessions.node NOT IN (SELECT seq FROM living)
GROUP BY sessions.seq, sessions.id, sessions.node, sessions.label, sessions.work_dir,
    sessions.deleting
ORDER BY sessions.seq LIMIT ?"""

_END: Final = b"""
SELECT pg_terminate_backend(activity.pid)
FROM nodes JOIN pg_stat_activity AS activity
    ON activity.pid = nodes.pid AND activity.backend_start::text = nodes.backend_start
WHERE nodes.seq = %s AND nodes.batch = %s AND activity.usename = current_user"""


class PostgresNodes:
    """`Nodes` of a database. `read` has a query done, `touch` waits for a commit of nothing, and
    `give_up` tells all who wait for a query why there is no answer."""

    def __init__(
        self,
        database: Database,
        read: Callable[[Callable[[Any], Any]], Awaitable[Any]],
        touch: Callable[[], Awaitable[None]],
        give_up: Callable[[str], None],
    ) -> None:
        self._database = database
        self._give_up = give_up
        self._read = read
        self._touch = touch
        self._reborn: Callable[[Collection[str]], None] = _nobody
        self._changed: Callable[[str], None] = _nobody
        self._listener: Listener | None = None

    async def open(self) -> None:
        """Hear of what happens, from now on. Call `close` also where this is cancelled."""
        token = trio.lowlevel.current_trio_token()

        def reborn(kept: Collection[str]) -> None:
            token.run_sync_soon(lambda: self._reborn(kept))

        self._database.reborn = reborn
        listener = Listener(
            self._database.connect, lambda: self.number, lambda kind: self._changed(kind)
        )
        self._listener = listener
        await listener.start()

    def close(self) -> None:
        """Hear of nothing any more."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None

    @property
    def number(self) -> int:
        return self._database.node.number

    @property
    def secret(self) -> str:
        return self._database.node.secret

    @property
    def lost_for(self) -> float:
        lost_at = self._database.lost_at
        return 0.0 if lost_at is None else time.monotonic() - lost_at

    @property
    def silent_for(self) -> float:
        return time.monotonic() - self._database.proven_at

    def give_up(self) -> None:
        self._give_up(f"The database has not answered for {self.silent_for:.0f} s.")

    def watch(
        self, reborn: Callable[[Collection[str]], None], changed: Callable[[str], None]
    ) -> None:
        self._reborn, self._changed = reborn, changed

    async def tell(self, terms: NodeTerms) -> None:
        self._database.node.terms = terms
        await self._touch()

    async def living(self) -> Sequence[Node]:
        found: Sequence[Node] = await self._read(_living)
        return found

    async def ownership(self, session_id: str) -> Ownership | None:
        found: Ownership | None = await self._read(
            lambda connection: _ownership(connection, session_id)
        )
        return found

    async def owned(self, session_ids: Sequence[str]) -> Collection[str]:
        values = (msgspec.json.encode(session_ids).decode(), self.number)
        found: Collection[str] = await self._read(
            lambda connection: [id for (id,) in connection.execute(_OWNED, values)]
        )
        return frozenset(found)

    async def statuses(self, session_ids: Sequence[str]) -> Mapping[str, RunStatus]:
        values = (msgspec.json.encode(session_ids).decode(),)
        found: Mapping[str, RunStatus] = await self._read(
            lambda connection: dict(connection.execute(_STATUSES, values).fetchall())
        )
        return found

    async def unowned(self, limit: int) -> Sequence[Unowned]:
        found: Sequence[Unowned] = await self._read(lambda connection: _unowned(connection, limit))
        return found

    async def end(self, node: Node) -> None:
        def end(connection: Connection) -> None:
            connection.row(_END, (node.number, node.commits))

        await self._read(end)


def _nobody(*_: object) -> None:
    pass


def _node(row: Sequence[Any]) -> Node:
    number, url, labels, draining, secret, batch = row
    terms = NodeTerms(url=url, labels=_labels(labels), draining=bool(draining))
    return Node(number=number, terms=terms, secret=secret, commits=batch)


def _living(connection: Reading) -> Sequence[Node]:
    return tuple(map(_node, connection.execute(_LIVING).fetchall()))


def _ownership(connection: Reading, session_id: str) -> Ownership | None:
    row = connection.execute(_OWNERSHIP, (session_id,)).fetchone()
    if row is None:
        return None
    owner, label, work_dir, *node = row
    lives = None if node[0] is None else _node(node)
    return Ownership(owner=owner, node=lives, label=label, work_dir=work_dir)


def _unowned(connection: Reading, limit: int) -> Sequence[Unowned]:
    return tuple(
        Unowned(
            session_id=id,
            former=former,
            label=label,
            work_dir=work_dir,
            runs=runs,
            deleting=bool(deleting),
        )
        for id, former, label, work_dir, runs, deleting in connection.execute(
            _UNOWNED, (limit,)
        ).fetchall()
    )
