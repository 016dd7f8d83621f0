"""A model of the thread that commits for a node, and that has the connection which is the node."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from cluster.model_server import Gone, Reach, Refused, Written
from cluster.model_wire import Wire
from cluster.protocol import Change, Protocol, begin, commit
from cluster.virtual_time import Promise, Time, TimedOut

if TYPE_CHECKING:
    from cluster.model_node import Node

__all__ = ["Call", "NotMade", "Writer"]

BEAT_EVERY: Final = 1.0
DIAL_PAUSE: Final = 0.25


class NotMade(Exception):
    """A call was not made, and will not be."""


@attrs.define(eq=False)
class Chain:
    """What is written on top of what was written before: it ends with its first failure."""

    failure: NotMade | None = None


@attrs.define(eq=False)
class Call:
    """A change that is to be committed; `done` is kept when it is."""

    change: Change
    chain: Chain
    done: Promise[None]
    failure: NotMade | None = None


@attrs.define(eq=False)
class Writer:
    """Commits whatever is queued, together; beats where nothing is; is born again as a new node."""

    node: "Node"
    wire: Wire = attrs.field(init=False)
    number: int = 0
    lost_since: float | None = None
    proved_at: float = 0
    """When it last sent what was then answered."""
    _formers: list[int] = attrs.field(factory=list)
    _pids: list[int] = attrs.field(factory=list)
    """Numbers and backends that were this node's, and of which something may be left."""
    _begun: int = 0
    _queue: deque[Call] = attrs.field(factory=deque)
    _news: Promise[None] | None = None

    @property
    def time(self) -> Time:
        """The clock."""
        return self.node.time

    @property
    def protocol(self) -> Protocol:
        """What it goes by."""
        return self.node.protocol

    @property
    def reach(self) -> Reach:
        """Tells that the node has come to some place."""
        return self.node.reach

    def submit(self, change: Change, chain: Chain | None = None) -> Call:
        """In the event loop: queue a change."""
        call = Call(change, chain or Chain(), self.time.promise())
        self._queue.append(call)
        if self._news is not None:
            self._news.keep(None)
        return call

    async def work(self) -> None:
        """All that the thread does."""
        await self._be_born(0)
        while True:
            calls = await self._next()
            try:
                if calls:
                    await self._commit(calls)
                else:
                    await self._beat()
            except Gone:
                await self._be_born(self.number)
            except Refused:
                continue
            for call in calls:
                self.node.tell(partial(_settle, call))

    async def _next(self) -> list[Call]:
        if not self._queue:
            self._news = self.time.promise()
            try:
                await self._news.wait(BEAT_EVERY)
            except TimedOut:
                return []
        await self.time.sleep(self.node.hop())
        calls = list(self._queue)
        self._queue.clear()
        return calls

    @property
    def newest_former(self) -> int:
        """The last number that it had, or tried to have."""
        return self._formers[-1]

    # --- commits ----------------------------------------------------------------------------------

    async def _commit(self, calls: Sequence[Call]) -> None:
        """Commit these in one transaction, without those that cannot be (found by halving)."""
        for call in calls:
            if call.chain.failure is not None:
                self._fail(call, call.chain.failure)
        calls = [call for call in calls if call.failure is None]
        if not calls:
            return
        try:
            await self._commit_for_sure([call.change for call in calls])
        except Refused as refusal:
            if len(calls) == 1:
                self._fail(calls[0], NotMade(str(refusal)))
                return
            middle = len(calls) // 2
            await self._commit(calls[:middle])
            await self._commit(calls[middle:])

    def _fail(self, call: Call, failure: NotMade) -> None:
        call.failure = call.chain.failure = failure
        if isinstance(call.change, Written):
            self.node.on_refused(call.change.call)

    async def _commit_for_sure(self, changes: Sequence[Change]) -> None:
        """If the answer is lost, find out what it was; if the commit was not made, again."""
        while True:
            self._begun += 1
            await self.reach("sending")
            try:
                await self._ask(
                    begin,
                    self.protocol.mark(self.number, self._begun, changes),
                    *(self.protocol.change(self.number, change) for change in changes),
                    commit,
                )
            except Gone:
                await self.reach("lost")
                if await self._be_born(self.number):
                    return
            else:
                await self.reach("answered")
                return

    async def _beat(self) -> None:
        self._begun += 1
        await self._ask(begin, self.protocol.mark(self.number, self._begun, ()), commit)

    async def _ask(self, *statements: Any) -> list[Any]:
        sent = self.time.now
        results = await self.wire.ask(*statements)
        self.proved_at = sent
        return results

    # --- births -----------------------------------------------------------------------------------

    async def _be_born(self, former: int) -> bool:
        """Be a new node, on a new connection; whether the last commit of the former one was made.

        The former's row tells that. An attempt that failed may have left a number behind, too,
        which sessions were taken along to: the next one looks for both.
        """
        self.lost_since = self.time.now if former else None
        if former:
            self._formers.append(former)
        while True:
            try:
                self.wire = await self.node.dial()
                made = await self._take_over(former)
            except Gone:
                await self.time.sleep(DIAL_PAUSE)
            else:
                return made

    async def _take_over(self, former: int) -> bool:
        await self.reach("dialled")
        sent = self.time.now
        old = self._pids
        self._pids = [*old, self.wire.backend.pid]
        for pid in old:
            await self.protocol.end_old(self, pid)
        self._pids = [self.wire.backend.pid]
        await self.reach("old ended")
        made = former and await self.protocol.last_batch(self, former) == self._begun
        number = await self.protocol.become(self)
        self._formers.append(number)
        live = list(self.node.live)
        _, taken, _ = await self.wire.ask(
            begin,
            self.protocol.take_along(number, tuple(self._formers), live),
            commit,
        )
        self.number, self._formers, self.lost_since, self.proved_at = number, [], None, sent
        await self.reach("reborn")
        self.node.tell(lambda: self.node.is_now(number, taken))
        return bool(made)


def _settle(call: Call) -> None:
    if call.failure is None:
        call.done.keep(None)
    else:
        call.done.fail(call.failure)
