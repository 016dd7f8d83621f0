"""Strategies: who is restarted with whom, in which order, and what becomes of their messages."""

from functools import partial
from typing import Any, Literal

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actor.troupe import Curtain, hold, raising
from wingman.actor import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    Context,
    DeliveryState,
    Escalate,
    Restart,
    Restarted,
    Stop,
    Supervision,
)

guarantee = pytest.mark.guarantee

BOOM = ValueError("boom")
PLACES = ["factory", "aenter", "receive", "aexit"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


def policy(strategy: Strategy = "one_for_all", *, delay: float = 0.0, most: int = 5) -> Restart:
    return Restart(
        strategy=strategy, max_restarts=most, backoff=Backoff(initial=delay, factor=1, jitter=0)
    )


class Siblings:
    """Children of one parent; `log` says when each life began and ended.

    `faults` says in which places a child is to raise, once for each entry.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.faults: list[tuple[str, str]] = []
        self.entrance = 0.0  # how many seconds each takes to begin
        self.refs: dict[str, ActorRef[Any]] = {}

    async def open(self, system: ActorSystem, **policies: Supervision) -> "Siblings":
        contexts: list[Context[Any]] = []

        def parent(context: Context[Any]) -> Curtain:
            contexts.append(context)
            return Curtain()

        self.parent = system.spawn(parent, name="parent", supervision=Stop())
        await wait_all_tasks_blocked()
        self.context = contexts[0]
        for name, supervision in policies.items():
            self.refs[name] = self.context.spawn(
                partial(self.make, name), name=name, supervision=supervision
            )
        await wait_all_tasks_blocked()
        self.log.clear()
        return self

    def make(self, name: str) -> Curtain:
        self.raise_in("factory", name)
        return Curtain(enter=partial(self.begin, name), leave=partial(self.end, name))

    async def begin(self, name: str) -> None:
        self.log.append(f"{name} begins")
        await trio.sleep(self.entrance)
        self.raise_in("aenter", name)
        self.log.append(f"{name} is ready")

    async def end(self, name: str) -> None:
        self.log.append(f"{name} ends")
        await trio.lowlevel.checkpoint()
        self.raise_in("aexit", name)

    def raise_in(self, place: str, name: str) -> None:
        if (place, name) in self.faults:
            self.faults.remove((place, name))
            raise ValueError(f"{name} in {place}")

    @property
    def begun(self) -> list[str]:
        return [line.split()[0] for line in self.log if line.endswith("begins")]


@guarantee(27)
@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("one_for_one", "b"), ("one_for_all", "abc"), ("rest_for_one", "bc")],
)
async def test_those_whom_the_strategy_names_end_and_begin_again_one_after_the_other(
    system: ActorSystem, strategy: Strategy, expected: str
) -> None:
    siblings = Siblings()
    siblings.entrance = 1
    await siblings.open(system, a=policy(strategy), b=policy(strategy), c=policy(strategy))
    await trio.sleep(5)
    siblings.log.clear()
    await siblings.refs["b"].tell(raising(BOOM))
    await trio.sleep(10)
    ends = [f"{name} ends" for name in expected]
    begins = [f"{name} {what}" for name in expected for what in ("begins", "is ready")]
    assert sorted(siblings.log[: len(ends)]) == ends
    assert siblings.log[len(ends) :] == begins


@guarantee(28)
async def test_a_message_in_flight_fails_with_restarted_and_those_in_the_mailbox_stay(
    system: ActorSystem,
) -> None:
    siblings = await Siblings().open(system, a=policy(), b=policy())
    held = await hold(siblings.refs["a"])
    current = siblings.refs["b"].submit(raising(BOOM))
    queued = siblings.refs["a"].submit("queued")
    await wait_all_tasks_blocked()
    assert held.ended == "cancelled"
    assert await queued.wait() is DeliveryState.DONE
    with pytest.raises(ValueError, match="boom"):
        current.reply()


@guarantee(28)
async def test_who_asked_for_a_message_in_flight_hears_of_the_sibling(system: ActorSystem) -> None:
    siblings = await Siblings().open(system, a=policy(), b=policy())
    current = siblings.refs["a"].submit(trio.sleep_forever)
    await wait_all_tasks_blocked()
    await siblings.refs["b"].tell(raising(BOOM))
    assert await current.wait() is DeliveryState.FAILED
    with pytest.raises(Restarted, match="parent/b"):
        current.reply()


@guarantee(29)
async def test_the_budget_is_that_of_the_one_that_crashes(system: ActorSystem) -> None:
    siblings = await Siblings().open(system, a=policy(most=1), b=policy(most=9))
    for _ in range(5):
        await siblings.refs["b"].tell(raising(BOOM))
        await wait_all_tasks_blocked()
    assert siblings.begun == ["a", "b"] * 5
    await siblings.refs["a"].tell(raising(BOOM))
    assert await siblings.refs["a"].ask("one of my own is free") == "one of my own is free"
    await siblings.refs["a"].tell(raising(BOOM))
    with pytest.raises(ActorStopped, match="boom"):
        await siblings.refs["a"].ask("and no more")
    assert await siblings.refs["b"].ask("well") == "well"


@pytest.mark.parametrize("supervision", [Stop(), Escalate()], ids=["stop", "escalate"])
async def test_a_sibling_that_is_never_restarted_ends_and_its_parent_goes_on(
    system: ActorSystem, supervision: Supervision
) -> None:
    siblings = await Siblings().open(system, a=supervision, b=policy(), c=policy())
    await siblings.refs["b"].tell(raising(BOOM))
    with trio.fail_after(100):
        assert (await siblings.refs["a"].wait_stopped()).cause == "stopped"
    assert await siblings.refs["c"].ask("well") == "well"
    assert siblings.begun == ["b", "c"]
    assert await siblings.parent.ask("well") == "well"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("who", ["a", "b", "c"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_crash_while_a_round_is_under_way_leaves_nobody_waiting(
    system: ActorSystem, place: str, who: str, strategy: Strategy
) -> None:
    siblings = await Siblings().open(
        system,
        a=policy(strategy, delay=1),
        b=policy(strategy, delay=1),
        c=policy(strategy, delay=1),
    )
    siblings.entrance = 1
    if place != "receive":
        siblings.faults.append((place, who))
    await siblings.refs["a"].tell(raising(BOOM))
    if place == "receive":  # it waits in the mailbox, and comes first in the next life
        await siblings.refs[who].tell(raising(BOOM))
    with trio.fail_after(1_000):
        for ref in siblings.refs.values():
            assert await ref.ask("well") == "well"
    assert siblings.faults == []


@pytest.mark.parametrize("verb", ["stop", "kill"])
@pytest.mark.parametrize("who", ["a", "b", "c"])
@pytest.mark.parametrize("when", [0.0, 0.5, 1.5, 2.5, 3.5])
async def test_stop_and_kill_during_back_off_and_rounds_end_one_and_hold_up_nobody(
    system: ActorSystem, when: float, who: str, verb: str
) -> None:
    siblings = await Siblings().open(
        system, a=policy(delay=1), b=policy(delay=1), c=policy(delay=1)
    )
    siblings.entrance = 1
    await siblings.refs["b"].tell(raising(BOOM))
    await trio.sleep(when)
    began = trio.current_time()
    with trio.fail_after(1_000):
        await getattr(siblings.refs[who], verb)()
        assert trio.current_time() - began <= 1
        for name, ref in siblings.refs.items():
            if name != who:
                assert await ref.ask("well") == "well"
    assert trio.current_time() - began <= 5


async def test_a_member_that_is_slow_to_end_holds_up_the_others_for_its_stop_within_alone(
    system: ActorSystem,
) -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(50)

    siblings = await Siblings().open(system, a=policy(), b=policy(), c=policy())
    await siblings.refs["a"].tell(stubborn)
    await wait_all_tasks_blocked()
    await siblings.refs["b"].tell(raising(BOOM))
    with trio.fail_after(6):
        await siblings.refs["c"].ask("well")
    with trio.fail_after(100):
        assert await siblings.refs["a"].ask("well") == "well"


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_parent_that_ends_during_a_round_is_not_held_up(
    system: ActorSystem, end: str
) -> None:
    siblings = await Siblings().open(system, a=policy(delay=90), b=policy(delay=90))
    await siblings.refs["a"].tell(raising(BOOM))
    await trio.sleep(1)
    with trio.fail_after(1):
        await getattr(siblings.parent, end)()
    for ref in siblings.refs.values():
        with pytest.raises(ActorStopped):
            ref.tell_nowait("anything")


async def test_all_siblings_that_crash_at_once_are_all_well_again(system: ActorSystem) -> None:
    names = "abcdef"
    siblings = await Siblings().open(system, **{name: policy(delay=1) for name in names})
    for ref in siblings.refs.values():
        ref.tell_nowait(raising(BOOM))
    with trio.fail_after(1_000):
        for ref in siblings.refs.values():
            assert await ref.ask("well") == "well"


def test_a_strategy_is_for_those_that_have_a_parent() -> None:
    with pytest.raises(ValueError, match="parent"):
        ActorSystem().spawn(Curtain, supervision=policy())
