"""What goes wrong elsewhere, each by its name: none of it goes wrong here."""

import logging
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actor.troupe import AT_ONCE, Curtain, Performer, Stage, hold, raising
from wingman.actor import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    Context,
    MailboxFull,
    Restart,
    Stop,
    Stopped,
)

guarantee = pytest.mark.guarantee


class Parent(Performer):
    def __init__(self, context: Context[Any]) -> None:
        super().__init__()
        self.context = context


async def parent(system: ActorSystem) -> tuple[ActorRef[Any], Parent]:
    lives: list[Parent] = []

    def factory(context: Context[Any]) -> Parent:
        lives.append(Parent(context))
        return lives[-1]

    ref = system.spawn(factory, name="parent")
    await wait_all_tasks_blocked()
    return ref, lives[0]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=["error", "exit"])
async def test_a_constructor_that_throws_leaves_no_zombie(
    system: ActorSystem, error: BaseException
) -> None:
    spawned: list[ActorRef[Any]] = []

    class Thrower(Performer):
        def __init__(self, context: Context[Any]) -> None:
            super().__init__()
            spawned.append(context.spawn(Performer, name="grandchild"))
            context.every(1, "tick")
            raise error

    _, life = await parent(system)
    child = life.context.spawn(Thrower, name="child", supervision=Stop())
    life.context.watch(child)
    delivery = child.submit("waits")
    with trio.fail_after(10):
        await delivery.wait()
        assert (await child.wait_stopped()).cause == "crashed"
        await spawned[0].wait_stopped()
    with pytest.raises(ActorStopped):
        delivery.reply()
    await trio.sleep(5)
    assert [type(message) for message in life.seen] == [Stopped]
    assert life.context.children == ()
    assert life.context.spawn(Performer, name="child").name == "parent/child"


async def test_siblings_do_not_share_a_budget(system: ActorSystem) -> None:
    _, life = await parent(system)
    policy = Restart(max_restarts=2, backoff=Backoff(initial=0))
    children = [life.context.spawn(Performer, supervision=policy) for _ in range(5)]
    for _ in range(2):
        for child in children:
            await child.tell(raising(ValueError("one of two")))
    for child in children:
        assert await child.ask("well") == "well"


@pytest.mark.parametrize("moment", ["before", "meanwhile", "after"])
async def test_no_watch_never_fires(system: ActorSystem, moment: str) -> None:
    _, life = await parent(system)
    other = system.spawn(Curtain, supervision=Stop())
    if moment == "before":
        life.context.watch(other)
    await other.tell(raising(ValueError("down")))
    if moment == "after":
        await other.wait_stopped()
    if moment != "before":
        life.context.watch(other)
    await trio.sleep(1)
    assert [message.termination.cause for message in life.seen] == ["crashed"]


async def test_a_full_mailbox_raises_in_the_sender_and_crashes_nobody(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    ref = system.spawn(Performer, mailbox=1)
    sender = system.spawn(Performer, expected=(MailboxFull,))
    held = await hold(ref)
    ref.tell_nowait("fills it")

    async def send() -> None:
        await trio.lowlevel.checkpoint()
        ref.tell_nowait("one more")

    with pytest.raises(MailboxFull):
        await sender.ask(send)
    held.release()
    assert await ref.ask("well") == "well"
    assert await sender.ask("well") == "well"
    assert [info.restarts for info in system.snapshot()] == [0, 0]
    assert caplog.records == []


async def test_a_stopping_actor_does_not_spin_on_what_is_queued(system: ActorSystem) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=1_000)
    held = await hold(ref)
    deliveries = [ref.submit(number) for number in range(1_000)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        held.release()
    assert stage.seen == []
    assert system.dead_letters == 1_000
    for delivery in deliveries:
        with pytest.raises(ActorStopped):
            delivery.reply()


async def test_a_stopping_actor_that_is_slow_to_exit_refuses_at_once(system: ActorSystem) -> None:
    ref = system.spawn(lambda: Curtain(leave=lambda: trio.sleep(60)))  # noqa: ASYNC105
    held = await hold(ref)
    queued = ref.submit("queued")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        held.release()
        with trio.fail_after(1):
            await queued.wait()
            for send in (ref.ask, ref.tell):
                with pytest.raises(ActorStopped, match="being stopped"):
                    await send("late")
    assert trio.current_time() == 60
    assert system.dead_letters == 1


async def test_a_crash_loop_leaves_lines_in_the_log(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    restart = Restart(max_restarts=3, backoff=Backoff(initial=1, jitter=0))
    ref = system.spawn(
        lambda: Curtain(enter=raising(ValueError("each time"))), name="loop", supervision=restart
    )
    with trio.fail_after(100):
        await ref.wait_stopped()
    crashes = [record for record in caplog.records if record.levelno == logging.ERROR]
    again = [record for record in caplog.records if "begins again in" in record.getMessage()]
    assert [record.getMessage().count("loop") for record in crashes] == [1] * 4
    assert len(again) == 3


async def test_timers_do_not_overlap(system: ActorSystem) -> None:
    inside = most = count = 0

    async def tick() -> None:
        nonlocal inside, most, count
        inside, count = inside + 1, count + 1
        most = max(most, inside)
        await trio.sleep(3)
        inside -= 1

    ref, life = await parent(system)
    life.context.every(1, tick)
    life.context.every(2, tick)
    await trio.sleep(60)
    assert most == 1
    assert 15 <= count <= 21
    await ref.kill()
    before = count
    await trio.sleep(60)
    assert count == before


async def test_a_drain_of_children_has_a_deadline(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1_000)

    ref, life = await parent(system)
    for _ in range(20):
        child = life.context.spawn(Performer, supervision=AT_ONCE, stop_within=2)
        await child.tell(stubborn)
    await wait_all_tasks_blocked()
    with trio.fail_after(7.5):
        await ref.stop()
    lines = [record for record in caplog.records if "of its children" in record.getMessage()]
    assert len(lines) == 1
