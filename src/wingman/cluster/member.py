"""Member: a node's part in the cluster. It looks at the others, and at itself."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import attrs
import msgspec
import trio

from wingman.cluster.decisions import Shares, Stillness, is_cut_off
from wingman.cluster.lives import Lives
from wingman.cluster.owners import ClusterOwners
from wingman.errors import StoreError
from wingman.session import LiveSession, SessionHost
from wingman.store import Node, Nodes, SessionErased, Store, Unowned
from wingman.telemetry import log_event

__all__ = ["Member"]

logger = logging.getLogger("wingman.cluster")

LOOK_SECONDS: Final = 0.5
"""Seconds between two looks at the others."""

_SELF_SECONDS: Final = 0.25
_EVERY: Final = 4
"""Looks at which what nobody owns is looked for after a node has come or gone; else it is at one
look of so many."""

_MOST_ADOPTED: Final = 256
_STOP_SECONDS: Final = 10.0
_TOLD_AFTER: Final = 8


@attrs.define(eq=False)
class Member:
    """One node, from `run` on. `host` has its sessions; `refresh` has one of `wingman.store.KINDS`
    read again; `spawn` starts a task of the runtime. `lives` knows who is there to answer.
    """

    store: Store
    nodes: Nodes
    owners: ClusterOwners
    host: SessionHost
    refresh: Callable[[str], Awaitable[None]]
    spawn: Callable[[Callable[[], object], str], None]
    lives: Lives = attrs.field(factory=Lives, init=False)
    _known: frozenset[int] = attrs.field(default=frozenset(), init=False)
    _stillness: Stillness = attrs.field(factory=Stillness, init=False)
    _shares: Shares = attrs.field(factory=Shares, init=False)
    _looks: int = attrs.field(default=0, init=False)
    _eager: int = attrs.field(default=0, init=False)
    _others: bool = attrs.field(default=False, init=False)
    _absent: dict[str, int] = attrs.field(factory=dict, init=False)
    _to_read: set[str] = attrs.field(factory=set, init=False)

    async def begin(self) -> None:
        """Be heard and seen, and take what nobody owns; then look, until the runtime ends."""
        self.nodes.watch(self._reborn, self._changed)
        self.owners.on_lost = self._lost
        self.owners.on_stray = self._strayed
        with suppress(StoreError):
            await self.nodes.tell(self.owners.terms)
            await self._look()
        self.spawn(self._look_at_others, "look at the other nodes")
        self.spawn(self._look_at_itself, "look at this node")

    async def announce(self, url: str) -> None:
        """Tell the others where this node's server is reached."""
        self.owners.terms = msgspec.structs.replace(self.owners.terms, url=url)
        with suppress(StoreError):  # then they know it as soon as the store is well
            await self.nodes.tell(self.owners.terms)

    # --- the others -----------------------------------------------------------------------------

    async def _look_at_others(self) -> None:
        while True:
            await trio.sleep(LOOK_SECONDS)
            with suppress(StoreError):  # the store tells of its failures itself
                await self._look()

    async def _look(self) -> None:
        living = await self.nodes.living()
        still = self._stillness.look(living, trio.current_time())
        # Who cannot write either does not blame the others: the database may stand still for all.
        for node in () if is_cut_off(0, self.nodes.silent_for) else still:
            if node.number != self.nodes.number:
                log_event(
                    logger,
                    logging.WARNING,
                    "a node shows no sign of life, and its connection is ended",
                    node=node.number,
                    url=node.terms.url,
                )
                await self.nodes.end(node)
        if self._note(living) or any(node.terms.draining for node in living):
            self._eager = _EVERY
        self._looks += 1
        if self._eager or self._looks % _EVERY == 0:
            self._eager = max(0, self._eager - 1)
            await self._adopt(living)

    def _note(self, living: Sequence[Node]) -> bool:
        """Remember who lives; whether anybody has come or gone."""
        numbers = frozenset(node.number for node in living)
        self._others = bool(numbers - {self.nodes.number})
        dead, new = self._known - numbers, numbers - self._known
        self._known = numbers
        for number in dead:
            log_event(logger, logging.WARNING, "a node is gone", node=number)
        for number in new:
            log_event(logger, logging.INFO, "a node is there", node=number)
        self.lives.look(living)
        return bool(dead or new)

    async def _adopt(self, living: Collection[Node]) -> None:
        """Take this node's share of what nobody owns and has something to be done."""
        if self.owners.terms.draining:
            return
        unowned = await self.nodes.unowned(_MOST_ADOPTED)
        if unowned:
            self._eager = max(self._eager, 1)
        share = self._shares.take(unowned, living, self.nodes.number)
        share = [each for each in share if await self._is_possible(each)]
        if not share:
            return
        owned = await self.owners.adopt(share)
        await self._take_up([each for each in share if each.session_id in owned])

    async def _is_possible(self, session: Unowned) -> bool:
        """Whether the session's runs can go on here: its directory is to be there."""
        if not session.runs:
            return True  # all that is left is to end something
        if await trio.Path(session.work_dir).is_dir():
            return True
        seen = self._absent[session.session_id] = self._absent.get(session.session_id, 0) + 1
        if seen == _TOLD_AFTER:
            log_event(
                logger,
                logging.WARNING,
                "a session's runs wait for a node that has its directory",
                session_id=session.session_id,
                work_dir=session.work_dir,
            )
        return False

    async def _take_up(self, sessions: Sequence[Unowned]) -> None:
        erased = [
            self.store.write(SessionErased(each.session_id)) for each in sessions if each.deleting
        ]
        for each in sessions:
            if each.deleting:
                self.owners.erased(each.session_id)
            self._absent.pop(each.session_id, None)
        queues: Mapping[str, int] = {
            each.session_id: each.runs for each in sessions if not each.deleting
        }
        if queues:
            log_event(logger, logging.INFO, "sessions are taken over", sessions=len(queues))
            self.host.active.take_up(queues)
        for commit in erased:
            await commit.wait()

    # --- itself ---------------------------------------------------------------------------------

    async def _look_at_itself(self) -> None:
        """Stop all sessions where others may own them by now.

        Who saw no other node at the last look goes on: there is nobody to take them, and where one
        comes meanwhile, the store lets this node write nothing.

        Where the database is silent, who asks for something is told so: another node may know.
        """
        while True:
            await trio.sleep(_SELF_SECONDS)
            if is_cut_off(0, self.nodes.silent_for):
                self.nodes.give_up()
            live = [each for each in self.host.active.all() if not each.moved]
            if self._others and is_cut_off(self.nodes.lost_for, self.nodes.silent_for):
                self.owners.forget_all()
                if live:
                    self._log_lost(live, "this node is cut off from the database")
                    await self.host.active.abandon(live, _STOP_SECONDS)

    def _reborn(self, kept: Collection[str]) -> None:
        lost = self.owners.reborn(kept)
        number = self.nodes.number
        log_event(logger, logging.WARNING, "this is another node now", node=number, kept=len(kept))
        self._abandon([self.host.active.find(session_id) for session_id in lost])

    def _strayed(self, session_ids: Collection[str]) -> None:
        let_go = partial(self._let_go, session_ids, self.nodes.number)
        self.spawn(let_go, "let go of sessions that nobody knows")

    async def _let_go(self, session_ids: Collection[str], number: int) -> None:
        """Have others find these sessions unowned, once nothing of them runs here: again and again,
        until that is recorded, or this is another node."""
        left = set(session_ids)
        stopped_by = trio.current_time() + _STOP_SECONDS

        async def let_go(session_id: str) -> None:
            async with self.host.active.alone(session_id):
                if await self.owners.let_go(session_id):
                    left.discard(session_id)

        while left and number == self.nodes.number:
            await self.store.wait_until_well()
            if not is_cut_off(self.nodes.lost_for, self.nodes.silent_for):
                late = trio.current_time() > stopped_by
                async with trio.open_nursery() as nursery:
                    for session_id in left:
                        if late or self.host.active.find(session_id) is None:
                            nursery.start_soon(let_go, session_id)
            await trio.sleep(_SELF_SECONDS if left else 0)

    def _lost(self, session_id: str) -> None:
        self._abandon([self.host.active.find(session_id)])

    def _abandon(self, found: Sequence[LiveSession | None]) -> None:
        live = [each for each in found if each is not None and not each.moved]
        if live:
            self._log_lost(live, "sessions are other nodes' now")
            for each in live:
                each.mark_moved()
            stop = partial(self.host.active.abandon, live, _STOP_SECONDS)
            self.spawn(stop, "stop sessions that are other nodes'")

    def _log_lost(self, live: Sequence[LiveSession], why: str) -> None:
        runs = sum(1 for each in live if each.current is not None)
        log_event(logger, logging.WARNING, why, sessions=len(live), runs=runs)

    # --- what all nodes keep a copy of ----------------------------------------------------------

    def _changed(self, kind: str) -> None:
        begins = not self._to_read
        self._to_read.add(kind)
        if begins:
            self.spawn(self._read_again, "read what another node has changed")

    async def _read_again(self) -> None:
        while self._to_read:
            kind = min(self._to_read)
            try:
                await self.refresh(kind)
            except StoreError:
                await self.store.wait_until_well()
                await trio.sleep(LOOK_SECONDS)
            else:
                self._to_read.discard(kind)
