"""A model of a node's event loop: its live sessions, what it knows of others, what it adopts."""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from cluster.model_server import ERASED, Gone, Record, Server, Written
from cluster.model_wire import Wire
from cluster.model_writer import Call, Chain, NotMade, Writer
from cluster.protocol import Change, Erased, Look, Protocol
from cluster.virtual_time import Process, Promise, Time
from wingman.cluster.decisions import Shares, Stillness
from wingman.cluster.member import LOOK_SECONDS
from wingman.store import Node as NodeSeen
from wingman.store import NodeTerms, Unowned

if TYPE_CHECKING:
    from cluster.world import Message

__all__ = ["Elsewhere", "Live", "Node", "NotFound"]

IDLE_FOR: Final = 2.5


class NotFound(Exception):
    """There is no such session any more."""


class Elsewhere(Exception):
    """A living node owns the session."""

    def __init__(self, number: int | None) -> None:
        super().__init__(number)
        self.number = number


@attrs.define(eq=False)
class Live:
    """A session in a node's memory. It knows all rows of it, those that are being written too."""

    node: "Node"
    session: str
    opened_at: float
    known: int = 0
    closed_at: float | None = None
    calls: dict[str, Call | None] = attrs.field(factory=dict)
    """What came of each message that is known; None: its row was there already."""
    todo: deque[str] = attrs.field(factory=deque)
    quiet_since: float = 0
    _chain: Chain = attrs.field(factory=Chain)

    def read(self, records: list[Record]) -> None:
        """Take in all rows."""
        self.known = len(records)
        for record in records:
            row = record.written
            if row.what == "queued":
                self.calls[row.message] = None
                self.todo.append(row.message)
            elif row.message in self.todo:
                self.todo.remove(row.message)

    def write(self, what: str, message: str) -> Call:
        """Write a row on top of all that are known."""
        if self.closed_at is not None:
            raise NotMade("closed")
        self.quiet_since = self.node.time.now
        row = Written(self.session, what, message, self.node.next_call(), self.known)
        self.known += 1
        return self.submit(row)

    def submit(self, change: Change) -> Call:
        """Queue a change on top of all before it."""
        return self.node.writer.submit(change, self._chain)

    async def work(self) -> None:
        """End what is queued, message by message; leave memory when there was nothing for long."""
        time = self.node.time
        try:
            while self.closed_at is None:
                if self.todo:
                    message = self.node.message(self.todo[0])
                    await time.sleep(message.work or 0)
                    call = self.write("ended", self.todo[0])
                    self.todo.popleft()
                    if message.leaves and not self.todo:
                        await self.node.passivate(self)
                    else:
                        await call.done.wait()
                elif time.now - self.quiet_since > IDLE_FOR:
                    await self.node.passivate(self)
                else:
                    await time.sleep(0.1)
        except NotMade:
            self.close()

    def close(self) -> None:
        """Write nothing more: its tools are killed, its streams are closed."""
        if self.closed_at is None:
            self.closed_at = self.node.time.now
            self.node.live.pop(self.session, None)


@attrs.define(eq=False)
class Node:
    """One life of a node: a process. `reach`, `dial` and `remote` are the world around it."""

    name: str
    time: Time
    server: Server
    protocol: Protocol
    reach: Callable[[str], Awaitable[None]]
    dial: Callable[[], Awaitable[Wire]]
    remote: Callable[[], Awaitable[None]]
    """Waits for what a query takes to get to the server, or back; raises `Gone`."""
    next_call: Callable[[], int]
    message: Callable[[str], "Message"]
    on_live: Callable[[Live], None]
    on_refused: Callable[[int], None]
    number: int = 0
    live: dict[str, Live] = attrs.field(factory=dict)
    dead: set[int] = attrs.field(factory=set)
    process: Process = attrs.field(init=False)
    writer: Writer = attrs.field(init=False)
    _opening: dict[str, Promise[Live]] = attrs.field(factory=dict)
    _news: deque[Callable[[], None]] = attrs.field(factory=deque)
    _has_news: Promise[None] | None = None
    _stillness: Stillness = attrs.field(factory=Stillness)
    _shares: Shares = attrs.field(factory=Shares)

    def start(self) -> None:
        """Begin to live."""
        self.process = Process(self.name)
        self.writer = Writer(self)
        for task in (self.writer.work, self._hear, self._watch, self._guard):
            self.time.start(task(), self.process)

    def hop(self) -> float:
        """How long a thread takes to have its turn."""
        return self.server.pause(0.001)

    # --- sessions ---------------------------------------------------------------------------------

    async def serve(self, session: str, message: str) -> None:
        """Take a message: return when it is acknowledged.

        Raises `Elsewhere`, `NotFound`, `NotMade`, or `Gone` where the database cannot be read.
        """
        live = await self._live(session)
        if message not in live.calls:
            live.calls[message] = call = live.write("queued", message)
            live.todo.append(message)
        elif (known := live.calls[message]) is None:
            return
        else:
            call = known
        await call.done.wait()

    async def erase(self, session: str) -> None:
        """Erase a session; raises what `serve` does."""
        live = await self._live(session)
        call = live.submit(Erased(session))
        live.close()
        await call.done.wait()

    async def _live(self, session: str) -> Live:
        if session in self.live:
            return self.live[session]
        if session in self._opening:
            return await self._opening[session].wait()
        self._opening[session] = opening = self.time.promise()
        try:
            live = await self._open(session)
        except (Elsewhere, NotFound, NotMade, Gone) as error:
            opening.fail(error)
            raise
        finally:
            self._opening.pop(session, None)
        opening.keep(live)
        return live

    async def _open(self, session: str) -> Live:
        """Own a session, then read it."""
        owner = await self._read(lambda: self.server.committed["session", session])
        if owner == ERASED:
            raise NotFound
        if owner not in (None, self.number) and not await self._is_dead(owner):
            raise Elsewhere(owner)
        await self.protocol.own(self, session, owner)
        await self.reach("claimed")
        owner = await self._read(lambda: self.server.committed["session", session])
        if owner != self.number:
            raise NotFound if owner == ERASED else Elsewhere(owner)
        await self.reach("read back")
        records = await self._read(lambda: list(self.server.rows[session]))
        await self.reach("loaded")
        live = Live(self, session, self.time.now, quiet_since=self.time.now)
        live.read(records)
        self.live[session] = live
        self.on_live(live)
        self.time.start(live.work(), self.process)
        return live

    async def passivate(self, live: Live) -> None:
        """Let a session be nobody's, after all that it has written."""
        live.close()
        await self.protocol.let_go(self, live.session)

    async def _is_dead(self, number: int) -> bool:
        if number not in self.dead:
            self._take_in(await self._look())
        return number in self.dead

    async def _read(self, query: Callable[[], Any]) -> Any:
        await self.remote()
        found = query()
        await self.remote()
        return found

    # --- what the writer tells --------------------------------------------------------------------

    def tell(self, news: Callable[[], None]) -> None:
        """From the writer's thread: have the event loop do this, in order, soon."""
        self._news.append(news)
        if self._has_news is not None:
            self._has_news.keep(None)

    async def _hear(self) -> None:
        while True:
            while self._news:
                self._news.popleft()()
            self._has_news = self.time.promise()
            await self._has_news.wait()
            await self.reach("hearing")
            await self.time.sleep(self.hop())

    def is_now(self, number: int, taken: list[str]) -> None:
        """It is a new node, which has taken these sessions along."""
        self.number = number
        for session in [session for session in self.live if session not in taken]:
            self.protocol.abandon(self.live[session])

    async def _guard(self) -> None:
        """Give up all sessions where it is not certain any more that they are this node's."""
        while True:
            await self.time.sleep(0.25)
            now, writer = self.time.now, self.writer
            lost_for = 0.0 if writer.lost_since is None else now - writer.lost_since
            if self.protocol.is_cut_off(lost_for, now - writer.proved_at):
                for live in list(self.live.values()):
                    self.protocol.abandon(live)

    # --- others -----------------------------------------------------------------------------------

    async def _look(self) -> Look:
        await self.remote()
        look = await self.protocol.look(self.server, self.reach)
        await self.remote()
        return look

    async def _watch(self) -> None:
        while True:
            await self.time.sleep(LOOK_SECONDS)
            try:
                look = await self._look()
                self._take_in(look)
                await self._end_still(look)
            except Gone:
                continue
            living = self._living(look)
            unowned = [_unowned(*each) for each in look.work if self._has_no_owner(*each)]
            for each in self._shares.take(unowned, living, self.number):
                self.time.start(self._adopt(each.session_id), self.process)
            for session, owner in look.work:
                if owner == self.number and self.protocol.takes_up_its_own:
                    self.time.start(self._adopt(session), self.process)

    def _take_in(self, look: Look) -> None:
        self.dead |= look.nodes.keys() - look.held

    async def _end_still(self, look: Look) -> None:
        living = self._living(look)
        for node in self.protocol.still(self._stillness, living, self.time.now):
            if node.number != self.number:
                pid = look.nodes[node.number].pid
                await self._read(partial(self.server.end_stale, pid, look.at))

    def _living(self, look: Look) -> list[NodeSeen]:
        return [
            NodeSeen(number=number, terms=NodeTerms(), secret="", commits=row.batch)
            for number, row in look.nodes.items()
            if number not in self.dead
        ]

    def _has_no_owner(self, session: str, owner: int | None) -> bool:
        return owner is None or owner in self.dead

    async def _adopt(self, session: str) -> None:
        with suppress(Elsewhere, NotFound, NotMade, Gone):
            await self._live(session)


def _unowned(session: str, owner: int | None) -> Unowned:
    return Unowned(
        session_id=session, former=owner, label=None, work_dir="/", runs=1, deleting=False
    )
