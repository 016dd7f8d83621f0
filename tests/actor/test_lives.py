"""The lives of an actor: entered, exited, restarted, stopped and killed at every moment."""

import contextvars
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actor.troupe import AT_ONCE, Curtain, Performer, Stage, hold, raising, state_of, unhurried
from wingman.actor import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    DeliveryState,
    Restart,
    Stop,
    Termination,
)

SLOW_RESTART = Restart(backoff=Backoff(initial=100, maximum=100, jitter=0))
FAILURE = ValueError("crash")


def failing_factory() -> Performer:
    raise FAILURE


@pytest.mark.parametrize(
    "factory",
    [
        failing_factory,
        partial(Curtain, enter=raising(FAILURE)),
        partial(Curtain, enter=partial(trio.sleep, 1), leave=raising(FAILURE)),
    ],
    ids=["factory", "aenter", "aexit"],
)
async def test_an_actor_that_cannot_begin_or_end_its_life_crashes(
    system: ActorSystem, factory: Callable[[], Performer]
) -> None:
    ref = system.spawn(factory, supervision=Stop())
    delivery = ref.submit(raising(FAILURE))
    assert await ref.wait_stopped() == Termination("crashed", FAILURE)
    with pytest.raises((ActorStopped, ValueError), match="crash"):
        delivery.reply()


async def test_messages_wait_while_an_actor_tries_to_begin(system: ActorSystem) -> None:
    attempts = iter((failing_factory, partial(Curtain, enter=raising(FAILURE)), Performer))
    ref = system.spawn(lambda: next(attempts)(), supervision=AT_ONCE)
    assert await ref.ask("patient") == "patient"


async def test_a_crash_of_receive_counts_also_if_the_context_swallows_it(
    system: ActorSystem,
) -> None:
    class Swallowing(Curtain):
        async def __aexit__(self, *args: object) -> bool:  # type: ignore[override]
            await trio.lowlevel.checkpoint()
            return True

    ref = system.spawn(Swallowing, supervision=Stop())
    delivery = ref.submit(raising(FAILURE))
    assert await ref.wait_stopped() == Termination("crashed", FAILURE)
    assert await delivery.wait() is DeliveryState.FAILED


@pytest.mark.parametrize("end", [ActorRef.stop, ActorRef.kill])
async def test_the_end_interrupts_a_back_off(
    system: ActorSystem, end: Callable[[ActorRef], Awaitable[None]]
) -> None:
    ref = system.spawn(Performer, name="one", supervision=SLOW_RESTART)
    ref.tell_nowait(raising(FAILURE))
    left = ref.submit("left")
    await wait_all_tasks_blocked()
    assert state_of(system, "one") == "restarting"
    await end(ref)
    assert trio.current_time() == 0
    assert await left.wait() is DeliveryState.FAILED


async def test_kill_interrupts_an_entrance_and_stop_waits_for_it(system: ActorSystem) -> None:
    lives: list[Performer] = []

    def factory() -> Performer:
        lives.append(Curtain(enter=partial(trio.sleep, 5)))
        return lives[-1]

    for end, cause, seconds in ((ActorRef.kill, "killed", 0), (ActorRef.stop, "stopped", 5)):
        begun = trio.current_time()
        ref = system.spawn(factory)
        left = ref.submit("never seen")
        await wait_all_tasks_blocked()
        await end(ref)
        assert trio.current_time() == begun + seconds
        assert await ref.wait_stopped() == Termination(cause)  # type: ignore[arg-type]
        assert await left.wait() is DeliveryState.FAILED
    assert [life.seen for life in lives] == [[], []]


async def test_an_actor_that_is_ended_before_its_task_runs_never_lives(
    system: ActorSystem,
) -> None:
    for end, cause in ((ActorRef.kill, "killed"), (ActorRef.stop, "stopped")):
        stage = Stage()
        ref = system.spawn(stage)
        left = ref.submit("left")
        await end(ref)
        assert await ref.wait_stopped() == Termination(cause)  # type: ignore[arg-type]
        assert await left.wait() is DeliveryState.FAILED
        assert stage.lives == []


async def test_kill_overtakes_a_stop_that_waits(system: ActorSystem) -> None:
    ref = system.spawn(Performer)
    held = await hold(ref)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        await ref.kill()
    assert held.ended == "cancelled"
    assert await ref.wait_stopped() == Termination("killed")


async def test_to_cancel_the_wait_for_a_stop_does_not_take_it_back(system: ActorSystem) -> None:
    ref = system.spawn(Performer)
    held = await hold(ref)
    with trio.move_on_after(1):
        await ref.stop()
    held.release()
    assert await ref.wait_stopped() == Termination("stopped")


async def test_an_actor_may_stop_itself_and_finishes_its_message(system: ActorSystem) -> None:
    ref = system.spawn(Performer)

    async def act() -> str:
        await ref.stop()
        return "finished"

    delivery, left = ref.submit(act), ref.submit("left")
    assert await ref.wait_stopped() == Termination("stopped")
    assert delivery.reply() == "finished"
    assert left.state is DeliveryState.FAILED


async def test_an_actor_may_kill_itself_and_is_cancelled_there(system: ActorSystem) -> None:
    ref = system.spawn(Performer)
    delivery = ref.submit(ref.kill)
    assert await ref.wait_stopped() == Termination("killed")
    assert delivery.state is DeliveryState.CANCELLED


async def test_an_error_beside_a_kill_fails_the_delivery_and_stays_in_the_actor(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    async def act() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(raising_when_cancelled)

    async def raising_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("unwinding")

    ref = system.spawn(Performer)
    delivery = ref.submit(act)
    await wait_all_tasks_blocked()
    await ref.kill()
    assert (await ref.wait_stopped()).cause == "crashed"
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="unwinding")):
        delivery.reply()
    assert "unwinding" in caplog.text


async def test_a_crash_that_nobody_waits_for_is_logged_also_if_a_kill_overtakes_it(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    ref = system.spawn(partial(Curtain, leave=trio.sleep_forever))
    ref.tell_nowait(raising(ValueError("overtaken")))
    await wait_all_tasks_blocked()
    await ref.kill()
    assert "overtaken" in caplog.text


async def test_an_expected_failure_of_a_told_message_is_logged(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    ref = system.spawn(Performer, name="one", expected=(ValueError,))
    await ref.tell(raising(ValueError("nobody asked")))
    await ref.ask("next")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "nobody asked" in caplog.text


async def test_crashes_that_are_far_apart_are_no_series(system: ActorSystem) -> None:
    restart = Restart(max_restarts=1, within=10, backoff=Backoff(initial=0))
    ref = system.spawn(Performer, supervision=restart)
    for _ in range(3):
        await ref.tell(raising(FAILURE))
        await trio.sleep(11)
    assert await ref.ask("well") == "well"


async def test_an_actor_that_is_never_made_to_wait_lets_others_run(system: ActorSystem) -> None:
    ref = system.spawn(Performer, mailbox=10_000)
    for number in range(10_000):
        ref.tell_nowait(number)
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()
    assert ref.room < 10_000


async def test_an_actor_inherits_no_context_variables(system: ActorSystem) -> None:
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request")
    request.set("the spawner's")

    async def act() -> Any:
        await trio.lowlevel.checkpoint()
        return request.get(None)

    assert await system.spawn(Performer).ask(act) is None


async def test_a_restarted_or_idle_actor_keeps_nothing_of_the_past_alive(
    system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pytest's log capture would keep the crash, and the crash the actor.
    monkeypatch.setattr(logging.getLogger("wingman.actor"), "disabled", True)

    class Big:
        pass

    lives: list[weakref.ref[Performer]] = []

    def factory() -> Performer:
        actor = Performer()
        lives.append(weakref.ref(actor))
        return actor

    async def reply() -> Big:
        await trio.lowlevel.checkpoint()
        return Big()

    ref = system.spawn(factory, supervision=AT_ONCE)
    kept = weakref.ref(await ref.ask(reply))
    await wait_all_tasks_blocked()
    assert kept() is None
    await ref.tell(raising(ValueError("crash")))
    await ref.ask(unhurried(1))
    gc.collect()
    assert lives[0]() is None
    assert lives[1]() is not None
