"""Trees: what a life has spawned, watched, set and subscribed ends with it, and in which order."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actor.troupe import AT_ONCE, Curtain, Performer, hold, raising
from wingman.actor import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    Context,
    Directory,
    Escalate,
    Restart,
    Stop,
    Stopped,
    Supervision,
    Topic,
)

guarantee = pytest.mark.guarantee


class Parent(Curtain):
    """Keeps its context, and says what happens to it in a log that is shared."""

    def __init__(
        self,
        context: Context[Any],
        log: list[str] | None = None,
        start: Callable[["Parent"], Any] | None = None,
    ) -> None:
        log = [] if log is None else log
        super().__init__(leave=self._log_exit)
        self.context = context
        self.log = log
        self.name = context.ref.name
        if start is not None:
            start(self)

    async def _log_exit(self) -> None:
        self.log.append(self.name)
        await trio.lowlevel.checkpoint()


async def parent_of(
    system: ActorSystem, *, log: list[str] | None = None, **options: Any
) -> tuple[ActorRef[Any], list[Parent]]:
    """An actor of many lives, all of which are in the list."""
    lives: list[Parent] = []

    def factory(context: Context[Any]) -> Parent:
        lives.append(Parent(context, log))
        return lives[-1]

    ref = system.spawn(factory, name="parent", **options)
    await wait_all_tasks_blocked()
    return ref, lives


def child_of(life: Parent, name: str, **options: Any) -> ActorRef[Any]:
    return life.context.spawn(partial(Parent, log=life.log), name=name, **options)


@guarantee(20)
@pytest.mark.parametrize("end", ["stop", "kill", "crash", "restart"])
async def test_children_end_before_their_parents_aexit(system: ActorSystem, end: str) -> None:
    log: list[str] = []
    ref, lives = await parent_of(system, log=log, supervision=AT_ONCE if end != "crash" else Stop())
    children = [child_of(lives[0], name) for name in "abc"]
    await wait_all_tasks_blocked()
    if end in ("stop", "kill"):
        await getattr(ref, end)()
    else:
        with pytest.raises(ValueError, match="down"):
            await ref.ask(raising(ValueError("down")))
        await wait_all_tasks_blocked()
    assert log[-1] == "parent"
    assert sorted(log[:3]) == ["parent/a", "parent/b", "parent/c"]
    for child in children:
        with pytest.raises(ActorStopped):
            await child.ask("anything")


@guarantee(21)
async def test_a_child_has_stop_within_for_its_message_and_is_killed_then(
    system: ActorSystem,
) -> None:
    ref, lives = await parent_of(system)
    quick = await hold(child_of(lives[0], "quick", stop_within=1))
    slow = await hold(child_of(lives[0], "slow", stop_within=3))
    began = trio.current_time()
    with trio.fail_after(100):
        await ref.stop()
    assert trio.current_time() - began == pytest.approx(3)
    assert (quick.ended, slow.ended) == ("cancelled", "cancelled")


@guarantee(21)
async def test_a_child_that_finishes_within_its_time_is_not_cancelled(system: ActorSystem) -> None:
    ref, lives = await parent_of(system)
    held = await hold(child_of(lives[0], "child", stop_within=3))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.stop)
        await trio.sleep(2)
        held.release()
    assert held.ended == "done"


@guarantee(21)
async def test_a_child_that_shields_itself_is_left_with_a_warning_and_is_still_the_systems(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = []

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)
        done.append(True)

    with trio.fail_after(1_000):
        async with ActorSystem() as system:
            ref, lives = await parent_of(system)
            child = child_of(lives[0], "stubborn", stop_within=1)
            await child.tell(stubborn)
            await wait_all_tasks_blocked()
            began = trio.current_time()
            await ref.stop()
            assert trio.current_time() - began == pytest.approx(6)
            assert not done
    assert done == [True]
    assert "ends before 1 of its children" in caplog.text


@guarantee(22)
@pytest.mark.parametrize("end", ["stop", "kill", "restart", "passivate"])
async def test_what_a_life_has_spawned_watched_set_and_subscribed_ends_with_it(
    system: ActorSystem, end: str
) -> None:
    topic: Topic[str] = Topic()
    lives: list[Parent] = []

    def factory(context: Context[Any]) -> Parent:
        lives.append(Parent(context))
        return lives[-1]

    if end == "passivate":
        directory = Directory(system, lambda _, context: factory(context), idle_after=50)
        ref: Any = directory.ref("one")
        await ref.ask("hello")
    else:
        ref = system.spawn(factory, supervision=AT_ONCE)
        await wait_all_tasks_blocked()
    other = system.spawn(Performer)
    context = lives[0].context
    child = child_of(lives[0], "child")
    context.watch(other)
    timers = [context.after(500, "late")]
    if end != "passivate":
        timers.append(context.every(500, "tick"))
    context.subscribe(topic)
    match end:
        case "stop" | "kill":
            await getattr(ref, end)()
        case "restart":
            await ref.tell(raising(ValueError()))
            await wait_all_tasks_blocked()
        case "passivate":
            await trio.sleep(60)
    with pytest.raises(ActorStopped):
        child.tell_nowait("anything")
    assert not any(timer.active for timer in timers)
    await other.stop()
    topic.publish("news")
    await trio.sleep(1_000)
    assert [message for life in lives for message in life.seen if message != "hello"] == []


@guarantee(22)
@pytest.mark.parametrize("end", ["raise", "cancel"])
async def test_a_tree_ends_with_its_system_when_the_block_raises_or_is_cancelled(end: str) -> None:
    log: list[str] = []
    raised = pytest.RaisesGroup(ValueError) if end == "raise" else nullcontext()
    with trio.move_on_after(5), raised:
        async with ActorSystem() as system:
            _, lives = await parent_of(system, log=log)
            child = child_of(lives[0], "child")
            held = await hold(child)
            if end == "raise":
                raise ValueError("the block")
            await trio.sleep_forever()
    assert held.ended == "cancelled"
    assert system.snapshot() == []
    with pytest.raises(ActorStopped):
        child.tell_nowait("anything")


@guarantee(23)
@pytest.mark.parametrize(
    "policy", [Escalate(), Restart(max_restarts=0, exhausted=Escalate())], ids=["at once", "spent"]
)
async def test_escalate_crashes_the_parent_and_no_further_than_the_parents_pass_it(
    system: ActorSystem, policy: Supervision
) -> None:
    top, tops = await parent_of(system, supervision=AT_ONCE)
    middles: list[Parent] = []

    def middle(context: Context[Any]) -> Parent:
        middles.append(Parent(context))
        return middles[-1]

    tops[0].context.spawn(middle, name="middle", supervision=AT_ONCE)
    await wait_all_tasks_blocked()
    low = child_of(middles[0], "low", supervision=policy)
    with pytest.raises(ValueError, match="low"):
        await low.ask(raising(ValueError("low")))
    await wait_all_tasks_blocked()
    assert len(middles) == 2
    assert len(tops) == 1
    assert await top.ask("well") == "well"


@guarantee(23)
async def test_escalate_goes_up_through_every_parent_that_passes_it(system: ActorSystem) -> None:
    _, tops = await parent_of(system, supervision=AT_ONCE)
    refs: list[ActorRef[Any]] = []

    def grow(life: Parent) -> None:
        if len(refs) < 5:
            refs.append(
                life.context.spawn(partial(Parent, start=grow), name="x", supervision=Escalate())
            )

    grow(tops[0])
    await wait_all_tasks_blocked()
    await refs[-1].tell(raising(ValueError("from below")))
    await wait_all_tasks_blocked()
    assert len(tops) == 2
    for ref in refs:
        with pytest.raises(ActorStopped):
            ref.tell_nowait("anything")


@guarantee(24)
async def test_a_name_is_unique_among_siblings_and_free_again_after_the_end(
    system: ActorSystem,
) -> None:
    _, lives = await parent_of(system)
    first = child_of(lives[0], "child")
    with pytest.raises(ValueError, match="parent/child"):
        child_of(lives[0], "child")
    of_the_system = system.spawn(Performer, name="child")
    assert of_the_system.name == "child"
    await first.stop()
    assert await child_of(lives[0], "child").ask("well") == "well"


@guarantee(25)
async def test_a_context_spawns_nothing_after_its_life_nor_in_aexit(system: ActorSystem) -> None:
    refused: list[str] = []

    class Late(Parent):
        async def _log_exit(self) -> None:
            with pytest.raises(ActorStopped) as caught:
                self.context.spawn(Performer)
            refused.append(str(caught.value))

    lives: list[Late] = []

    def factory(context: Context[Any]) -> Late:
        lives.append(Late(context))
        return lives[-1]

    ref = system.spawn(factory)
    await ref.ask("hello")
    await ref.stop()
    assert len(refused) == 1
    for late in (
        partial(lives[0].context.spawn, Performer),
        partial(lives[0].context.after, 1, "x"),
        partial(lives[0].context.watch, ref),
    ):
        with pytest.raises(ActorStopped):
            late()


@guarantee(26)
async def test_what_is_queued_is_refused_before_the_children_end(system: ActorSystem) -> None:
    ref, lives = await parent_of(system)
    child = child_of(lives[0], "child", stop_within=60)
    held = await hold(ref)
    heard: list[str] = []

    async def ask_the_parent() -> None:
        try:
            await ref.ask("are you there?")
        except ActorStopped as error:
            heard.append(str(error))

    await child.tell(ask_the_parent)
    await wait_all_tasks_blocked()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        held.release()
    assert trio.current_time() == began
    assert len(heard) == 1
    assert system.dead_letters == 1


@guarantee(26)
async def test_a_child_that_asks_its_parent_while_that_ends_is_refused_at_once(
    system: ActorSystem,
) -> None:
    ref, lives = await parent_of(system)
    child = child_of(lives[0], "child", stop_within=60)
    heard: list[str] = []

    async def ask_late() -> None:
        await trio.sleep(2)
        try:
            await ref.ask("are you there?")
        except ActorStopped as error:
            heard.append(str(error))

    await child.tell(ask_late)
    await wait_all_tasks_blocked()
    began = trio.current_time()
    await ref.stop()
    assert trio.current_time() - began == pytest.approx(2)
    assert len(heard) == 1


async def test_a_child_may_ask_its_parent(system: ActorSystem) -> None:
    ref, lives = await parent_of(system)
    child = child_of(lives[0], "child")
    assert await child.ask(partial(ref.ask, "well")) == "well"


@pytest.mark.parametrize("shape", ["deep", "wide"])
async def test_a_tree_of_ten_thousand_starts_shows_in_the_snapshot_and_ends(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("wingman.actor"), "disabled", True)
    count = 0

    class Node:
        def __init__(self, context: Context[Any]) -> None:
            nonlocal count
            self.context = context
            count += 1
            if shape == "deep" and count < 10_000:
                context.spawn(Node, name="n")

        async def receive(self, message: Any) -> None:
            for number in range(9_999):
                self.context.spawn(Leaf, name=str(number))

    class Leaf(Node):
        def __init__(self) -> None:
            nonlocal count
            count += 1

    with trio.fail_after(100):
        async with ActorSystem() as system:
            root = system.spawn(Node, name="n")
            if shape == "wide":
                await root.tell("go")
            await wait_all_tasks_blocked()
            seen, level = 0, system.snapshot()
            while level:
                seen += len(level)
                level = [child for info in level for child in info.children]
            assert seen == count == 10_000
    assert system.snapshot() == []


@pytest.mark.parametrize("place", ["factory", "aenter", "slow"])
async def test_a_child_that_cannot_begin_ends_with_its_name_free_and_its_watchers_told(
    system: ActorSystem, place: str
) -> None:
    def factory() -> Curtain:
        if place == "factory":
            raise ValueError(place)
        return Curtain(enter=trio.sleep_forever if place == "slow" else raising(ValueError(place)))

    ref, lives = await parent_of(system)
    twice = Restart(max_restarts=1, backoff=Backoff(initial=1, jitter=0))
    child = lives[0].context.spawn(factory, name="child", supervision=twice, start_within=5)
    lives[0].context.watch(child)
    with trio.fail_after(100), pytest.raises(ActorStopped):
        await child.ask("anything")
    await wait_all_tasks_blocked()
    (stopped,) = lives[0].seen
    assert isinstance(stopped, Stopped)
    assert stopped.ref is child
    assert stopped.termination.cause == "crashed"
    assert lives[0].context.children == ()
    assert await child_of(lives[0], "child").ask("well") == "well"
    assert await ref.ask("well") == "well"
