"""Pools: several workers behind one reference."""

from typing import Any

import pytest
import trio

from actor.troupe import AT_ONCE, Held, Performer, Stage, raising, unhurried
from wingman.actor import (
    ActorError,
    ActorStopped,
    ActorSystem,
    Context,
    Delivery,
    DeliveryState,
    Escalate,
    Mailbox,
    MailboxFull,
    Restart,
    Stop,
)

pytestmark = pytest.mark.filterwarnings("error")


async def settled() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_as_many_messages_are_in_work_as_there_are_workers(system: ActorSystem) -> None:
    pool = system.spawn_pool(Performer, 3)
    start = trio.current_time()
    deliveries = [pool.submit(unhurried(1)) for _ in range(9)]
    for delivery in deliveries:
        assert await delivery.wait() is DeliveryState.DONE
    assert trio.current_time() - start == pytest.approx(3 * 2)


async def test_messages_begin_in_the_order_they_were_sent(system: ActorSystem) -> None:
    stage = Stage()
    pool = system.spawn_pool(stage, 1)
    for number in range(10):
        await pool.tell(number)
    await pool.ask("end")
    assert stage.seen == [*range(10), "end"]


async def test_the_pools_mailbox_is_bounded_and_makes_senders_wait(system: ActorSystem) -> None:
    pool = system.spawn_pool(Performer, 2, mailbox=1)
    await settled()
    held = [Held(), Held()]
    for each in held:
        pool.tell_nowait(each)
        await each.started.wait()
    pool.tell_nowait("waits")
    assert pool.room == 0
    with pytest.raises(MailboxFull):
        pool.tell_nowait("too many")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.tell, "later")
        await settled()
        held[0].release()
    held[1].release()
    assert await pool.ask("end") == "end"


async def test_a_worker_that_crashes_is_restarted_and_the_others_go_on(system: ActorSystem) -> None:
    pool = system.spawn_pool(Performer, 2, supervision=AT_ONCE)
    held = Held()
    pool.tell_nowait(held)
    await held.started.wait()
    for _ in range(3):
        with pytest.raises(ValueError, match="crash"):
            await pool.ask(raising(ValueError("crash")))
    assert held.ended is None
    held.release()
    assert await pool.ask("well") == "well"


async def test_a_pool_lives_until_its_last_worker_has_crashed_for_good(
    system: ActorSystem,
) -> None:
    pool = system.spawn_pool(Performer, 2, supervision=Stop())
    with pytest.raises(ValueError, match="one"):
        await pool.ask(raising(ValueError("one")))
    await settled()
    assert await pool.ask("well") == "well"
    waiting = [pool.submit(raising(ValueError("two"))), pool.submit("left")]
    termination = await pool.wait_stopped()
    assert termination.cause == "crashed"
    assert str(termination.error) == "two"
    await waiting[1].wait()
    with pytest.raises(ActorStopped):
        waiting[1].reply()
    assert system.dead_letters == 1


async def test_a_worker_that_escalates_ends_the_pool_and_what_has_no_parent_the_system() -> None:
    with pytest.raises(ExceptionGroup) as raised:  # noqa: PT012
        async with ActorSystem() as system:
            pool = system.spawn_pool(Performer, 2, supervision=Escalate())
            pool.tell_nowait(raising(ValueError("crash")))
            await trio.sleep_forever()
    assert raised.group_contains(ValueError, match="crash")


async def test_a_cancel_reaches_a_delivery_wherever_it_is(system: ActorSystem) -> None:
    pool = system.spawn_pool(Performer, 2)
    held = [Held(), Held()]
    working = [pool.submit(each) for each in held]
    for each in held:
        await each.started.wait()
    queued = pool.submit("queued")
    queued.cancel()
    assert queued.state is DeliveryState.CANCELLED
    working[1].cancel()
    assert await working[1].wait() is DeliveryState.CANCELLED
    assert [each.ended for each in held] == [None, "cancelled"]
    held[0].release()
    assert await working[0].ask() == "held"


class Aside(Performer):
    """Puts its first message aside for as long as it lives, unless it is told otherwise."""

    def __init__(self, context: Context[Any]) -> None:
        super().__init__()
        self.context = context

    async def receive(self, message: Any) -> Any:
        if message == "aside":
            self.context.stash()
            return None
        return await super().receive(message)


async def test_a_delivery_that_a_worker_has_put_aside_can_be_cancelled(system: ActorSystem) -> None:
    pool = system.spawn_pool(Aside, 2)
    aside = pool.submit("aside")
    await settled()
    assert aside.state is DeliveryState.QUEUED
    aside.cancel()
    assert aside.state is DeliveryState.CANCELLED
    assert await pool.ask("well") == "well"


async def test_what_a_worker_has_put_aside_another_may_take_when_it_ends(
    system: ActorSystem,
) -> None:
    lives = 0

    class Once(Aside):
        def __init__(self, context: Context[Any]) -> None:
            nonlocal lives
            super().__init__(context)
            lives += 1
            self.first = lives == 1

        async def receive(self, message: Any) -> Any:
            if message == "aside" and not self.first:
                return "taken"
            return await super().receive(message)

    pool = system.spawn_pool(Once, 1, supervision=AT_ONCE)
    aside: Delivery[Any] = pool.submit("aside")
    await settled()
    with pytest.raises(ValueError, match="crash"):
        await pool.ask(raising(ValueError("crash")))
    assert await aside.ask() == "taken"


async def test_stop_lets_the_workers_finish_and_refuses_what_is_left(system: ActorSystem) -> None:
    pool = system.spawn_pool(Performer, 2)
    held = [Held(), Held()]
    for each in held:
        pool.tell_nowait(each)
        await each.started.wait()
    left = pool.submit("left")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.stop)
        await settled()
        for each in held:
            each.release()
    assert [each.ended for each in held] == ["done", "done"]
    assert left.state is DeliveryState.FAILED
    with pytest.raises(ActorStopped):
        await pool.tell("more")


async def test_kill_cancels_every_worker(system: ActorSystem) -> None:
    pool = system.spawn_pool(Performer, 2)
    held = [Held(), Held()]
    for each in held:
        pool.tell_nowait(each)
        await each.started.wait()
    await pool.kill()
    assert [each.ended for each in held] == ["cancelled", "cancelled"]


async def test_a_worker_that_asks_its_own_pool_gets_an_error(system: ActorSystem) -> None:
    pool = system.spawn_pool(Performer, 2)

    async def ask() -> Any:
        return await pool.ask("myself")

    with pytest.raises(ActorError, match="its own pool"):
        await pool.ask(ask)


async def test_a_woken_worker_that_is_killed_leaves_its_message_to_another(
    system: ActorSystem,
) -> None:
    stage = Stage()
    pool = system.spawn_pool(stage, 2)
    await settled()
    delivery = pool.submit("work")
    first = pool.cell.children[0]  # it was woken, and has not run yet
    first.request_stop()
    assert await delivery.ask() == "work"


async def test_the_timers_of_a_worker_are_its_own(system: ActorSystem) -> None:
    ticks: list[tuple[int, int]] = []

    class Timed:
        count = 0

        def __init__(self, context: Context[Any]) -> None:
            Timed.count += 1
            self.number = Timed.count
            context.after(1, self.number)

        async def receive(self, message: int) -> None:
            ticks.append((self.number, message))

    system.spawn_pool(Timed, 3)
    await trio.sleep(2)
    assert sorted(ticks) == [(1, 1), (2, 2), (3, 3)]


async def test_a_pool_with_urgent_messages_takes_them_first(system: ActorSystem) -> None:
    stage = Stage()
    pool = system.spawn_pool(stage, 1, mailbox=Mailbox(10, urgent=(str,)))
    held = Held()
    pool.tell_nowait(held)
    await held.started.wait()
    for message in (1, 2, "urgent"):
        pool.tell_nowait(message)
    held.release()
    await pool.ask(3)
    assert stage.seen == ["urgent", 1, 2, 3]


async def test_the_snapshot_shows_a_pool_with_its_workers(system: ActorSystem) -> None:
    pool = system.spawn_pool(Performer, 2, name="crew")
    await pool.ask("work")
    (info,) = system.snapshot()
    assert (info.name, info.handled) == ("crew", 1)
    assert [child.name for child in info.children] == ["crew/worker-1", "crew/worker-2"]


async def test_workers_are_restarted_one_by_one_and_a_strategy_is_refused(
    system: ActorSystem,
) -> None:
    for strategy in ("one_for_all", "rest_for_one"):
        with pytest.raises(ValueError, match="one by one"):
            system.spawn_pool(Performer, 2, supervision=Restart(strategy=strategy))


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("supervision", [Restart(), Stop(), Escalate()], ids=str)
async def test_a_pool_begins_again_with_its_siblings_and_keeps_what_waits(
    system: ActorSystem, strategy: Any, supervision: Any
) -> None:
    together = Restart(strategy=strategy, backoff=AT_ONCE.backoff)
    refs: list[Any] = []

    class Top:
        def __init__(self, context: Context[Any]) -> None:
            refs.append(context.spawn(Performer, name="a", supervision=together))
            refs.append(context.spawn_pool(Performer, 2, name="pool", supervision=supervision))

        async def receive(self, message: Any) -> None:
            """Nothing."""

    system.spawn(Top)
    await settled()
    held = [Held(), Held()]
    for each in held:
        refs[1].tell_nowait(each)
        await each.started.wait()
    waits = refs[1].submit("waits")
    crash = refs[0].submit(raising(ValueError("crash")))
    await crash.wait()
    for each in held:
        each.release()
    assert await waits.ask() == "waits"
    assert await refs[1].ask("well") == "well"
    (top,) = system.snapshot()
    assert [child.restarts for child in top.children] == [1, 1]


@pytest.mark.parametrize("size", [0, -1])
async def test_a_pool_of_nobody_is_refused(system: ActorSystem, size: int) -> None:
    with pytest.raises(ValueError, match="one worker at least"):
        system.spawn_pool(Performer, size)
