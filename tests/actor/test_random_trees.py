"""Random trees of actors that do all that a context can, held against what is promised of any.

Each program is made by its seed, and so is the order in which it runs: a failure names its seed,
and `run(program, seed=that)` has it again. `WINGMAN_RANDOM_PROGRAMS` says how many are tried.
"""

import logging
import os
import random
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, Self
from unittest import mock

import attrs
import pytest
import trio

from wingman.actor import (
    ActorError,
    ActorRef,
    ActorSystem,
    Backoff,
    Context,
    Delivery,
    DeliveryState,
    Directory,
    Escalate,
    Mailbox,
    Restart,
    Stop,
    Stopped,
    Supervision,
    Timer,
)
from wingman.actor.cell import Cell
from wingman.actor.testing import Recorder, explore
from wingman.foreign import ForeignFailure

PROGRAMS = int(os.environ.get("WINGMAN_RANDOM_PROGRAMS", "80"))
MOST_ACTORS = 40
DEEPEST = 4


class Crash(Exception):
    """Not expected: the actor crashes."""


class Refusal(Exception):
    """Expected: an answer."""


@attrs.frozen(eq=False)
class Order:
    """A message: who sent it, as which of theirs, and what is to be done."""

    sender: int
    number: int
    do: str
    seconds: float


class Urgent(Order):
    """One that goes first, where the mailbox knows it."""


@attrs.define(eq=False)
class Tick:
    """What a timer sends: of which life, and how often it has come."""

    life: "Node"
    due: float
    period: float | None
    timer: Timer | None = None
    cancelled: bool = False
    came: int = 0


class World:
    """What happened in one program. What is wrong is kept: an actor that raised it would crash."""

    def __init__(self) -> None:
        self.numbers = count()
        self.faults: list[str] = []
        self.refs: list[ActorRef[Any]] = []
        self.lives: dict[Cell, list[Node]] = {}
        self.begun: dict[Cell, list[Order]] = {}
        self.stashed: set[Order] = set()
        self.told: list[Order] = []
        self.deliveries: list[Delivery] = []
        self.settled: Counter[Delivery] = Counter()

    def hold(self, truth: object, text: str) -> None:
        if not truth:
            self.faults.append(text)

    def spawn(self, spawner: Any, parent: "Node | None" = None) -> None:
        """Start an actor with whatever options."""
        if len(self.refs) >= MOST_ACTORS:
            return
        ref = spawner.spawn(
            partial(Node, self, parent),
            name=f"n{len(self.refs)}",
            mailbox=some_mailbox(),
            supervision=some_supervision(child=parent is not None),
            expected=(Refusal,),
            stop_within=random.choice([0.0, 0.5, 5.0]),
            start_within=random.choice([None, None, 1.0]),
        )
        self.refs.append(ref)
        if parent is not None:
            parent.children.append(ref.cell)

    async def send(self, ref: ActorRef[Any], sender: int, do: str | None = None) -> None:
        """Send one order, in one way or another; patience is limited."""
        kind = random.choice([Order, Order, Order, Urgent])
        seconds = random.choice([0.0, 0.0, 0.5, 2.0])
        order = kind(sender, next(self.numbers), do or random.choice(DEEDS), seconds)
        # What becomes of it is held against the promises when all is over.
        with suppress(ActorError, Crash, Refusal, ForeignFailure):
            with trio.move_on_after(random.choice([0.0, 0.5, 5.0])):
                match random.choice(["tell", "tell_nowait", "ask", "submit", "cancel"]):
                    case "tell":
                        await ref.tell(order)
                        self.told.append(order)
                    case "tell_nowait":
                        ref.tell_nowait(order)
                        self.told.append(order)
                    case "ask":
                        self.hold(await ref.ask(order) is order, "the reply is another's")
                    case "submit":
                        self.deliveries.append(ref.submit(order))
                    case "cancel" if self.deliveries:
                        random.choice(self.deliveries).cancel()


def some_mailbox() -> Mailbox:
    when_full = random.choice(["wait", "wait", "refuse", "drop_oldest", "drop_newest"])
    return Mailbox(
        random.choice([1, 2, 20]), when_full=when_full, urgent=random.choice([(), (Urgent,)])
    )


def some_supervision(*, child: bool) -> Supervision:
    if random.random() < 0.15:
        return random.choice([Stop(), Escalate()]) if child else Stop()
    strategies = ["one_for_one", "one_for_all", "rest_for_one"] if child else ["one_for_one"]
    return Restart(
        max_restarts=random.choice([1, 3, 20]),
        backoff=Backoff(initial=random.choice([0.0, 0.5]), maximum=2),
        strategy=random.choice(strategies),
        exhausted=random.choice([Stop(), Escalate()]) if child else Stop(),
    )


class Node:
    """One life of an actor, which does what it is told to, and sees that all is as promised."""

    def __init__(self, world: World, parent: "Node | None", context: Context[Any]) -> None:
        self.world, self.parent, self.context = world, parent, context
        self.number = next(world.numbers)
        self.cell = context.ref.cell
        self.depth = 0 if parent is None else parent.depth + 1
        self.children: list[Cell] = []
        self.watched: dict[Cell, ActorRef[Any]] = {}
        self.ticks: list[Tick] = []
        self.at_work = self.left = self.over = False
        former = world.lives.setdefault(self.cell, [])
        for life in former:
            world.hold(life.over, "two lives at once")
            life.see_children_ended()
        world.hold(parent is None or not parent.left, "a child begins after its parent's life")
        former.append(self)
        for _ in range(random.choice([0, 1, 3]) if self.depth < 2 else 0):
            world.spawn(context, self)
        if former[1:] and random.random() < 0.1:
            self.over = True
            raise Crash

    def see_children_ended(self) -> None:
        ended = all(cell.termination is not None for cell in self.children)
        self.world.hold(ended, "a child outlives its parent's life")

    async def __aenter__(self) -> Self:
        try:
            if random.random() < 0.1:
                self.world.spawn(self.context, self)
            await trio.sleep(random.choice([0.0, 0.0, 0.5, 2.0]))
            if random.random() < 0.1:
                raise Crash
        except BaseException:
            self.over = True
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.see_children_ended()
        self.left = True
        try:
            await trio.sleep(random.choice([0.0, 0.0, 0.5]))
            if random.random() < 0.1:
                raise Crash
        finally:
            self.over = True

    async def receive(self, message: Any) -> Any:
        hold = self.world.hold
        hold(not self.at_work, "two messages at once")
        hold(not self.left and not self.over, "a message after the life")
        self.at_work = True
        try:
            match message:
                case Stopped(ref, termination):
                    hold(self.watched.pop(ref.cell, None) is ref, "a Stopped that nobody awaits")
                    hold(ref.cell.termination == termination, "a Stopped before the end")
                case Tick():
                    self.see(message)
                case Order():
                    self.world.begun.setdefault(self.cell, []).append(message)
                    await self.obey(message)
                    return message
        finally:
            self.at_work = False

    def see(self, tick: Tick) -> None:
        hold = self.world.hold
        tick.came += 1
        hold(tick.life is self, "a tick in another life")
        hold(not tick.cancelled, "a tick of a timer that was cancelled")
        hold(tick.period is not None or tick.came == 1, "a timer fires twice")
        due = tick.due + (tick.period or 0.0) * (tick.came - 1)
        hold(trio.current_time() >= due - 1e-6, "a tick before it is due")

    async def obey(self, order: Order) -> None:
        world, context = self.world, self.context
        with trio.CancelScope(shield=order.do == "stubborn"):
            await trio.sleep(order.seconds)
        match order.do:
            case "crash":
                raise Crash
            case "refuse":
                raise Refusal
            case "spawn" if self.depth < DEEPEST:
                world.spawn(context, self)
            case "stop child" | "kill child" if context.children:
                child = random.choice(context.children)
                await (child.stop() if order.do == "stop child" else child.kill())
            case "watch":
                ref = random.choice(world.refs)
                if ref.cell is not self.cell and ref.cell not in self.watched:
                    self.watched[ref.cell] = ref
                    context.watch(ref)
            case "unwatch" if self.watched:
                context.unwatch(self.watched.pop(random.choice(list(self.watched))))
            case "after" | "every":
                self.set_timer(order)
            case "cancel timer" if self.ticks:
                tick = random.choice(self.ticks)
                assert tick.timer is not None
                tick.cancelled = tick.cancelled or tick.timer.active
                tick.timer.cancel()
            case "stash":
                context.stash()
                world.stashed.add(order)
            case "unstash":
                context.unstash()
            case "leave":
                context.stop()
            case "ask":
                await world.send(random.choice(world.refs), self.number)

    def set_timer(self, order: Order) -> None:
        seconds = random.choice([0.5, 1.0, 7.0])
        period = seconds if order.do == "every" else None
        tick = Tick(self, trio.current_time() + seconds, period)
        self.ticks.append(tick)
        tick.timer = getattr(self.context, order.do)(seconds, tick)


DEEDS = [
    *["well"] * 4,
    *["spawn", "watch", "after"] * 3,
    *["crash", "refuse", "stubborn", "stop child", "kill child", "unwatch", "every"],
    *["cancel timer", "stash", "unstash", "leave", "ask", "crash"],
]


async def program() -> None:
    """Roots, a directory, senders who send to any actor there is, and one way or another to end."""
    world, recorder = World(), Recorder()
    settle = Delivery.settle

    def counting(delivery: Delivery, state: DeliveryState, reply: Any) -> None:
        world.settled[delivery] += 1
        settle(delivery, state, reply)

    before = trio.lowlevel.current_statistics().tasks_living
    with mock.patch.object(Delivery, "settle", counting):
        with trio.move_on_after(random.choice([2, 10, 1_000, 1_000, 1_000])):
            async with ActorSystem(instruments=(recorder,)) as system:
                await live(world, system)
        hold_to_the_promises(world, recorder, system)
    world.hold(trio.lowlevel.current_statistics().tasks_living == before, "a task is left")
    assert not world.faults, world.faults


async def live(world: World, system: ActorSystem) -> None:
    directory = Directory(
        system,
        lambda _, context: Node(world, None, context),
        name=lambda _: f"d{next(world.numbers)}",
        idle_after=3,
        mailbox=some_mailbox(),
        expected=(Refusal,),
        supervision=some_supervision(child=False),
    )
    for _ in range(random.randint(1, 3)):
        world.spawn(system)

    async def go(sender: int) -> None:
        for _ in range(random.randint(5, 40)):
            await trio.sleep(random.choice([0.0, 0.0, 0.1, 1.0]))
            with suppress(ActorError):
                if random.random() < 0.1 and directory.ref("d") not in world.refs:
                    world.refs.append(directory.ref("d"))
            await world.send(random.choice(live_ones(world)), sender)

    async with trio.open_nursery() as nursery:
        for _ in range(random.randint(1, 4)):
            nursery.start_soon(go, next(world.numbers))
    if random.random() < 0.5:
        await trio.sleep(300)
        await trio.testing.wait_all_tasks_blocked()
        hold_still(world, system)
        for key in directory:
            ref = directory.find(key)
            ticks = world.lives[ref.cell][-1].ticks if ref is not None else []
            ticking = any(tick.period and not tick.cancelled for tick in ticks)
            stashing = ref is not None and ref.cell.queue.stashed
            world.hold(ticking or stashing, "an idle actor has not passivated")


def live_ones(world: World) -> list[ActorRef[Any]]:
    """Whom to send to: mostly those that live."""
    alive = [ref for ref in world.refs if ref.cell.termination is None]
    return world.refs if not alive or random.random() < 0.1 else alive


def hold_still(world: World, system: ActorSystem) -> None:
    """What is true when nobody sends any more, and all had time for what they had to do."""
    infos = system.snapshot()
    for info in infos:
        infos.extend(info.children)
    idle = all((info.state, info.mailbox) == ("idle", 0) for info in infos)
    world.hold(idle, f"an actor is stuck: {infos}")
    world.hold(
        {info.name for info in infos}
        == {cell.name for cell in world.lives if not cell.termination},
        "the snapshot is not what lives",
    )
    for cell, lives in world.lives.items():
        if cell.termination is not None:
            continue
        life = lives[-1]
        live = all(watched.termination is None for watched in life.watched)
        world.hold(live, "a Stopped did not come")
        for tick in life.ticks:
            world.hold(tick.cancelled or tick.came, "a timer did not fire")


def hold_to_the_promises(world: World, recorder: Recorder, system: ActorSystem) -> None:
    """What is true of every program, however it ended."""
    hold = world.hold
    hold(system.snapshot() == [], "an actor is left")
    hold(all(cell.termination for cell in world.lives), "a cell has not ended")
    if system._timers is not None:
        hold(not any(timer.active for _, _, timer in system._timers._heap), "a timer is left")
    hold(not any(cell._watches for cell in world.lives), "a watch is left")
    hold(all(life.over for lives in world.lives.values() for life in lives), "a life is not over")

    hooks = ("actor_started", "actor_stopped")
    started, stopped = ([r.ref.cell for r in recorder.records if r.hook == h] for h in hooks)
    hold(Counter(started) == Counter(stopped), "not every actor that began has ended once")
    hold(all(times == 1 for times in Counter(stopped).values()), "an actor has ended twice")
    place = {cell: number for number, cell in enumerate(stopped)}
    for cell in stopped:
        parent = cell.family.parent
        hold(parent is None or place[cell] < place[parent], "a parent has ended before a child")

    dead = Counter(record.message for record in recorder.dead_letters)
    hold(all(times == 1 for times in dead.values()), "a dead letter twice")
    hold(system.dead_letters == dead.total(), "the dead letters are counted wrong")
    hold(not any(isinstance(message, Stopped | Tick) for message in dead), "a notice is dead")
    hold(all(times == 1 for times in world.settled.values()), "a delivery has ended twice")
    hold(all(delivery.ended for delivery in world.deliveries), "a delivery has not ended")
    processed = {order for orders in world.begun.values() for order in orders}
    for order in world.told:
        hold(order in processed or order in dead, "lost without a trace")
    for orders in world.begun.values():
        ordinary = [order for order in orders if order not in world.stashed]
        hold(len(set(ordinary)) == len(ordinary), "processed twice")
        for sender in {order.sender for order in ordinary}:
            numbers = [o.number for o in ordinary if o.sender == sender and type(o) is Order]
            hold(numbers == sorted(numbers), "out of order")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("wingman.actor"), "disabled", True)


def test_trees_keep_their_promises_whatever_the_program() -> None:
    explore(program, seeds=range(PROGRAMS))
