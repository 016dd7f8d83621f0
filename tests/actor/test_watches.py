"""Watches: an actor is told that another has ended: exactly once, and after all else."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actor.troupe import AT_ONCE, Performer, hold, raising
from wingman.actor import (
    ActorError,
    ActorRef,
    ActorSystem,
    Context,
    Directory,
    Stop,
    Stopped,
)


class Watcher(Performer):
    def __init__(self, context: Context[Any]) -> None:
        super().__init__()
        self.context = context


async def watcher(system: ActorSystem, **options: Any) -> tuple[ActorRef[Any], list[Watcher]]:
    lives: list[Watcher] = []

    def factory(context: Context[Any]) -> Watcher:
        lives.append(Watcher(context))
        return lives[-1]

    ref = system.spawn(factory, supervision=AT_ONCE, **options)
    await wait_all_tasks_blocked()
    return ref, lives


@pytest.mark.parametrize("end", ["stop", "kill", "crash"])
async def test_a_watch_fires_exactly_once(system: ActorSystem, end: str) -> None:
    _, lives = await watcher(system)
    other = system.spawn(Performer, supervision=Stop())
    for _ in range(3):
        lives[0].context.watch(other)
    if end == "crash":
        await other.tell(raising(ValueError("down")))
    else:
        await getattr(other, end)()
    await trio.sleep(100)
    (stopped,) = lives[0].seen
    assert isinstance(stopped, Stopped)
    assert stopped.ref is other
    assert stopped.termination == await other.wait_stopped()
    assert (
        stopped.termination.cause == {"stop": "stopped", "kill": "killed", "crash": "crashed"}[end]
    )


async def test_stopped_comes_after_all_that_the_other_has_sent(system: ActorSystem) -> None:
    ref, lives = await watcher(system)
    other = system.spawn(Performer)
    lives[0].context.watch(other)
    held = await hold(ref)

    async def send() -> None:
        for number in range(50):
            await ref.tell(number)

    await other.tell(send)
    await wait_all_tasks_blocked()
    await other.stop()
    held.release()
    await wait_all_tasks_blocked()
    assert lives[0].seen[:-1] == list(range(50))
    assert isinstance(lives[0].seen[-1], Stopped)


async def test_a_watch_of_one_that_has_ended_fires_at_once(system: ActorSystem) -> None:
    _, lives = await watcher(system)
    other = system.spawn(Performer)
    await other.kill()
    lives[0].context.watch(other)
    await wait_all_tasks_blocked()
    lives[0].context.watch(other)
    await wait_all_tasks_blocked()
    assert [message.termination.cause for message in lives[0].seen] == ["killed", "killed"]


async def test_a_watch_of_a_ref_of_a_closed_system_fires_at_once(system: ActorSystem) -> None:
    _, lives = await watcher(system)
    async with ActorSystem() as closed:
        other = closed.spawn(Performer)
        open_one = closed.spawn(Performer)
        lives[0].context.watch(open_one)
    lives[0].context.watch(other)
    await wait_all_tasks_blocked()
    assert [message.ref for message in lives[0].seen] == [open_one, other]


async def test_a_watch_of_an_actor_in_another_run_is_refused(system: ActorSystem) -> None:
    _, lives = await watcher(system)

    async def elsewhere() -> ActorRef[Any]:
        async with ActorSystem() as other_system:
            return other_system.spawn(Performer)

    def run() -> ActorRef[Any]:
        return trio.run(elsewhere, clock=MockClock(autojump_threshold=0))

    foreign = await trio.to_thread.run_sync(run)
    with pytest.raises(ActorError, match=r"another trio\.run"):
        lives[0].context.watch(foreign)


async def test_a_watch_fires_when_the_other_passivates(system: ActorSystem) -> None:
    _, lives = await watcher(system)
    directory = Directory(system, lambda _: Performer(), idle_after=5)
    lives[0].context.watch(directory.ref("one"))
    await trio.sleep(60)
    (stopped,) = lives[0].seen
    assert stopped.termination.cause == "passivated"


async def test_a_restart_of_the_other_is_no_end(system: ActorSystem) -> None:
    _, lives = await watcher(system)
    other = system.spawn(Performer, supervision=AT_ONCE)
    lives[0].context.watch(other)
    await other.tell(raising(ValueError("again")))
    await trio.sleep(10)
    assert lives[0].seen == []
    await other.stop()
    await wait_all_tasks_blocked()
    assert len(lives[0].seen) == 1


@pytest.mark.parametrize("waits", [False, True], ids=["before", "while it waits"])
async def test_unwatch_ends_a_watch_also_while_its_message_waits(
    system: ActorSystem, waits: bool
) -> None:
    ref, lives = await watcher(system)
    other = system.spawn(Performer)
    lives[0].context.watch(other)
    held = await hold(ref)
    if waits:
        await other.stop()
    lives[0].context.unwatch(other)
    lives[0].context.unwatch(other)
    await other.stop()
    held.release()
    assert await ref.ask("next") == "next"
    assert lives[0].seen == ["next"]


@pytest.mark.parametrize("waits", [False, True], ids=["before", "while it waits"])
async def test_a_restart_of_the_watcher_ends_its_watches(system: ActorSystem, waits: bool) -> None:
    ref, lives = await watcher(system)
    other = system.spawn(Performer)
    lives[0].context.watch(other)
    gate = trio.Event()

    async def crash() -> None:
        await gate.wait()
        raise ValueError("the watcher")

    await ref.tell(crash)
    if waits:
        await other.stop()
    gate.set()
    await wait_all_tasks_blocked()
    await other.stop()
    await wait_all_tasks_blocked()
    assert len(lives) == 2
    assert [life.seen for life in lives] == [[], []]
    lives[1].context.watch(other)
    await wait_all_tasks_blocked()
    assert len(lives[1].seen) == 1


@pytest.mark.parametrize("full", [False, True])
async def test_a_full_mailbox_loses_no_stopped(system: ActorSystem, full: bool) -> None:
    ref, lives = await watcher(system, mailbox=1)
    others = [system.spawn(Performer) for _ in range(20)]
    for other in others:
        lives[0].context.watch(other)
    held = await hold(ref)
    if full:
        ref.tell_nowait("fills it")
    for other in others:
        await other.stop()
    held.release()
    await wait_all_tasks_blocked()
    assert [m.ref for m in lives[0].seen if isinstance(m, Stopped)] == others


async def test_two_watchers_hear_of_it_and_one_that_has_ended_disturbs_nobody(
    system: ActorSystem,
) -> None:
    watchers = [await watcher(system) for _ in range(3)]
    other = system.spawn(Performer)
    for _, lives in watchers:
        lives[0].context.watch(other)
    await watchers[0][0].stop()
    await other.stop()
    await wait_all_tasks_blocked()
    assert [len(lives[0].seen) for _, lives in watchers] == [0, 1, 1]


async def test_two_that_watch_each_other_and_end_together_end(system: ActorSystem) -> None:
    (one, ones), (two, twos) = await watcher(system), await watcher(system)
    ones[0].context.watch(two)
    twos[0].context.watch(one)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.stop)
            nursery.start_soon(two.stop)


async def test_an_actor_cannot_watch_itself(system: ActorSystem) -> None:
    ref, lives = await watcher(system)
    with pytest.raises(ActorError, match="cannot watch itself"):
        lives[0].context.watch(ref)
