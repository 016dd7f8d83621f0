"""Random programs of sends, cancels, stops and crashes, held against what is promised of any."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any
from unittest import mock

import attrs
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actor.troupe import AT_ONCE
from wingman.actor import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    Delivery,
    DeliveryCancelled,
    DeliveryState,
    Directory,
    Instrument,
    MailboxFull,
    Restart,
    Stop,
    Supervision,
)
from wingman.actor.testing import Recorder, run
from wingman.foreign import ForeignFailure


class Crash(Exception):
    """Not expected: the actor crashes."""


FOREIGN: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(2),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "group": lambda: BaseExceptionGroup("a", [ValueError("v"), SystemExit(2)]),
}
"""What is no `Exception`: the actor crashes on it, or its directory's hook or instrument fails."""


class Refusal(Exception):
    """Expected: an answer."""


@attrs.frozen(eq=False)
class Play:
    """A message: who sent it, as which of theirs, what comes of it and after how long."""

    sender: int
    number: int
    outcome: str
    seconds: float


@attrs.frozen
class Step:
    """One thing that a sender does, `pause` after the one before."""

    do: str
    outcome: str
    seconds: float
    patience: float
    pause: float


@attrs.define
class World:
    """What happened in one program."""

    begun: list[Play] = attrs.field(factory=list)
    done: list[Play] = attrs.field(factory=list)
    told: list[Play] = attrs.field(factory=list)
    deliveries: list[Delivery] = attrs.field(factory=list)
    dead: list[Play] = attrs.field(factory=list)
    settled: Counter[Delivery] = attrs.field(factory=Counter)
    at_work: int = 0
    stale: list[trio.Cancelled] = attrs.field(factory=list)


class Player:
    """Does what a play says, and remembers it in the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def receive(self, play: Play) -> Play:
        world = self.world
        world.begun.append(play)
        assert world.at_work == 0, "two messages at once"
        world.at_work += 1
        try:
            with trio.CancelScope(shield=play.outcome == "stubborn"):
                await self.sleep(play.seconds)
            if play.outcome in FOREIGN:
                raise FOREIGN[play.outcome]()
            if play.outcome == "stale" and world.stale:
                raise world.stale[0]
            if play.outcome == "crash":
                raise Crash
            if play.outcome == "refuse":
                raise Refusal
        finally:
            world.at_work -= 1
        world.done.append(play)
        return play

    async def sleep(self, seconds: float) -> None:
        """Sleep; how it was cancelled is remembered, to be raised when nothing is cancelled."""
        try:
            await trio.sleep(seconds)
        except trio.Cancelled as error:
            self.world.stale.append(error)
            raise


class Saboteur(Instrument):
    """Fails at the first message that is done."""

    def message_ended(self, ref: ActorRef, message: Any, error: BaseException | None) -> None:
        raise FOREIGN[list(FOREIGN)[message.number % len(FOREIGN)]]()


def fail_in_turns(turns: Iterator[int], *_: object) -> bool:
    """A directory's hook that fails two times out of three."""
    turn = next(turns)
    if turn % 3:
        raise FOREIGN[list(FOREIGN)[turn % len(FOREIGN)]]()
    return True


times = st.sampled_from([0.0, 0.5, 1.0, 2.0])
steps = st.builds(
    Step,
    do=st.sampled_from(["tell", "tell_nowait", "ask", "submit", "cancel", "cancel"]),
    outcome=st.sampled_from(["well"] * 6 + ["stubborn", "refuse", "crash", "stale", *FOREIGN]),
    seconds=times,
    patience=st.sampled_from([0.0, 0.5, 1.0, 10.0]),
    pause=times,
)
senders = st.lists(st.lists(steps, max_size=8), min_size=1, max_size=4)
supervisions = st.sampled_from(
    [AT_ONCE, Restart(max_restarts=1, backoff=Backoff(initial=1, jitter=0)), Stop()]
)
ends = st.sampled_from(["stop", "kill", None])
orders = st.integers(0, 1_000)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


async def perform(
    world: World, find: Callable[[], ActorRef], sender: int, part: list[Step]
) -> None:
    """Go through one sender's steps."""
    for number, step in enumerate(part):
        await trio.sleep(step.pause)
        play = Play(sender, number, step.outcome, step.seconds)
        # Each is held against the deliveries' states when all is over.
        with suppress(ActorStopped, MailboxFull, DeliveryCancelled, Crash, Refusal, ForeignFailure):
            await take(world, find(), step, play)


async def take(world: World, ref: ActorRef, step: Step, play: Play) -> None:
    """Take one step."""
    match step.do:
        case "submit":
            world.deliveries.append(ref.submit(play))
        case "tell_nowait":
            ref.tell_nowait(play)
            world.told.append(play)
        case "cancel" if world.deliveries:
            world.deliveries[int(step.patience * 7) % len(world.deliveries)].cancel()
        case "tell":
            with trio.move_on_after(step.patience):
                await ref.tell(play)
                world.told.append(play)
        case "ask":
            with trio.move_on_after(step.patience) as scope:
                assert await ref.ask(play) is play
            if scope.cancelled_caught:
                assert play not in world.done


def play(main: Callable[[World, ActorSystem], Any], seed: int) -> World:
    """Run a program in a system of its own, in a seed's order; every delivery's ends counted."""
    world = World()
    recorder = Recorder()
    settle = Delivery.settle

    def counting(delivery: Delivery, state: DeliveryState, reply: Any) -> None:
        world.settled[delivery] += 1
        settle(delivery, state, reply)

    async def bounded() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        async with ActorSystem(instruments=(recorder, Saboteur())) as system:
            await main(world, system)
        world.dead = [record.message for record in recorder.dead_letters]
        assert trio.lowlevel.current_statistics().tasks_living == before, "a task is left"
        assert system.snapshot() == []

    silence = mock.patch.object(logging.getLogger("wingman.actor"), "disabled", True)
    with silence, mock.patch.object(Delivery, "settle", counting):
        run(bounded, seed=seed, within=10_000)
    return world


def hold_to_the_promises(world: World) -> None:
    """What is true of every program."""
    assert all(times == 1 for times in world.settled.values()), "a delivery has ended twice"
    assert all(times == 1 for times in Counter(world.begun).values()), "processed twice"
    for sender in {play.sender for play in world.begun}:
        numbers = [play.number for play in world.begun if play.sender == sender]
        assert numbers == sorted(numbers), "out of order"
    for delivery in world.deliveries:
        hold_to_its_state(world, delivery)
    for play in world.told:
        assert play in world.begun or play in world.dead, "lost without a trace"


def hold_to_its_state(world: World, delivery: Delivery) -> None:
    """A final state says truly what came of the message."""
    play = delivery.message
    assert delivery.ended
    try:
        reply: object = delivery.reply()
    except Exception as error:
        reply = error
    match delivery.state, reply:
        case DeliveryState.DONE, _:
            assert reply is play
            assert play in world.done
        case DeliveryState.CANCELLED, DeliveryCancelled():
            assert play not in world.done
        case DeliveryState.CANCELLED, ActorStopped():
            assert play in world.begun
            assert play not in world.done
        case DeliveryState.FAILED, ActorStopped():
            assert play not in world.begun
            assert play in world.dead
        case DeliveryState.FAILED, Crash():
            assert play.outcome == "crash"
        case DeliveryState.FAILED, ForeignFailure(__cause__=trio.Cancelled()):
            assert play.outcome == "stale"
        case DeliveryState.FAILED, ForeignFailure(__cause__=cause):
            assert type(cause) is type(FOREIGN[play.outcome]())
        case DeliveryState.FAILED, Refusal():
            assert play.outcome == "refuse"
        case state, error:
            raise AssertionError((state, error))


@quick
@given(senders, supervisions, st.integers(1, 3), ends, times, orders)
def test_an_actor_keeps_its_promises_whatever_the_program(
    parts: list[list[Step]],
    supervision: Supervision,
    mailbox: int,
    end: str | None,
    after: float,
    seed: int,
) -> None:
    async def main(world: World, system: ActorSystem) -> None:
        ref = system.spawn(
            partial(Player, world), mailbox=mailbox, supervision=supervision, expected=(Refusal,)
        )
        async with trio.open_nursery() as nursery:
            for sender, part in enumerate(parts):
                nursery.start_soon(perform, world, lambda: ref, sender, part)
            if end is not None:
                await trio.sleep(after)
                await getattr(ref, end)()

    hold_to_the_promises(play(main, seed))


@quick
@given(senders, st.integers(1, 3), times, times, orders)
def test_a_directory_loses_nothing_however_often_its_actor_passivates(
    parts: list[list[Step]], mailbox: int, idle_after: float, leaving: float, seed: int
) -> None:
    class Leaving(Player):
        async def __aenter__(self) -> None:
            await trio.sleep(leaving)

        async def __aexit__(self, *args: object) -> None:
            await trio.sleep(leaving)

    async def main(world: World, system: ActorSystem) -> None:
        directory = Directory(
            system,
            lambda _: Leaving(world),
            idle_after=idle_after + 0.1,
            mailbox=mailbox,
            expected=(Refusal, Crash),
            supervision=Restart(max_restarts=1_000, backoff=Backoff(initial=0)),
            may_passivate=partial(fail_in_turns, count()),
            on_ended=partial(fail_in_turns, count()),
        )
        async with trio.open_nursery() as nursery:
            for sender, part in enumerate(parts):
                nursery.start_soon(perform, world, partial(directory.ref, "a"), sender, part)
        await trio.sleep(50)
        assert len(directory) == 0
        assert system.dead_letters == 0

    hold_to_the_promises(play(main, seed))
