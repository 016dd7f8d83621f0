"""Protocols that lack one element each. A simulation that finds nothing wrong with one is blind."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from unittest import mock

import attrs

from cluster.model_server import ERASED, Backend, Gone, Reach, Server, Statement
from cluster.protocol import Change, Look, Protocol, begin, commit
from wingman.cluster.decisions import Stillness
from wingman.store import Node

if TYPE_CHECKING:
    from cluster.model_node import Live
    from cluster.model_node import Node as ModelNode
    from cluster.model_writer import Writer


class WithoutFence(Protocol):
    """A commit is marked, whoever owns what is written in it."""

    def mark(self, number: int, batch: int, changes: Collection[Change]) -> Statement:
        return super().mark(number, batch, ())


class LockElsewhere(Protocol):
    """The lock is on another connection of the node, which may end while the writer's goes on."""

    async def become(self, writer: "Writer") -> int:
        (number,) = await writer.wire.ask(self.next_number)
        writing = writer.wire.backend
        other = await writer.node.dial()
        await other.ask(self.lock(number))
        writing.number = number
        await writer.wire.ask(begin, self.register(number), commit)
        return number  # type: ignore[no-any-return]


class RowBeforeLock(Protocol):
    """A node's row can be seen before its lock is taken."""

    async def become(self, writer: "Writer") -> int:
        (number,) = await writer.wire.ask(self.next_number)
        await writer.wire.ask(begin, self.register(number), commit)
        await writer.reach("registered")
        await writer.wire.ask(self.lock(number))
        await writer.reach("locked")
        return number  # type: ignore[no-any-return]


class LocksBeforeRows(Protocol):
    """Whose lock is held is looked at first, and then who there is."""

    async def look(self, server: Server, reach: Reach) -> Look:
        held = frozenset(server.advisory)
        await reach("looking")
        return attrs.evolve(await super().look(server, reach), held=held)


class ClaimWithoutComparing(Protocol):
    """A session that was found to be nobody's is taken, whosever it is by now."""

    async def claim(self, backend: Backend, session: str, number: int, former: int | None) -> None:
        await backend.reach("claiming")
        await backend.update(("session", session), lambda _: True, lambda _: number)


class NoWaitForTheOldBackend(Protocol):
    """A node is born again while its old backend may still be at work."""

    async def end_old(self, writer: "Writer", pid: int) -> None:
        return


class OldBackendToldAlone(Protocol):
    """The old backend is told to end; nobody waits until it has."""

    async def end_old(self, writer: "Writer", pid: int) -> None:
        async def terminate(backend: Backend) -> None:
            backend.server.terminate(pid)

        await writer.wire.ask(terminate)


class TakeAlongWithoutComparing(Protocol):
    """A node that is born again takes what it has in memory, whosever it is by now."""

    def take_along(self, number: int, formers: Collection[int], live: Collection[str]) -> Statement:
        async def statement(backend: Backend) -> list[str]:
            for session in live:
                await backend.update(("session", session), lambda _: True, lambda _: number)
            return list(live)

        return statement


class ReleaseBesideTheWriter(Protocol):
    """A session is released over another connection: its last writes may be under way yet."""

    async def let_go(self, node: "ModelNode", session: str) -> None:
        number = node.number

        async def release(backend: Backend) -> None:
            await self.release(backend, session, number)

        with suppress(Gone):
            wire = await node.dial()
            await wire.ask(begin, release, commit)
            wire.close()


class ClaimOnlyWhatIsNotOurs(Protocol):
    """What is this node's by the record already is not claimed, and so not waited for."""

    async def own(self, node: "ModelNode", session: str, former: int | None) -> None:
        if former != node.number:
            await super().own(node, session, former)


class LostAnswersAreFailures(Protocol):
    """A commit whose answer was lost is made again, without a look at what became of it."""

    async def last_batch(self, writer: "Writer", number: int) -> int:
        return -1


class TheNewestRowIsAsked(Protocol):
    """What became of a commit is asked of the last number that was tried, not of the one it had."""

    async def last_batch(self, writer: "Writer", number: int) -> int:
        return await super().last_batch(writer, writer.newest_former)


class AbandonedSessionsGoOn(Protocol):
    """A session that a node has lost may still write there."""

    def abandon(self, live: "Live") -> None:
        live.node.live.pop(live.session, None)


class NothingIsGivenUp(Protocol):
    """A node that has no answer waits for it, with all its sessions."""

    def is_cut_off(self, lost_for: float, silent_for: float) -> bool:
        return False


class EndedByTimeAlone(Protocol):
    """Who did not go on for ten seconds is ended, also by one who did not look meanwhile."""

    def still(self, stillness: Stillness, living: Sequence[Node], now: float) -> Sequence[Node]:
        with mock.patch("wingman.cluster.decisions.LOOKS", 1):
            return super().still(stillness, living, now)


class LeftoversAreNobodys(Protocol):
    """Work in a session that is this node's by the record alone, not in its memory, is left."""

    takes_up_its_own = False


class WhatIsErasedIsOurs(Protocol):
    """The fence lets writes of a session through that is not there: it might be a new one."""

    def owns(self, number: int, owner: int | None) -> bool:
        return owner in (number, ERASED)
