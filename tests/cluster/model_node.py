"""A model of a node's event loop: its live sessions, what it knows of others, what it adopts."""

import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import attrs

from cluster.model_server import Gone, Record, Server, Written
from cluster.model_wire import Wire
from cluster.model_writer import Call, Chain, NotMade, Writer
from cluster.protocol import Claimed, Created, Look, Protocol, Released
from cluster.virtual_time import Process, Promise, Time

__all__ = ["Elsewhere", "Live", "Node"]

LOOK_EVERY: Final = 0.5
IDLE_FOR: Final = 2.5


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
        return self.node.writer.submit(row, self._chain)

    async def work(self) -> None:
        """End what is queued, message by message; leave memory when there was nothing for long."""
        time = self.node.time
        try:
            while self.closed_at is None:
                if self.todo:
                    await time.sleep(self.node.work_of(self.todo[0]))
                    await self.write("ended", self.todo[0]).done.wait()
                    self.todo.popleft()
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
    work_of: Callable[[str], float]
    on_live: Callable[[Live], None]
    on_refused: Callable[[int], None]
    number: int = 0
    live: dict[str, Live] = attrs.field(factory=dict)
    dead: set[int] = attrs.field(factory=set)
    living: tuple[int, ...] = ()
    process: Process = attrs.field(init=False)
    writer: Writer = attrs.field(init=False)
    _opening: dict[str, Promise[Live]] = attrs.field(factory=dict)
    _news: deque[Callable[[], None]] = attrs.field(factory=deque)
    _has_news: Promise[None] | None = None
    _seen: dict[int, tuple[Any, float, int]] = attrs.field(factory=dict)

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

    async def serve(self, session: str, message: str, *, new: bool = False) -> None:
        """Take a message: return when it is acknowledged.

        Raises `Elsewhere`, `NotMade`, or `Gone` where the database cannot be read.
        """
        live = await (self._create(session) if new else self._live(session))
        if message not in live.calls:
            live.calls[message] = call = live.write("queued", message)
            live.todo.append(message)
        elif (known := live.calls[message]) is None:
            return
        else:
            call = known
        await call.done.wait()

    async def _create(self, session: str) -> Live:
        await self.writer.submit(Created(session)).done.wait()
        return await self._live(session)

    async def _live(self, session: str) -> Live:
        if session in self.live:
            return self.live[session]
        if session in self._opening:
            return await self._opening[session].wait()
        self._opening[session] = opening = self.time.promise()
        try:
            live = await self._open(session)
        except (Elsewhere, NotMade, Gone) as error:
            opening.fail(error)
            raise
        finally:
            self._opening.pop(session, None)
        opening.keep(live)
        return live

    async def _open(self, session: str) -> Live:
        """Own a session, then read it."""
        owner = await self._read(lambda: self.server.committed.get(("session", session)))
        if owner not in (None, self.number) and not await self._is_dead(owner):
            raise Elsewhere(owner)
        await self.protocol.own(self, session, owner)
        await self.reach("claimed")
        owner = await self._read(lambda: self.server.committed.get(("session", session)))
        if owner != self.number:
            raise Elsewhere(owner)
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
            if self.protocol.is_uncertain(lost_for, now - writer.proved_at):
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
            await self.time.sleep(LOOK_EVERY)
            try:
                look = await self._look()
                for pid in self._take_in(look):
                    await self._read(partial(self.server.end_stale, pid, look.at))
            except Gone:
                continue
            for session, owner in look.work:
                if self._is_mine(session, owner) and session not in self.live:
                    self.time.start(self._adopt(session), self.process)

    def _take_in(self, look: Look) -> list[int]:
        """Learn who is dead; the backends of those who do not go on."""
        now = self.time.now
        self.dead |= look.nodes.keys() - look.held
        living = [number for number in look.nodes if number not in self.dead]
        self.living = tuple(sorted(living))
        stale = []
        for number in living:
            row = look.nodes[number]
            last, since, looks = self._seen.get(number, (None, now, 0))
            mark = (row.batch, row.beats)
            self._seen[number] = (mark, since, looks + 1) if mark == last else (mark, now, 0)
            _, since, looks = self._seen[number]
            if number == self.number or looks < self.protocol.stale_looks:
                continue
            if now - since >= self.protocol.stale_after:
                stale.append(row.pid)
        return stale

    def _is_mine(self, session: str, owner: int | None) -> bool:
        if owner is not None and owner not in self.dead:
            return owner == self.number
        share = self.living[zlib.crc32(session.encode()) % len(self.living)] if self.living else 0
        return share == self.number

    async def _adopt(self, session: str) -> None:
        try:
            await self._live(session)
        except (Elsewhere, NotMade, Gone):
            return
