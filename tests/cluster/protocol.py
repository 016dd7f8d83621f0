"""The elements of the ownership protocol: each is a method here, so that one can be taken out.

Each statement says its SQL. `mutants.py` has protocols that lack an element.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from cluster.model_server import (
    ERASED,
    Backend,
    NodeRow,
    Reach,
    Refused,
    Server,
    Statement,
    Written,
)
from wingman.cluster.decisions import Stillness, is_cut_off
from wingman.store import Node as NodeSeen

if TYPE_CHECKING:
    from cluster.model_node import Live, Node
    from cluster.model_writer import Writer

__all__ = ["Change", "Claimed", "Erased", "Look", "Protocol", "Released", "begin", "commit"]


@attrs.frozen
class Claimed:
    """A session is to be this node's; `former` is a dead node that it was found to be owned by."""

    session: str
    former: int | None


@attrs.frozen
class Released:
    """A session is nobody's again."""

    session: str


@attrs.frozen
class Erased:
    """There is no such session any more."""

    session: str


Change = Claimed | Released | Erased | Written


@attrs.frozen
class Look:
    """What a node sees of all: rows of a snapshot, and locks a moment later."""

    at: float
    nodes: Mapping[int, NodeRow]
    held: frozenset[int]
    work: Sequence[tuple[str, int | None]]
    """Sessions that have work to do, with their owners."""


async def begin(backend: Backend) -> None:
    """BEGIN ISOLATION LEVEL READ COMMITTED"""


async def commit(backend: Backend) -> None:
    """COMMIT"""
    await backend.commit()


class Protocol:
    """The whole of it."""

    # --- in each commit ---------------------------------------------------------------------------

    def mark(self, number: int, batch: int, changes: Collection[Change]) -> Statement:
        """UPDATE nodes SET batch = CASE WHEN … THEN :batch END WHERE seq = :number

        The condition is that all sessions that are written are this node's: those of a snapshot
        from before the row's lock. `batch` is NOT NULL, so that otherwise the statement fails.
        """
        written = {change.session for change in changes if isinstance(change, Written | Erased)}

        async def statement(backend: Backend) -> None:
            snapshot = backend.snapshot()
            await backend.update(
                ("node", number),
                lambda row: row is not None,
                lambda row: attrs.evolve(row, batch=batch),
            )
            if not all(self.owns(number, snapshot["session", session]) for session in written):
                raise Refused("moved")
            if written:
                await backend.reach("marked")

        return statement

    def owns(self, number: int, owner: int | None) -> bool:
        """Whether a session may be written by this node: one that is not there is nobody's."""
        return owner == number

    def change(self, number: int, change: Change) -> Statement:
        """The statement of this change."""

        async def statement(backend: Backend) -> None:
            match change:
                case Claimed(session, former):
                    await self.claim(backend, session, number, former)
                case Released(session):
                    await self.release(backend, session, number)
                case Erased(session):
                    await backend.update(("session", session), _is_there, lambda _: ERASED)
                case Written():
                    backend.append(change)
                    await backend.reach("written")

        return statement

    async def claim(self, backend: Backend, session: str, number: int, former: int | None) -> None:
        """UPDATE sessions SET node = :number
        WHERE id = :session AND (node IS NULL OR node = :number OR node = :former)"""
        await backend.reach("claiming")
        await backend.update(
            ("session", session), lambda owner: owner in (None, number, former), lambda _: number
        )

    async def release(self, backend: Backend, session: str, number: int) -> None:
        """UPDATE sessions SET node = NULL WHERE id = :session AND node = :number"""
        await backend.reach("releasing")
        await backend.update(("session", session), lambda owner: owner == number, lambda _: None)

    async def own(self, node: "Node", session: str, former: int | None) -> None:
        """Claim through the writer, after all that it was given; also what is this node's."""
        await node.writer.submit(Claimed(session, former)).done.wait()

    async def let_go(self, node: "Node", session: str) -> None:
        """Release through the writer: after all that it was given before."""
        node.writer.submit(Released(session))

    # --- a node's birth ---------------------------------------------------------------------------

    async def become(self, writer: "Writer") -> int:
        """Have a new number: first its lock, on the connection that writes, then its row."""
        wire = writer.wire
        (number,) = await wire.ask(self.next_number)
        await writer.reach("numbered")
        await wire.ask(self.lock(number))
        await writer.reach("locked")
        await wire.ask(begin, self.register(number), commit)
        await writer.reach("registered")
        return number  # type: ignore[no-any-return]

    async def next_number(self, backend: Backend) -> int:
        """SELECT nextval('nodes_seq')"""
        return next(backend.server.number)

    def lock(self, number: int) -> Statement:
        """SELECT pg_try_advisory_lock(:schema, :number)"""

        async def statement(backend: Backend) -> None:
            assert backend.server.advisory.setdefault(number, backend) is backend
            backend.number = number

        return statement

    def register(self, number: int) -> Statement:
        """INSERT INTO nodes (seq, batch, pid) VALUES (:number, 0, pg_backend_pid())"""

        async def statement(backend: Backend) -> None:
            await backend.insert(("node", number), NodeRow(0, backend.pid))

        return statement

    # --- a node's rebirth -------------------------------------------------------------------------

    async def end_old(self, writer: "Writer", pid: int) -> None:
        """Return when the backend of a lost connection is gone: what it did can be seen then.

        SELECT pg_terminate_backend(:pid); then, until it finds none:
        SELECT 1 FROM pg_stat_activity WHERE pid = :pid
        """

        async def terminate(backend: Backend) -> None:
            backend.server.terminate(pid)

        async def is_there(backend: Backend) -> bool:
            return pid in backend.server.backends

        await writer.wire.ask(terminate)
        while (await writer.wire.ask(is_there))[0]:
            await writer.time.sleep(0.01)

    async def last_batch(self, writer: "Writer", number: int) -> int:
        """SELECT batch FROM nodes WHERE seq = :number"""

        async def statement(backend: Backend) -> Any:
            return backend.snapshot()[("node", number)].batch

        (batch,) = await writer.wire.ask(statement)
        return batch  # type: ignore[no-any-return]

    def take_along(self, number: int, formers: Collection[int], live: Collection[str]) -> Statement:
        """UPDATE sessions SET node = :number WHERE node = ANY(:formers) RETURNING id"""

        async def statement(backend: Backend) -> list[str]:
            seen = [
                key
                for key, owner in backend.snapshot().items()
                if key[0] == "session" and owner in formers
            ]
            await backend.reach("taking along")
            return [
                key[1]
                for key in seen
                if await backend.update(key, lambda owner: owner in formers, lambda _: number)
            ]

        return statement

    # --- what a node does with its sessions -------------------------------------------------------

    takes_up_its_own = True
    """Whether a node looks for work in its own sessions, too, which it may not have in memory."""

    def is_cut_off(self, lost_for: float, silent_for: float) -> bool:
        """Whether a node has to give up its sessions before it knows that it has lost them."""
        return is_cut_off(lost_for, silent_for)

    def still(
        self, stillness: Stillness, living: Sequence[NodeSeen], now: float
    ) -> Sequence[NodeSeen]:
        """The nodes to end, though they hold their locks."""
        return stillness.look(living, now)

    def abandon(self, live: "Live") -> None:
        """Nothing that still runs of it writes any more."""
        live.close()

    # --- what a node sees of others ---------------------------------------------------------------

    async def look(self, server: Server, reach: Reach) -> Look:
        """SELECT … FROM nodes, then whose lock is held, in `pg_locks`."""
        at = server.time.now
        nodes = {key[1]: row for key, row in server.committed.items() if key[0] == "node"}
        work = [
            (key[1], owner)
            for key, owner in server.committed.items()
            if key[0] == "session" and server.work[key[1]]
        ]
        await reach("looking")
        return Look(at, nodes, frozenset(server.advisory), work)


def _is_there(owner: int | None) -> bool:
    return owner != ERASED
