"""Timers: in order, without drift, never twice in the mailbox, and no longer than the life."""

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actor.troupe import AT_ONCE, Performer, hold, raising
from wingman.actor import ActorRef, ActorStopped, ActorSystem, Context, Delivery


class Clocked(Performer):
    """Notes what it is sent, and when."""

    def __init__(self, context: Context[Any]) -> None:
        super().__init__()
        self.context = context
        self.times: list[float] = []

    async def receive(self, message: Any) -> Any:
        if not callable(message):
            self.times.append(trio.current_time())
        return await super().receive(message)


async def clocked(system: ActorSystem, **options: Any) -> tuple[ActorRef[Any], list[Clocked]]:
    lives: list[Clocked] = []

    def factory(context: Context[Any]) -> Clocked:
        lives.append(Clocked(context))
        return lives[-1]

    ref = system.spawn(factory, supervision=AT_ONCE, **options)
    await wait_all_tasks_blocked()
    return ref, lives


async def test_messages_come_when_they_are_due_however_they_were_set(system: ActorSystem) -> None:
    _, (life,) = await clocked(system)
    for seconds in (5, 1, 3, 2, 4):
        life.context.after(seconds, seconds)
    await trio.sleep(10)
    assert life.seen == [1, 2, 3, 4, 5]
    assert life.times == pytest.approx([1, 2, 3, 4, 5])


async def test_those_that_are_due_at_once_come_in_the_order_they_were_set(
    system: ActorSystem,
) -> None:
    _, (life,) = await clocked(system, mailbox=1)
    for number in range(10_000):
        life.context.after(1, number)
    await trio.sleep(2)
    assert life.seen == list(range(10_000))


async def test_a_timer_for_no_time_comes_at_once_behind_what_waits(system: ActorSystem) -> None:
    ref, (life,) = await clocked(system)
    held = await hold(ref)
    await ref.tell("waited")
    timer = life.context.after(0, "timer")
    await wait_all_tasks_blocked()
    held.release()
    await wait_all_tasks_blocked()
    assert life.seen == ["waited", "timer"]
    assert trio.current_time() == 0
    assert not timer.active


async def test_a_timer_that_is_cancelled_before_it_fires_sends_nothing(
    system: ActorSystem,
) -> None:
    _, (life,) = await clocked(system)
    timers = [life.context.after(1, "after"), life.context.every(1, "every")]
    assert all(timer.active for timer in timers)
    for timer in timers:
        timer.cancel()
        timer.cancel()
    await trio.sleep(5)
    assert life.seen == []
    assert not any(timer.active for timer in timers)


@pytest.mark.parametrize("kind", ["after", "every"])
async def test_a_timer_that_is_cancelled_while_its_message_waits_sends_nothing(
    system: ActorSystem, kind: str
) -> None:
    ref, (life,) = await clocked(system)
    timer = getattr(life.context, kind)(1, "timer")
    held = await hold(ref)
    await trio.sleep(2)
    timer.cancel()
    held.release()
    await trio.sleep(5)
    assert life.seen == []


async def test_a_timer_that_is_cancelled_after_it_fired_is_cancelled_in_peace(
    system: ActorSystem,
) -> None:
    _, (life,) = await clocked(system)
    once, again = life.context.after(1, "once"), life.context.every(1, "again")
    await trio.sleep(2.5)
    assert not once.active
    once.cancel()
    again.cancel()
    await trio.sleep(5)
    assert life.seen == ["once", "again", "again"]


async def test_a_tick_never_waits_twice_and_what_is_left_out_is_counted(
    system: ActorSystem,
) -> None:
    ref, (life,) = await clocked(system)
    timer = life.context.every(1, "tick")
    held = await hold(ref)
    await trio.sleep(10.5)
    held.release()
    await wait_all_tasks_blocked()
    assert life.seen == ["tick"]
    assert timer.missed == 9
    await trio.sleep(2)
    assert life.seen == ["tick"] * 3
    assert timer.missed == 9


async def test_ticks_do_not_drift_however_late_one_is(system: ActorSystem) -> None:
    ref, (life,) = await clocked(system)
    life.context.every(0.1, "tick")
    for _ in range(100):
        await ref.tell(partial(trio.sleep, 0.07))
        await trio.sleep(1)
    await trio.sleep(0.05)
    for time in life.times[-5:]:
        late = (time + 0.001) % 0.1
        assert late < 0.08
    life.times.clear()
    await trio.sleep(1)
    # After a hundred seconds the ticks still stand at multiples of the period.
    assert life.times == pytest.approx([100.1 + n / 10 for n in range(10)])


@pytest.mark.parametrize("end", ["stop", "kill", "restart"])
async def test_timers_end_with_the_life_also_those_whose_message_waits(
    system: ActorSystem, end: str
) -> None:
    ref, lives = await clocked(system)
    timers = [lives[0].context.every(1, "tick"), lives[0].context.after(50, "late")]
    held = await hold(ref)
    await trio.sleep(3)
    if end == "restart":
        await ref.tell(raising(ValueError()))
        timers[0].cancel()
        held.release()
        await wait_all_tasks_blocked()
        timers[0] = lives[1].context.after(1, "of the new life")
    else:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(getattr(ref, end))
            await wait_all_tasks_blocked()
            held.release()
    await trio.sleep(100)
    assert not any(timer.active for timer in timers)
    expected = ["of the new life"] if end == "restart" else []
    assert [message for life in lives for message in life.seen] == expected
    if end != "restart":
        with pytest.raises(ActorStopped):
            lives[0].context.after(1, "too late")


async def test_ten_thousand_timers_come_each_at_its_time_and_go_with_the_actor(
    system: ActorSystem,
) -> None:
    ref, (life,) = await clocked(system)
    for number in range(10_000):
        life.context.after((number * 7_919) % 10_000 / 1_000, number)
    await trio.sleep(5)
    assert life.times == sorted(life.times)
    assert len(life.seen) == pytest.approx(5_000, abs=2)
    await ref.stop()
    await trio.sleep(10)
    assert len(life.seen) == pytest.approx(5_000, abs=2)


async def test_a_message_that_is_a_delivery_comes_as_itself(system: ActorSystem) -> None:
    other = system.spawn(Performer)
    held = await hold(other)
    delivery: Delivery[Any] = other.submit("elsewhere")
    _, (life,) = await clocked(system)
    life.context.after(1, delivery)
    await trio.sleep(2)
    assert life.seen == [delivery]
    held.release()
    await delivery.wait()
    assert delivery.reply() == "elsewhere"


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
async def test_a_time_that_is_none_is_refused(system: ActorSystem, seconds: float) -> None:
    _, (life,) = await clocked(system)
    for method in (life.context.after, life.context.every):
        with pytest.raises(ValueError, match="a time in seconds"):
            method(seconds, "never")
    with pytest.raises(ValueError, match="more than 0"):
        life.context.every(0, "never")


async def test_a_timer_may_set_the_next_one_and_a_crash_on_a_tick_is_a_crash(
    system: ActorSystem,
) -> None:
    _, lives = await clocked(system)
    lives[0].context.every(1, raising(ValueError("on a tick")))
    await trio.sleep(3)
    assert len(lives) == 2
    assert lives[1].seen == []
