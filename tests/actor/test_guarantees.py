"""What is guaranteed: each sentence of the package's docstring, and the test that holds it."""

import asyncio
import importlib
import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import wingman.actor
from actor.troupe import AT_ONCE, Curtain, Performer, Stage, hold, raising, unhurried
from wingman.actor import (
    ActorError,
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    Delivery,
    DeliveryCancelled,
    DeliveryState,
    Directory,
    Escalate,
    Instrument,
    Mailbox,
    MailboxFull,
    Restart,
    Stop,
    Termination,
)
from wingman.foreign import ForeignFailure

guarantee = pytest.mark.guarantee


def test_each_sentence_of_the_docstring_has_a_test() -> None:
    promised = re.findall(r"^(\d+)\. ", wingman.actor.__doc__ or "", re.MULTILINE)
    # The first ones are held here, the others by the file of their theme.
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    held = {
        mark.args[0]
        for file in files
        for name, function in vars(importlib.import_module(f"actor.{file.stem}")).items()
        for mark in getattr(function, "pytestmark", [])
        if name.startswith("test_") and mark.name == "guarantee"
    }
    assert held == {int(number) for number in promised}
    assert held >= set(range(1, 37))


@guarantee(1)
async def test_messages_of_one_sender_are_processed_in_the_order_they_were_sent(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=2)

    async def send(sender: str) -> None:
        for number in range(30):
            if number % 3 == 0:
                await ref.ask((sender, number))
            elif number % 3 == 1 and ref.room:
                ref.submit((sender, number))
            else:
                await ref.tell((sender, number))
        await ref.ask((sender, 30))

    async with trio.open_nursery() as nursery:
        for sender in "abc":
            nursery.start_soon(send, sender)
    for sender in "abc":
        assert [number for who, number in stage.seen if who == sender] == list(range(31))


@guarantee(2)
async def test_an_actor_processes_one_message_at_a_time(system: ActorSystem) -> None:
    inside = 0
    most = 0

    async def act() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await trio.sleep(1)
        inside -= 1

    ref = system.spawn(Performer)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ref.ask, act)
    assert most == 1
    assert trio.current_time() == 5


@guarantee(3)
async def test_a_message_is_processed_at_most_once_also_when_the_actor_crashes_on_it(
    system: ActorSystem,
) -> None:
    processed: list[int] = []

    async def act(number: int) -> None:
        processed.append(number)
        await trio.lowlevel.checkpoint()
        if number % 2:
            raise ValueError(number)

    ref = system.spawn(Performer, supervision=AT_ONCE)
    deliveries = [ref.submit(partial(act, number)) for number in range(6)]
    for delivery in deliveries:
        await delivery.wait()
    assert processed == list(range(6))


@guarantee(4)
async def test_a_full_mailbox_makes_tell_and_ask_wait_in_order_and_refuses_the_others(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=1)
    held = await hold(ref)
    ref.tell_nowait("first")
    assert ref.room == 0
    async with trio.open_nursery() as nursery:
        for send, message in ((ref.tell, "second"), (ref.ask, "third"), (ref.tell, "fourth")):
            nursery.start_soon(send, message)
            await wait_all_tasks_blocked()
        with pytest.raises(MailboxFull):
            ref.tell_nowait("refused")
        with pytest.raises(MailboxFull):
            ref.submit("refused")
        held.release()
    await ref.ask("last")
    assert stage.seen == ["first", "second", "third", "fourth", "last"]


@guarantee(5)
async def test_a_cancelled_ask_cancels_its_own_delivery_and_returns_when_that_has_ended(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage)
    replies: list[str] = []

    async def bystander() -> None:
        replies.append(await ref.ask("bystander"))

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(1) as in_flight:
            async with trio.open_nursery() as askers:
                askers.start_soon(ref.ask, unhurried(5))
                await wait_all_tasks_blocked()
                askers.start_soon(ref.ask, "queued")
                await wait_all_tasks_blocked()
                nursery.start_soon(bystander)
    assert in_flight.cancelled_caught
    assert trio.current_time() == 1 + 5  # the cleanup was waited for
    assert replies == stage.seen == ["bystander"]


@guarantee(6)
async def test_cancel_ends_a_queued_delivery_at_once_and_it_is_never_processed(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=3)
    held = await hold(ref)
    before, cancelled, after = (ref.submit(word) for word in ("before", "cancelled", "after"))
    cancelled.cancel()
    assert cancelled.state is DeliveryState.CANCELLED
    with pytest.raises(DeliveryCancelled):
        cancelled.reply()
    assert ref.room == 1
    held.release()
    await after.wait()
    assert stage.seen == ["before", "after"]
    assert before.reply() == "before"


@guarantee(7)
async def test_a_delivery_reaches_exactly_one_final_state_and_stays_in_it(
    system: ActorSystem,
) -> None:
    ref = system.spawn(Performer, expected=(ValueError,))
    done, failed, cancelled = (
        ref.submit(act) for act in ("done", raising(ValueError()), trio.sleep_forever)
    )
    await wait_all_tasks_blocked()
    cancelled.cancel()
    left = ref.submit("left")
    await ref.kill()
    for _ in range(2):
        states = [await delivery.wait() for delivery in (done, failed, cancelled, left)]
        assert [state.value for state in states] == ["done", "failed", "cancelled", "failed"]
        for delivery in (done, failed, cancelled, left):
            delivery.cancel()


@guarantee(8)
async def test_stop_finishes_the_current_message_kill_cancels_it_and_both_wait_for_the_end(
    system: ActorSystem,
) -> None:
    exits: list[float] = []

    async def leave() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        exits.append(trio.current_time())

    for end, state, cause in (
        (ActorRef.stop, DeliveryState.DONE, "stopped"),
        (ActorRef.kill, DeliveryState.CANCELLED, "killed"),
    ):
        ref = system.spawn(partial(Curtain, leave=leave))
        current = ref.submit(partial(trio.sleep, 5))
        await trio.sleep(1)
        await end(ref)
        assert exits.pop() == trio.current_time()
        assert current.state is state
        assert await ref.wait_stopped() == Termination(cause)
        with pytest.raises(ActorStopped, match=cause):
            ref.tell_nowait("too late")


@guarantee(9)
async def test_what_is_left_in_a_mailbox_fails_with_actor_stopped_and_is_counted() -> None:
    lost: list[object] = []

    class Undertaker(Instrument):
        def dead_letter(self, ref: ActorRef, message: object, termination: Termination) -> None:
            lost.append(message)

    async with ActorSystem(instruments=(Undertaker(),)) as system:
        ref = system.spawn(Performer)
        await hold(ref)
        ref.tell_nowait("told")
        submitted = ref.submit("submitted")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_stopped, ref, "asked")
            await wait_all_tasks_blocked()
            await ref.kill()
        with pytest.raises(ActorStopped):
            submitted.reply()
        assert lost[1:] == ["told", "submitted", "asked"]  # after the one that was held
        assert system.dead_letters == 4


async def expect_stopped(ref: ActorRef, message: object) -> None:
    with pytest.raises(ActorStopped):
        await ref.ask(message)


@guarantee(10)
async def test_a_crash_fails_the_delivery_and_restarts_with_fresh_state_and_the_same_mailbox(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, supervision=AT_ONCE)
    error = ValueError("crash")
    await ref.tell("before")
    crashed = ref.submit(raising(error))
    await ref.tell("after")
    await ref.ask("last")
    with pytest.raises(ValueError, match="crash") as raised:
        crashed.reply()
    assert raised.value is error
    assert [life.seen for life in stage.lives] == [["before"], ["after", "last"]]


@guarantee(11)
async def test_restarts_back_off_and_stop_when_there_are_too_many_in_their_window(
    system: ActorSystem,
) -> None:
    births: list[float] = []

    def factory() -> Performer:
        births.append(trio.current_time())
        return Performer()

    backoff = Backoff(initial=1, factor=2, maximum=3, jitter=0)
    ref = system.spawn(factory, supervision=Restart(max_restarts=3, within=100, backoff=backoff))
    for number in range(4):
        await ref.tell(raising(ValueError(number)))
    termination = await ref.wait_stopped()
    assert births == [0, 1, 1 + 2, 1 + 2 + 3]
    assert termination.cause == "crashed"
    assert str(termination.error) == "3"


@guarantee(12)
async def test_an_expected_exception_fails_the_delivery_alone(system: ActorSystem) -> None:
    stage = Stage()
    ref = system.spawn(stage, expected=(LookupError,))
    await ref.tell("before")
    with pytest.raises(KeyError):
        await ref.ask(raising(KeyError("no such thing")))
    await ref.ask("after")
    assert [life.seen for life in stage.lives] == [["before", "after"]]


@guarantee(13)
async def test_a_directory_activates_an_actor_once_however_many_messages_come_at_once(
    system: ActorSystem,
) -> None:
    activated: list[str] = []

    def factory(key: str) -> Performer:
        activated.append(key)
        return Curtain(enter=partial(trio.sleep, 1))

    directory = Directory(system, factory)
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(directory.ref("ab"[number % 2]).ask, number)
    assert sorted(activated) == ["a", "b"]


@guarantee(14)
async def test_what_is_sent_to_an_actor_that_passivates_is_processed_in_its_next_life(
    system: ActorSystem,
) -> None:
    lives: list[Performer] = []

    def factory(key: str) -> Performer:
        lives.append(Curtain(leave=partial(trio.sleep, 10)))
        return lives[-1]

    directory = Directory(system, factory, idle_after=5, mailbox=2)
    await directory.ref("a").ask("first life")
    await trio.sleep(5 + 1)
    assert state_of_only_actor(system) == "stopping"
    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(directory.ref("a").ask, number)
    assert [len(life.seen) for life in lives] == [1, 4]
    await trio.sleep(5 - 1)
    assert state_of_only_actor(system) == "idle"
    assert system.dead_letters == 0


def state_of_only_actor(system: ActorSystem) -> str:
    (info,) = system.snapshot()
    return info.state


@guarantee(15)
async def test_an_actor_that_waits_for_itself_gets_an_error_not_a_deadlock(
    system: ActorSystem,
) -> None:
    ref = system.spawn(Performer, mailbox=1, expected=(ActorError,))
    own: list[Delivery] = []

    async def tell_when_full() -> None:
        ref.tell_nowait("fills it")
        await ref.tell("waits for room")

    async def wait_for_own_delivery() -> None:
        await own[0].wait()

    async def ask_for_own_delivery() -> None:
        await own[0].ask()

    for act in (
        partial(ref.ask, "itself"),
        ref.wait_stopped,
        tell_when_full,
        wait_for_own_delivery,
        ask_for_own_delivery,
    ):
        own.insert(0, ref.submit(act))
        await own[0].wait()
        with pytest.raises(ActorError, match="wait for itself"):
            own[0].reply()
        await ref.tell("makes sure that the mailbox is empty")
        await wait_all_tasks_blocked()


@guarantee(16)
async def test_a_crash_of_one_actor_does_not_touch_another(system: ActorSystem) -> None:
    other = system.spawn(Performer)
    held = await hold(other)
    for supervision in (AT_ONCE, Stop()):
        with pytest.raises(ValueError, match="crash"):
            await system.spawn(Performer, supervision=supervision).ask(raising(ValueError("crash")))
    held.release()
    assert await other.ask("well") == "well"


@guarantee(16)
async def test_a_crash_that_escalates_ends_the_whole_system() -> None:
    other = None
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="crash")):
        async with ActorSystem() as system:
            other = system.spawn(Performer)
            system.spawn(Performer, supervision=Escalate()).tell_nowait(
                raising(ValueError("crash"))
            )
            await trio.sleep_forever()
    assert other is not None
    assert await other.wait_stopped() == Termination("killed")


KINDS: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(2),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "asyncio's CancelledError": asyncio.CancelledError,
    "BaseException": BaseException,
    "StopAsyncIteration": StopAsyncIteration,
    "a group": lambda: BaseExceptionGroup("a", [ValueError("v"), SystemExit(2)]),
    "a group in a group": lambda: BaseExceptionGroup(
        "a", [BaseExceptionGroup("b", [asyncio.CancelledError(), KeyboardInterrupt()])]
    ),
    "a stale Cancelled": lambda: stale_cancelled(),
    "a group with a stale Cancelled": lambda: BaseExceptionGroup(
        "a", [ValueError("v"), stale_cancelled()]
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def stale_cancelled() -> trio.Cancelled:
    """A `Cancelled` of a Trio run, and of a scope, that are long gone."""
    kept: list[trio.Cancelled] = []

    async def be_cancelled() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                kept.append(error)
                raise

    run_aside(be_cancelled)
    return kept[0]


def run_aside(function: Callable[[], Any]) -> None:
    """Run a function in a Trio run of its own, from within another."""
    thread = threading.Thread(target=trio.run, args=(function,))
    thread.start()
    thread.join()


@guarantee(17)
async def test_an_instrument_that_raises_is_removed_and_logged_and_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[tuple[str, object]] = []

    class Broken(Instrument):
        def message_started(self, ref: ActorRef, message: object) -> None:
            heard.append(("broken", message))
            raise ValueError("out of tune")

    class Sound(Instrument):
        def message_started(self, ref: ActorRef, message: object) -> None:
            heard.append(("sound", message))

    async with ActorSystem(instruments=(Broken(), Sound())) as system:
        ref = system.spawn(Performer)
        assert [await ref.ask(number) for number in (1, 2)] == [1, 2]
    assert heard == [("broken", 1), ("sound", 1), ("sound", 2)]
    assert [record.exc_text is None for record in caplog.records] == [False]
    assert "Broken" in caplog.text
    assert "out of tune" in caplog.text


@guarantee(17)
@each_kind
async def test_an_instrument_may_raise_whatever_there_is(
    kind: Callable[[], BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    class Broken(Instrument):
        def __repr__(self) -> str:
            raise kind()

    def raising_hook(name: str) -> Callable[..., None]:
        def hook(self: Instrument, *args: object) -> None:
            heard.append(name)
            raise kind()

        return hook

    hooks = [name for name in vars(Instrument) if not name.startswith("_")]
    broken = [type(name, (Broken,), {name: raising_hook(name)})() for name in hooks]
    async with ActorSystem(instruments=tuple(broken)) as system:
        ref = system.spawn(Performer, supervision=AT_ONCE)
        assert await ref.ask("well") == "well"
        with pytest.raises(ValueError, match="crash"):
            await ref.ask(raising(ValueError("crash")))
        assert await ref.ask("well") == "well"
        full = system.spawn(Performer, mailbox=Mailbox(1, when_full="drop_oldest"))
        for number in range(2):
            full.tell_nowait(number)
        held = await hold(ref)
        ref.tell_nowait("left")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await wait_all_tasks_blocked()
            held.release()
        assert await system.spawn(Performer).ask("well") == "well"
    assert sorted(heard) == sorted(hooks)
    assert len(caplog.records) == len(hooks) + 2  # the crash, and its restart
    assert all(record.exc_info for record in caplog.records if "removed" in record.message)


@guarantee(18)
@each_kind
async def test_whatever_receive_raises_is_a_crash_of_that_actor_alone(
    kind: Callable[[], BaseException], system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    error = kind()
    stage = Stage()
    other = system.spawn(Performer)
    held = await hold(other)
    ref = system.spawn(stage, supervision=AT_ONCE)
    with pytest.raises(ForeignFailure) as raised:
        await ref.ask(raising(error))
    assert raised.value.__cause__ is error
    assert await ref.ask("well") == "well"
    assert len(stage.lives) == 2
    ref.tell_nowait(raising(error))
    assert await ref.ask("well") == "well"
    assert len(stage.lives) == 3
    delivery = ref.submit(raising(error))
    assert await delivery.wait() is DeliveryState.FAILED
    for _ in range(2):
        with pytest.raises(ForeignFailure):
            delivery.reply()
    held.release()
    assert await other.ask("well") == "well"
    crashes = [record for record in caplog.records if record.message.endswith("crashed")]
    assert len(crashes) == 3
    assert all(record.exc_info for record in crashes)
    with trio.move_on_after(1) as scope:  # Trio itself is well, too
        await trio.sleep_forever()
    assert scope.cancelled_caught


@guarantee(18)
@each_kind
@pytest.mark.parametrize("place", ["the factory", "__aenter__", "__aexit__"])
async def test_whatever_the_factory_the_entrance_or_the_exit_raises_is_a_crash_of_that_actor_alone(
    place: str, kind: Callable[[], BaseException], system: ActorSystem
) -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise kind()

    def factory() -> Performer:
        if place == "the factory":
            raise kind()
        return Curtain(enter=fail) if place == "__aenter__" else Curtain(leave=fail)

    other = system.spawn(Performer)
    once = Restart(max_restarts=1, backoff=Backoff(initial=0))
    ref = system.spawn(factory, supervision=once)
    delivery = ref.submit(raising(ValueError("crash")))
    ref.tell_nowait(raising(ValueError("crash")))
    termination = await ref.wait_stopped()
    assert termination.cause == "crashed"
    assert type(termination.error) is ForeignFailure
    assert await delivery.wait() is DeliveryState.FAILED
    assert await other.ask("well") == "well"


@guarantee(18)
@each_kind
async def test_whatever_an_actor_raises_while_it_is_cancelled_is_contained(
    kind: Callable[[], BaseException], system: ActorSystem
) -> None:
    async def fail() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise kind()

    async def fail_in_a_group() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail)

    other = system.spawn(Performer)
    for act in (fail, fail_in_a_group):
        ref = system.spawn(Performer, supervision=AT_ONCE)
        delivery = ref.submit(act)
        await wait_all_tasks_blocked()
        delivery.cancel()
        # A stale Cancelled in the place of a real one cannot be told from it.
        assert await delivery.wait() in (DeliveryState.FAILED, DeliveryState.CANCELLED)
        with pytest.raises((ForeignFailure, ExceptionGroup, DeliveryCancelled)):
            delivery.reply()
        assert await ref.ask("well") == "well"
        delivery = ref.submit(act)
        await wait_all_tasks_blocked()
        await ref.kill()
        assert delivery.ended
        with pytest.raises((ForeignFailure, ExceptionGroup, ActorStopped)):
            delivery.reply()
        assert (await ref.wait_stopped()).cause in ("crashed", "killed")
    assert await other.ask("well") == "well"


@guarantee(18)
async def test_a_cancel_scope_that_an_actor_leaves_open_is_a_crash_of_that_actor_alone(
    system: ActorSystem,
) -> None:
    async def act() -> None:
        scope = trio.CancelScope()
        scope.__enter__()
        scope.cancel()
        await trio.lowlevel.checkpoint()

    other = system.spawn(Performer)
    ref = system.spawn(Performer, supervision=AT_ONCE)
    with pytest.raises(RuntimeError, match="Cancel scope stack corrupted"):
        await ref.ask(act)
    assert [await each.ask("well") for each in (ref, other)] == ["well", "well"]


@guarantee(18)
@each_kind
async def test_what_escalates_is_an_exception(kind: Callable[[], BaseException]) -> None:
    error = kind()
    with pytest.RaisesGroup(
        pytest.RaisesExc(ForeignFailure, check=lambda failure: failure.__cause__ is error)
    ):
        async with ActorSystem() as system:
            system.spawn(Performer, supervision=Escalate()).tell_nowait(raising(error))
            await trio.sleep_forever()


@guarantee(19)
@each_kind
async def test_a_directorys_hook_that_raises_is_logged_and_ends_nothing(
    kind: Callable[[], BaseException], system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    broken = True

    def hook(*_: object) -> bool:
        if broken:
            raise kind()
        return True

    directory = Directory(
        system, lambda _: Performer(), idle_after=10, may_passivate=hook, on_ended=hook
    )
    await directory.ref("a").ask("word")
    await trio.sleep(25)
    assert list(directory) == ["a"]
    assert [record.message for record in caplog.records] == ["may_passivate raised for a"] * 2
    await directory.ref("a").kill()
    assert list(directory) == []
    assert caplog.records[-1].message == "on_ended raised for 'a'"
    assert all(record.exc_info for record in caplog.records)
    assert await directory.ref("a").ask("next life") == "next life"
    broken = False
    await trio.sleep(15)
    assert list(directory) == []


@guarantee(19)
@each_kind
async def test_a_name_that_cannot_be_made_fails_the_one_who_asked_for_it(
    kind: Callable[[], BaseException], system: ActorSystem
) -> None:
    def name(key: str) -> str:
        if key == "bad":
            raise kind()
        return key

    directory = Directory(system, lambda _: Performer(), name=name)
    for _ in range(2):
        with pytest.raises(ForeignFailure):
            directory.ref("bad")
    assert await directory.ref("good").ask("well") == "well"
    assert len(directory) == 1
