"""A mailbox that is full, and what goes first in it."""

from typing import Any, Literal

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from actor.troupe import Stage, hold
from wingman.actor import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    DeliveryState,
    Instrument,
    Mailbox,
    MailboxFull,
)

guarantee = pytest.mark.guarantee

Rule = Literal["wait", "refuse", "drop_oldest", "drop_newest"]
RULES: tuple[Rule, ...] = ("wait", "refuse", "drop_oldest", "drop_newest")


@attrs.frozen
class Alarm:
    number: int


@attrs.frozen
class FireAlarm(Alarm):
    pass


class Dropped(Instrument):
    """Remembers what gave way."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def message_dropped(self, ref: ActorRef, message: Any) -> None:
        self.messages.append(message)


@pytest.mark.parametrize("rule", ["refuse", "drop_newest"])
@pytest.mark.parametrize("way", ["ask", "submit"])
@guarantee(30)
async def test_what_wants_a_reply_is_refused_where_the_newest_gives_way(
    system: ActorSystem, rule: Rule, way: str
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=Mailbox(1, when_full=rule))
    held = await hold(ref)
    await ref.tell("first")
    if way == "ask":
        with pytest.raises(MailboxFull):
            await ref.ask("second")
    else:
        with pytest.raises(MailboxFull):
            ref.submit("second")
    held.release()
    await wait_all_tasks_blocked()
    assert await ref.ask("third") == "third"
    assert stage.seen == ["first", "third"]


@pytest.mark.parametrize("way", ["tell", "tell_nowait"])
@guarantee(30)
async def test_a_refusing_mailbox_refuses_what_is_told_and_keeps_what_waits(
    system: ActorSystem, way: str
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=Mailbox(1, when_full="refuse"))
    held = await hold(ref)
    await ref.tell("first")
    if way == "tell":
        with pytest.raises(MailboxFull):
            await ref.tell("second")
    else:
        with pytest.raises(MailboxFull):
            ref.tell_nowait("second")
    held.release()
    await wait_all_tasks_blocked()
    await ref.ask("third")
    assert stage.seen == ["first", "third"]


@pytest.mark.parametrize("way", ["tell", "tell_nowait"])
@guarantee(30)
async def test_the_newest_gives_way_and_is_counted_as_a_dead_letter(way: str) -> None:
    dropped, stage = Dropped(), Stage()
    async with ActorSystem(instruments=[dropped]) as system:
        ref = system.spawn(stage, mailbox=Mailbox(1, when_full="drop_newest"))
        held = await hold(ref)
        await ref.tell("first")
        if way == "tell":
            await ref.tell("second")
        else:
            ref.tell_nowait("second")
        assert dropped.messages == ["second"]
        assert system.dead_letters == 1
        held.release()
        await wait_all_tasks_blocked()
        await ref.ask("third")
    assert stage.seen == ["first", "third"]


@pytest.mark.parametrize("way", ["tell", "tell_nowait", "ask", "submit"])
@guarantee(30)
async def test_the_oldest_gives_way_and_whoever_waits_for_it_is_told(way: str) -> None:
    dropped, stage = Dropped(), Stage()
    async with ActorSystem(instruments=[dropped]) as system:
        ref = system.spawn(stage, mailbox=Mailbox(1, when_full="drop_oldest"))
        held = await hold(ref)
        oldest = ref.submit("oldest")
        async with trio.open_nursery() as nursery:
            if way == "tell":
                await ref.tell("newest")
            elif way == "tell_nowait":
                ref.tell_nowait("newest")
            elif way == "ask":
                nursery.start_soon(ref.ask, "newest")
                await wait_all_tasks_blocked()
            else:
                ref.submit("newest")
            assert oldest.state is DeliveryState.FAILED
            with pytest.raises(MailboxFull, match="gave way"):
                oldest.reply()
            assert dropped.messages == ["oldest"]
            assert system.dead_letters == 1
            held.release()
        await wait_all_tasks_blocked()
    assert stage.seen == ["newest"]


@guarantee(31)
async def test_urgent_messages_go_first_and_in_order_among_themselves(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=Mailbox(2, urgent=(Alarm,)))
    held = await hold(ref)
    await ref.tell("a")
    await ref.tell("b")
    await ref.tell(Alarm(1))
    ref.submit(FireAlarm(2))
    with pytest.raises(MailboxFull, match="2 urgent"):
        await ref.tell(Alarm(3))
    held.release()
    await ref.ask("c")
    assert stage.seen == [Alarm(1), FireAlarm(2), "a", "b", "c"]


@guarantee(32)
async def test_senders_that_wait_are_served_in_order_without_those_that_gave_up(
    system: ActorSystem,
) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=1)
    held = await hold(ref)
    await ref.tell(0)
    gives_up = trio.CancelScope()

    async def give_up() -> None:
        with gives_up:
            await ref.tell("given up")

    async with trio.open_nursery() as nursery:
        for number in (1, 2, 3):
            nursery.start_soon(ref.tell, number)
            await wait_all_tasks_blocked()
            if number == 1:
                nursery.start_soon(give_up)
                await wait_all_tasks_blocked()
        gives_up.cancel()
        await wait_all_tasks_blocked()
        held.release()
    await ref.ask("last")
    assert stage.seen == [0, 1, 2, 3, "last"]


async def test_senders_that_wait_hear_of_the_end(system: ActorSystem) -> None:
    ref = system.spawn(Stage(), mailbox=1)
    await hold(ref)
    await ref.tell(0)
    refused: list[str] = []

    async def send() -> None:
        with pytest.raises(ActorStopped):
            await ref.tell(1)
        refused.append("told")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        await ref.kill()
    assert refused == ["told", "told"]


@given(
    rule=st.sampled_from(RULES),
    capacity=st.integers(1, 4),
    sends=st.lists(st.sampled_from("abc"), max_size=20),
    yields=st.sets(st.integers(0, 20), max_size=6),
)
def test_what_is_not_dropped_keeps_its_senders_order(
    rule: Rule, capacity: int, sends: list[str], yields: set[int]
) -> None:
    stage, dropped = Stage(), Dropped()
    refused: list[Any] = []

    async def main() -> None:
        async with ActorSystem(instruments=[dropped]) as system:
            ref = system.spawn(stage, mailbox=Mailbox(capacity, when_full=rule))
            for number, sender in enumerate(sends):
                try:
                    ref.tell_nowait((sender, number))
                except MailboxFull:
                    refused.append((sender, number))
                if number in yields:
                    await wait_all_tasks_blocked()
            await wait_all_tasks_blocked()

    trio.run(main)
    assert stage.seen == sorted(stage.seen, key=lambda message: message[1])
    everything = [(sender, number) for number, sender in enumerate(sends)]
    assert sorted([*stage.seen, *dropped.messages, *refused], key=lambda m: m[1]) == everything
    assert not (refused and rule in ("drop_oldest", "drop_newest"))
