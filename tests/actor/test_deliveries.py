"""Deliveries: cancelled at every moment, waited for in every way."""

from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actor.troupe import Company, Held, Performer, Stage, hold, raising, unhurried
from wingman.actor import (
    ActorError,
    ActorStopped,
    ActorSystem,
    Delivery,
    DeliveryCancelled,
    DeliveryPending,
    DeliveryState,
    MailboxFull,
)


async def test_a_delivery_has_no_reply_before_its_end(system: ActorSystem) -> None:
    ref = system.spawn(Performer)
    delivery = ref.submit("word")
    assert delivery.state is DeliveryState.QUEUED
    with pytest.raises(DeliveryPending):
        delivery.reply()
    assert await delivery.wait() is DeliveryState.DONE
    assert delivery.reply() == "word"


async def test_cancelling_a_wait_does_not_cancel_the_delivery(system: ActorSystem) -> None:
    delivery = system.spawn(Performer).submit(partial(trio.sleep, 5))
    with trio.move_on_after(1) as scope:
        await delivery.wait()
    assert scope.cancelled_caught
    assert await delivery.wait() is DeliveryState.DONE


async def test_a_delivery_that_is_cancelled_in_the_tick_it_ends_is_done_and_leaks_nothing(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage)
    own: list[Delivery] = []

    async def act() -> str:
        await trio.lowlevel.checkpoint()
        own[0].cancel()
        return "done"

    own.append(ref.submit(act))
    after = ref.submit(partial(trio.sleep, 1))
    assert await own[0].wait() is DeliveryState.DONE
    assert await after.wait() is DeliveryState.DONE
    assert len(stage.lives) == 1


async def test_an_actor_may_cancel_what_it_is_processing(system: ActorSystem) -> None:
    ref = system.spawn(Performer)
    own: list[Delivery] = []

    async def act() -> None:
        own[0].cancel()
        await trio.sleep_forever()

    own.append(ref.submit(act))
    assert await own[0].wait() is DeliveryState.CANCELLED
    assert await ref.ask("next") == "next"


async def test_a_cancelled_delivery_in_flight_has_ended_only_when_receive_has_unwound(
    system: ActorSystem,
) -> None:
    delivery = system.spawn(Performer).submit(unhurried(5))
    await trio.sleep(1)
    delivery.cancel()
    assert delivery.state is DeliveryState.PROCESSING
    assert await delivery.wait() is DeliveryState.CANCELLED
    assert trio.current_time() == 1 + 5


async def test_a_cancelled_delivery_that_answers_all_the_same_is_done(system: ActorSystem) -> None:
    async def act() -> str:
        with trio.move_on_after(10, shield=True):
            await trio.sleep(2)
        return "too late to cancel"

    ref = system.spawn(Performer)
    with trio.move_on_after(1):
        assert await ref.ask(act) == "too late to cancel"
    assert trio.current_time() == 2
    assert await ref.ask("next") == "next"


async def test_an_error_while_a_cancelled_delivery_unwinds_is_a_crash(system: ActorSystem) -> None:
    async def act() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail_when_cancelled)

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("unwinding")

    stage = Stage()
    ref = system.spawn(stage)
    delivery = ref.submit(act)
    await wait_all_tasks_blocked()
    delivery.cancel()
    assert await delivery.wait() is DeliveryState.FAILED
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="unwinding")):
        delivery.reply()
    await ref.ask("next")
    assert len(stage.lives) == 2


async def test_an_ask_that_is_cancelled_while_it_waits_for_room_was_never_sent(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=1)
    held = await hold(ref)
    ref.tell_nowait("fills it")
    with trio.move_on_after(1) as scope:
        await ref.ask("never sent")
    assert scope.cancelled_caught
    held.release()
    await ref.ask("last")
    assert stage.seen == ["fills it", "last"]


async def test_an_ask_that_is_cancelled_as_soon_as_it_got_room_is_not_processed(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=1)
    held = await hold(ref)
    first = ref.submit("fills it")
    scope = trio.CancelScope()

    async def ask() -> None:
        with scope:
            await ref.ask("cancelled")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        first.cancel()  # the asker is given its room
        scope.cancel()
    assert scope.cancelled_caught
    held.release()
    await ref.ask("last")
    assert stage.seen == ["last"]


async def test_an_ask_that_is_cancelled_before_it_begins_leaves_nothing_behind(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage)
    with trio.CancelScope() as scope:
        scope.cancel()
        await ref.ask("never")
    assert scope.cancelled_caught
    await ref.ask("last")
    assert stage.seen == ["last"]


async def test_cancelling_a_queued_delivery_gives_its_room_to_who_waits_for_it(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=1)
    held = await hold(ref)
    queued = ref.submit("cancelled")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.ask, "waiting")
        await wait_all_tasks_blocked()
        queued.cancel()
        await wait_all_tasks_blocked()
        assert ref.room == 0
        held.release()
    assert stage.seen == ["waiting"]


async def test_room_goes_to_who_has_waited_for_it_not_to_who_comes_by(
    system: ActorSystem,
) -> None:
    ref = system.spawn(Performer, mailbox=2)
    first, second = Held(), Held()
    ref.tell_nowait(first)
    await first.started.wait()
    ref.tell_nowait(second)
    ref.tell_nowait("fills it")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.tell, "waits")
        await wait_all_tasks_blocked()
        first.release()
        await second.started.wait()
        assert ref.room == 0
        with pytest.raises(MailboxFull):
            ref.tell_nowait("comes by")
        second.release()


async def test_who_waits_for_room_learns_that_the_actor_has_ended(system: ActorSystem) -> None:
    ref = system.spawn(Performer, mailbox=1)
    held = await hold(ref)
    ref.tell_nowait("fills it")

    async def refused(send: object) -> None:
        with pytest.raises(ActorStopped):
            await send("too late")  # type: ignore[operator]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused, ref.tell)
        nursery.start_soon(refused, ref.ask)
        await wait_all_tasks_blocked()
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        held.release()
    assert system.dead_letters == 1  # what had been accepted


async def test_a_chain_of_asks_is_cancelled_from_its_end(system: ActorSystem) -> None:
    ended: list[str] = []

    async def last() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("last")

    async def first() -> None:
        try:
            await second.ask(last)
        finally:
            ended.append("first")

    second = system.spawn(Performer)
    with trio.move_on_after(1) as scope:
        await system.spawn(Performer).ask(first)
    assert scope.cancelled_caught
    assert ended == ["last", "first"]
    assert await second.ask("well") == "well"


async def test_two_actors_that_ask_each_other_can_be_cancelled(system: ActorSystem) -> None:
    one, other = system.spawn(Performer), system.spawn(Performer)

    async def back() -> None:
        await one.ask("back")

    with trio.move_on_after(1) as scope:
        await one.ask(partial(other.ask, back))
    assert scope.cancelled_caught
    assert [await ref.ask("well") for ref in (one, other)] == ["well", "well"]


async def test_a_delivery_has_one_asker_and_any_number_of_waiters(system: ActorSystem) -> None:
    delivery = system.spawn(Performer).submit(partial(trio.sleep, 5))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(delivery.wait)
        nursery.start_soon(delivery.ask)
        nursery.start_soon(delivery.wait)
        await wait_all_tasks_blocked()
        with pytest.raises(ActorError, match="another task"):
            await delivery.ask()
    assert await delivery.ask() is None


async def test_a_delivery_may_itself_be_a_message(system: ActorSystem) -> None:
    stage = Stage()
    ref = system.spawn(stage)
    delivery = ref.submit("first")
    await ref.tell(delivery)
    ref.tell_nowait(delivery)
    assert await ref.ask(delivery) is delivery
    assert stage.seen == ["first", delivery, delivery, delivery]


async def test_the_actors_own_context_may_cancel_what_is_in_flight(system: ActorSystem) -> None:
    lives: list[Company] = []

    def factory() -> Company:
        lives.append(Company())
        return lives[-1]

    ref = system.spawn(factory)
    delivery = ref.submit(trio.sleep_forever)
    await wait_all_tasks_blocked()
    lives[0].nursery.start_soon(raising(ValueError("in the background")))
    assert await delivery.wait() is DeliveryState.FAILED
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="in the background")):
        delivery.reply()
    delivery = ref.submit(trio.sleep_forever)
    await trio.sleep(1)
    lives[1].nursery.cancel_scope.cancel()
    assert await delivery.wait() is DeliveryState.FAILED
    with pytest.raises(ActorError, match="its own context"):
        delivery.reply()
    assert await ref.ask("well") == "well"
    assert len(lives) == 3


async def test_a_delivery_that_was_killed_says_so(system: ActorSystem) -> None:
    ref = system.spawn(Performer)
    delivery = ref.submit(trio.sleep_forever)
    await wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.kill)
        await delivery.wait()
    with pytest.raises(ActorStopped, match="killed"):
        delivery.reply()
    delivery = system.spawn(Performer).submit(trio.sleep_forever)
    delivery.cancel()
    with pytest.raises(DeliveryCancelled):
        await delivery.ask()
