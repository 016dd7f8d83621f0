"""Messages that an actor puts aside until it is ready."""

from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

from actor.troupe import AT_ONCE
from wingman.actor import (
    ActorError,
    ActorStopped,
    ActorSystem,
    Context,
    DeliveryState,
    MailboxFull,
)

guarantee = pytest.mark.guarantee


class Door:
    """Puts everything aside until it is opened."""

    seen: list[Any]

    def __init__(self, context: Context[Any], seen: list[Any]) -> None:
        self.context = context
        self.seen = seen
        self.open = False

    async def receive(self, message: Any) -> Any:
        if message == "open":
            self.open = True
            self.context.unstash()
        elif message == "crash":
            raise RuntimeError("crash")
        elif message == "stash and crash":
            self.context.stash()
            raise RuntimeError("crash")
        elif not self.open:
            self.context.stash()
        else:
            self.seen.append(message)
        return message


@guarantee(33)
async def test_what_was_put_aside_comes_back_in_front_and_in_order(system: ActorSystem) -> None:
    seen: list[Any] = []
    ref = system.spawn(lambda context: Door(context, seen))
    first, second = ref.submit(1), ref.submit(2)
    await wait_all_tasks_blocked()
    assert first.state is DeliveryState.QUEUED
    ref.tell_nowait("open")
    ref.tell_nowait(3)
    assert await second.wait() is DeliveryState.DONE
    assert first.reply() == 1
    await ref.ask(4)
    assert seen == [1, 2, 3, 4]


@guarantee(33)
async def test_no_more_is_put_aside_than_the_mailbox_holds(system: ActorSystem) -> None:
    ref = system.spawn(lambda context: Door(context, []), mailbox=2, expected=(MailboxFull,))
    ref.submit(1)
    ref.submit(2)
    await wait_all_tasks_blocked()
    with pytest.raises(MailboxFull, match="aside"):
        await ref.ask(3)


async def test_a_delivery_that_was_put_aside_can_be_cancelled(system: ActorSystem) -> None:
    seen: list[Any] = []
    ref = system.spawn(lambda context: Door(context, seen))
    first, second = ref.submit(1), ref.submit(2)
    await wait_all_tasks_blocked()
    first.cancel()
    assert first.state is DeliveryState.CANCELLED
    await ref.ask("open")
    await second.wait()
    assert seen == [2]


@guarantee(34)
async def test_a_message_is_not_put_aside_if_receive_raises(system: ActorSystem) -> None:
    seen: list[Any] = []
    ref = system.spawn(lambda context: Door(context, seen), supervision=AT_ONCE)
    with pytest.raises(RuntimeError, match="crash"):
        await ref.ask("stash and crash")
    await ref.ask("open")
    await ref.ask(1)
    assert seen == [1]


@guarantee(34)
async def test_a_restart_puts_back_what_was_put_aside(system: ActorSystem) -> None:
    lives: list[Door] = []

    def make(context: Context[Any]) -> Door:
        lives.append(Door(context, []))
        lives[-1].open = len(lives) > 1
        return lives[-1]

    ref = system.spawn(make, supervision=AT_ONCE)
    first = ref.submit(1)
    await wait_all_tasks_blocked()
    ref.tell_nowait("crash")
    ref.tell_nowait(2)
    assert await first.wait() is DeliveryState.DONE
    await ref.ask(3)
    assert [life.seen for life in lives] == [[], [1, 2, 3]]


@guarantee(34)
async def test_what_is_aside_at_the_end_is_refused_and_a_dead_letter(system: ActorSystem) -> None:
    ref = system.spawn(lambda context: Door(context, []))
    aside = ref.submit(1)
    await wait_all_tasks_blocked()
    await ref.stop()
    with pytest.raises(ActorStopped):
        aside.reply()
    assert system.dead_letters == 1


async def test_putting_aside_outside_of_a_message_is_an_error(system: ActorSystem) -> None:
    contexts: list[Context[Any]] = []

    def make(context: Context[Any]) -> Door:
        contexts.append(context)
        return Door(context, [])

    system.spawn(make)
    await wait_all_tasks_blocked()
    with pytest.raises(ActorError, match="processes no message"):
        contexts[0].stash()
