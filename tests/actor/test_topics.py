"""Topics: a slow subscriber loses by the stated policy, and slows nobody."""

from typing import Any

import pytest
import trio

from actor.troupe import AT_ONCE, Performer, hold, raising
from wingman.actor import ActorError, ActorSystem, Context, Topic


class Listener(Performer):
    """Hears a topic."""

    def __init__(self, context: Context[Any], topic: Topic[Any], **options: Any) -> None:
        super().__init__()
        self.subscription = context.subscribe(topic, **options)


async def settled() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_every_subscriber_gets_what_is_published_in_order(system: ActorSystem) -> None:
    topic = Topic[int]("numbers")
    heard: list[Listener] = []

    def listener(context: Context[Any]) -> Listener:
        heard.append(Listener(context, topic))
        return heard[-1]

    for _ in range(3):
        system.spawn(listener)
    await settled()
    for number in range(5):
        topic.publish(number)
    await settled()
    assert [each.seen for each in heard] == [[0, 1, 2, 3, 4]] * 3


@pytest.mark.parametrize(("when_full", "kept"), [("drop_oldest", [3, 4]), ("drop_newest", [0, 1])])
async def test_a_slow_actor_loses_by_its_policy_and_other_messages_are_not_touched(
    system: ActorSystem, when_full: Any, kept: list[int]
) -> None:
    topic = Topic[int]("numbers")
    heard: list[Listener] = []

    def listener(context: Context[Any]) -> Listener:
        heard.append(Listener(context, topic, capacity=2, when_full=when_full))
        return heard[-1]

    ref = system.spawn(listener, mailbox=1)
    held = await hold(ref)
    ref.tell_nowait("mine")
    for number in range(5):
        topic.publish(number)
    held.release()
    await settled()
    assert heard[0].seen == ["mine", *kept]
    assert heard[0].subscription.lost == 3


async def test_a_subscription_ends_with_the_life_of_its_actor(system: ActorSystem) -> None:
    topic = Topic[int]("numbers")
    ref = system.spawn(lambda context: Listener(context, topic), supervision=AT_ONCE)
    await ref.ask("ready")
    with pytest.raises(ValueError, match="crash"):
        await ref.ask(raising(ValueError("crash")))
    await ref.ask("again")
    assert len(topic) == 1, "the new life's alone"
    await ref.stop()
    assert len(topic) == 0
    topic.publish(1)


async def test_an_actor_hears_no_more_after_it_has_cancelled(system: ActorSystem) -> None:
    topic = Topic[int]("numbers")
    heard: list[Listener] = []

    def listener(context: Context[Any]) -> Listener:
        heard.append(Listener(context, topic))
        return heard[-1]

    ref = system.spawn(listener)
    held = await hold(ref)
    topic.publish(1)
    heard[0].subscription.cancel()
    topic.publish(2)
    held.release()
    await ref.ask("end")
    assert heard[0].seen == ["end"]


async def test_a_task_reads_a_subscription_and_a_slow_one_loses_the_oldest() -> None:
    topic = Topic[int]("numbers")
    async with topic.subscribe(capacity=2) as news:
        for number in range(5):
            topic.publish(number)
        topic.close()
        assert [number async for number in news] == [3, 4]
        assert news.lost == 3
    assert len(topic) == 0


async def test_a_task_that_waits_is_woken_and_one_that_is_cancelled_loses_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    topic = Topic[int]("numbers")
    read: list[int] = []

    async def reader() -> None:
        async with topic.subscribe() as news:
            with trio.move_on_after(1):
                async for number in news:
                    read.append(number)  # noqa: PERF401 it is cancelled in between
            topic.publish(2)
            read.append(await anext(news))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        topic.publish(1)
    assert read == [1, 2]


async def test_a_closed_topic_takes_nothing() -> None:
    topic = Topic[int]("numbers")
    topic.close()
    with pytest.raises(ActorError, match="'numbers' is closed"):
        topic.publish(1)
    with pytest.raises(ActorError, match="'numbers' is closed"):
        async with topic.subscribe():
            pass


@pytest.mark.parametrize(
    ("options", "words"),
    [({"capacity": 0}, "room for a message"), ({"when_full": "wait"}, "'drop_oldest'")],
)
def test_a_subscription_that_makes_no_sense_is_refused(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Topic[int]().subscribe(**options)
