"""A story: three nodes, a database, clients and faults, from its beginning to its end."""

import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Sequence
from functools import partial
from itertools import count
from typing import Any, Final

import attrs

from cluster import faults
from cluster.faults import Fault, Trouble
from cluster.model_node import Elsewhere, Live, Node, NotFound
from cluster.model_server import Gone, Server
from cluster.model_wire import Wire
from cluster.model_writer import NotMade
from cluster.protocol import Protocol
from cluster.virtual_time import Process, Promise, Time, TimedOut

__all__ = ["Message", "Story", "World"]

SLOTS: Final = 3
FAULTS_UNTIL: Final = 25.0
SETTLED_WITHIN: Final = 25.0
"""Seconds from the last fault's end until all that was asked for is done, beside its own time."""
_OPEN: Final = frozenset(("marked", "written", "claiming", "releasing", "flushing"))
"""Places where a transaction is open: what takes its time there has others in the middle of it."""

_PAUSES: Final = (0.02, 0.1, 0.5, 1.0, 2.5)


@attrs.frozen
class Message:
    """A client's message: when, to which session, first to which node, and how long it takes.

    One of which the work is None erases the session. After one that `leaves`, the node lets go of
    the session as soon as it has nothing to do.
    """

    at: float
    session: str
    slot: int
    work: float | None
    leaves: bool = False


@attrs.frozen
class Story:
    """All that is not the protocol's doing; the same story goes the same way each time.

    `jitter` is how often something takes its time at some place, and `seed` says where.
    """

    messages: Sequence[Message]
    troubles: Sequence[Trouble]
    jitter: float
    seed: int


@attrs.define(eq=False)
class World:
    """The story, as it goes."""

    story: Story
    protocol: Protocol
    time: Time = attrs.field(factory=Time)
    server: Server = attrs.field(init=False)
    nodes: list[Node] = attrs.field(factory=list)
    """Who is in each slot now."""
    acknowledged: list[tuple[str, str]] = attrs.field(factory=list)
    refused: set[int] = attrs.field(factory=set)
    """Calls that are said not to have been made, for ever."""
    lives: list[Live] = attrs.field(factory=list)
    calm_from: float = 0
    stops: list[tuple[Process, float, float]] = attrs.field(factory=list)
    """Which processes were stopped, from when to when."""
    unanswered: set[str] = attrs.field(factory=set)
    _outside: Process = attrs.field(factory=lambda: Process("outside"))
    _armed: dict[int, list[deque[Fault]]] = attrs.field(factory=lambda: defaultdict(list))
    """What is to go wrong at each slot: of each trouble the first fault is next."""
    _apart_until: dict[int, float] = attrs.field(factory=lambda: dict.fromkeys(range(SLOTS), 0))
    _wires: dict[str, list[Wire]] = attrs.field(factory=dict)
    _calls: Any = attrs.field(factory=count)
    _messages: dict[str, Message] = attrs.field(factory=dict)
    _work: float = 0
    _births: Any = attrs.field(factory=count)

    def __attrs_post_init__(self) -> None:
        self.server = Server(self.time, random.Random(self.story.seed))
        self._work = sum(message.work or 0 for message in self.story.messages)
        for trouble in self.story.troubles:
            self._armed[trouble.slot].append(deque(trouble.faults))

    def run(self) -> None:
        """Go on until all is quiet, or should have been for long."""
        try:
            self._run()
        finally:
            self.time.close()

    def _run(self) -> None:
        sessions = sorted({message.session for message in self.story.messages})
        for session in sessions:
            self.server.committed["session", session] = None
        for slot in range(SLOTS):
            self.nodes.append(self._node(slot))
            self.time.start(self._seconds(slot), self._outside)
        for index, message in enumerate(self.story.messages):
            self._send(f"m{index}", message)
        last = max((message.at for message in self.story.messages), default=0)
        self.calm_from = last
        self.time.run_while(lambda: not self._is_quiet() and not self.is_late)
        if self.is_late:
            return
        # What is idle can be had by anyone.
        for slot, session in enumerate(sessions):
            self._send(f"last{slot}", Message(self.time.now, session, slot % SLOTS, 0))
        self.calm_from = max(self.calm_from, self.time.now)
        self.time.run_while(lambda: not self._is_quiet() and not self.is_late)

    @property
    def is_late(self) -> bool:
        """Whether all should have been done by now."""
        return self.time.now > self.calm_from + self._work + SETTLED_WITHIN

    def unfinished(self) -> list[str]:
        """Sessions with work that nobody has done."""
        return [session for session, work in self.server.work.items() if work]

    def _is_quiet(self) -> bool:
        return self.time.now > self.calm_from and not self.unanswered and not self.unfinished()

    # --- clients ----------------------------------------------------------------------------------

    def _send(self, name: str, message: Message) -> None:
        self.unanswered.add(name)
        self._messages[name] = message
        self.time.start(self._client(name, message), self._outside)

    async def _client(self, name: str, message: Message) -> None:
        """Asks again until it is answered: who owns the session, or else the next node."""
        await self.time.sleep(message.at - self.time.now)
        slot = message.slot
        while True:
            node, answer = self.nodes[slot], self.time.promise()
            if node.process.alive and node.process.stopped_until <= self.time.now:
                erases = message.work is None
                steps = node.erase(message.session) if erases else node.serve(message.session, name)
                self.time.start(_asked(steps, answer), node.process)
                try:
                    await answer.wait(4.0)
                except Elsewhere as elsewhere:
                    slot = self._slot_of(elsewhere.number, slot + 1)
                except (NotMade, Gone, TimedOut):
                    slot = (slot + 1) % SLOTS
                except NotFound:
                    self.unanswered.discard(name)
                    return
                else:
                    if not erases:
                        self.acknowledged.append((message.session, name))
                    self.unanswered.discard(name)
                    return
            else:
                slot = (slot + 1) % SLOTS
            await self.time.sleep(0.2)

    def _slot_of(self, number: int | None, otherwise: int) -> int:
        for slot, node in enumerate(self.nodes):
            if node.number == number:
                return slot
        return otherwise % SLOTS

    # --- nodes ------------------------------------------------------------------------------------

    def _node(self, slot: int) -> Node:
        name = f"{'ABC'[slot]}{next(self._births)}"
        self._wires[name] = []
        node = Node(
            name,
            self.time,
            self.server,
            self.protocol,
            partial(self._reach, slot),
            partial(self._dial, slot, name),
            partial(self._remote, slot),
            partial(next, self._calls),
            self._messages.__getitem__,
            self.lives.append,
            self.refused.add,
        )
        node.start()
        return node

    async def _dial(self, slot: int, name: str) -> Wire:
        await self._remote(slot)
        wire = Wire(self.server, self.server.backend(partial(self._reach, slot)), self.time)
        self._wires[name].append(wire)
        return wire

    async def _remote(self, slot: int) -> None:
        apart = self._apart_until[slot] - self.time.now
        if apart > 0:
            await self.time.sleep(min(apart, 3.0))
            if apart > 3.0:
                raise Gone
        await self.time.sleep(self.server.pause(0.002))
        if not self.server.is_up:
            raise Gone

    # --- faults -----------------------------------------------------------------------------------

    async def _seconds(self, slot: int) -> None:
        while True:
            await self._reach(slot, "second")
            await self.time.sleep(1.0)

    async def _reach(self, slot: int, place: str) -> None:
        due = []
        for chain in self._armed[slot]:
            if chain and chain[0].place == place and self.time.now < FAULTS_UNTIL:
                fault = chain.popleft()
                if fault.after:
                    chain.appendleft(attrs.evolve(fault, after=fault.after - 1))
                else:
                    due.append(fault.deed)
        for deed in due:
            await self._do(slot, deed)
        often = self.story.jitter * (5 if place in _OPEN else 1)
        chance = self.server.chance
        if often and self.time.now < FAULTS_UNTIL and chance.random() < often:
            await self._do(slot, faults.Pause(chance.choice(_PAUSES)))

    async def _do(self, slot: int, deed: faults.Deed) -> None:
        node, now, lasts, pause = self.nodes[slot], self.time.now, 0.0, 0.0
        wires = self._wires[node.name]
        match deed:
            case faults.Pause(seconds):
                lasts = pause = seconds
            case faults.Kill(lasts):
                self._kill(slot, lasts)
            case faults.Stop(lasts):
                node.process.stopped_until = max(node.process.stopped_until, now + lasts)
                self.stops.append((node.process, now, now + lasts))
            case faults.Cut(client_after, server_after, arrives) if wires:
                lasts = max(client_after, server_after)
                wires[-1].cut(client_after, server_after, arrives=arrives)
            case faults.Hold(lasts) if wires:
                wires[-1].hold(lasts)
            case faults.Partition(lasts, cut):
                self._apart_until[slot] = max(self._apart_until[slot], now + lasts)
                for wire in wires:
                    if cut:
                        wire.cut(min(lasts, 9.0), min(lasts, 9.0), arrives=True)
                    else:
                        wire.hold(lasts)
            case faults.Terminate() if wires:
                wires[-1].backend.terminate()
            case faults.Crash(lasts):
                self.server.crash(lasts)
            case faults.Stall(lasts):
                self.server.stalled_until = max(self.server.stalled_until, now + lasts)
            case _:
                pass
        self.calm_from = max(self.calm_from, now + lasts)
        await self.time.sleep(pause)

    def _kill(self, slot: int, back_after: float) -> None:
        node = self.nodes[slot]
        if not node.process.alive:
            return
        for live in list(node.live.values()):
            live.close()
        for wire in self._wires[node.name]:
            wire.close()
        node.process.kill()

        def start() -> None:
            self.nodes[slot] = self._node(slot)

        self.time.call_at(self.time.now + back_after, start)


async def _asked(steps: Awaitable[None], answer: Promise[None]) -> None:
    try:
        await steps
    except (Elsewhere, NotFound, NotMade, Gone) as error:
        answer.fail(error)
    else:
        answer.keep(None)
