"""What one does wrong with actors, and the sentence that says what to do."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actor.troupe import Performer
from wingman.actor import (
    ActorError,
    ActorRef,
    ActorStopped,
    ActorSystem,
    Context,
    Directory,
    Mailbox,
    NotAnActor,
    Restart,
)

guarantee = pytest.mark.guarantee


class Plain:
    """Its `receive` is not async."""

    def receive(self, message: Any) -> Any:
        return message


class Passing:
    """Its `receive` is not async, and returns something to await."""

    def receive(self, message: Any) -> Awaitable[Any]:
        return Performer().receive(message)


class Needy(Performer):
    """It needs more than a context."""

    def __init__(self, context: Context[Any], second: int) -> None:
        super().__init__()


async def make_later() -> Performer:
    return Performer()


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (Performer(), "give a factory, such as the class Performer itself"),
        (object(), "give a factory"),
        (None, "give a factory"),
        (make_later, "await in the object's __aenter__"),
        (partial(make_later), "await in the object's __aenter__"),
        (Needy, "functools.partial"),
        (lambda context, second, third: Performer(), "functools.partial"),
        (object, "it needs `async def receive"),
    ],
)
@guarantee(36)
async def test_what_makes_no_actor_is_refused_at_once(
    system: ActorSystem, factory: Any, sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        system.spawn(factory)
    with pytest.raises(TypeError, match=sentence):
        system.spawn_pool(factory, 2)
    assert not system.snapshot()


@pytest.mark.parametrize("factory", [Plain, object, lambda: Plain(), lambda: None])
@guarantee(36)
async def test_what_turns_out_to_be_no_actor_crashes_once_and_is_logged_once(
    system: ActorSystem, factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if factory is object:
        factory = partial(object)
    with caplog.at_level(logging.WARNING, "wingman.actor"):
        ref = system.spawn(factory)
        with pytest.raises((NotAnActor, ActorStopped), match="async def receive"):
            await ref.ask("hello")
        termination = await ref.wait_stopped()
    assert isinstance(termination.error, NotAnActor)
    assert len(caplog.records) == 1
    assert "async def receive" in caplog.text


async def test_a_plain_receive_may_return_what_is_to_be_awaited(system: ActorSystem) -> None:
    ref = system.spawn(cast("Any", Passing))
    assert await ref.ask("hello") == "hello"


async def test_a_name_that_is_taken_is_refused(system: ActorSystem) -> None:
    system.spawn(Performer, name="one")
    with pytest.raises(ValueError, match="one"):
        system.spawn(Performer, name="one")


async def test_nothing_is_spawned_after_the_end() -> None:
    contexts: list[Context[Any]] = []

    def make(context: Context[Any]) -> Performer:
        contexts.append(context)
        return Performer()

    async with ActorSystem() as system:
        await system.spawn(make).ask("hello")
    with pytest.raises(RuntimeError, match="is not open: use `async with"):
        system.spawn(Performer)
    with pytest.raises(ActorStopped, match="has ended"):
        contexts[0].spawn(Performer)
    for act in (contexts[0].unstash, contexts[0].stash, contexts[0].stop):
        with pytest.raises(ActorStopped, match="has ended"):
            act()


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_mailbox_has_room(capacity: int) -> None:
    with pytest.raises(ValueError, match="room for at least one"):
        Mailbox(capacity)


@pytest.mark.parametrize("when_full", ["x", "", None])
def test_a_rule_that_there_is_not_is_refused(when_full: Any) -> None:
    with pytest.raises(ValueError, match="drop_oldest"):
        Mailbox(1, when_full=when_full)


@pytest.mark.parametrize("urgent", [[int], "int", (3,), int])
def test_urgent_takes_a_tuple_of_classes(urgent: Any) -> None:
    with pytest.raises(TypeError, match="tuple"):
        Mailbox(1, urgent=urgent)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), float("-inf")])
async def test_a_time_is_finite_and_not_negative(system: ActorSystem, seconds: float) -> None:
    contexts: list[Context[Any]] = []

    def make(context: Context[Any]) -> Performer:
        contexts.append(context)
        return Performer()

    system.spawn(make)
    await wait_all_tasks_blocked()
    for act in (contexts[0].after, contexts[0].every):
        with pytest.raises(ValueError, match="finite and"):
            act(seconds, "tick")
    with pytest.raises(ValueError, match="more than 0"):
        contexts[0].every(0, "tick")
    with pytest.raises(ValueError, match="finite and"):
        system.spawn(Performer, stop_within=seconds)
    with pytest.raises(ValueError, match="finite and"):
        system.spawn(Performer, start_within=seconds)
    with pytest.raises(ActorError, match="cannot watch itself"):
        contexts[0].watch(contexts[0].ref)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_strategy_needs_siblings(system: ActorSystem, strategy: Any) -> None:
    with pytest.raises(ValueError, match="spawn them by the parent's context"):
        system.spawn(Performer, supervision=Restart(strategy=strategy))


def test_an_actor_of_another_run_is_not_watched() -> None:
    others: list[ActorRef] = []

    async def one() -> None:
        async with ActorSystem() as system:
            others.append(system.spawn(Performer))

    class Watcher(Performer):
        def __init__(self, context: Context[Any]) -> None:
            super().__init__()
            with pytest.raises(ActorError, match=r"another trio\.run"):
                context.watch(others[0])

    async def two() -> None:
        async with ActorSystem() as system:
            assert await system.spawn(Watcher).ask("alive") == "alive"

    trio.run(one)
    trio.run(two)


def _under_asyncio(act: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> None:
        await act()

    asyncio.run(main())


def _in_a_thread(act: Callable[[], Awaitable[Any]]) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act().__await__().send(None)  # type: ignore[attr-defined]
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    raise raised[0]


@pytest.mark.parametrize("where", [_under_asyncio, _in_a_thread])
def test_where_no_trio_runs_an_actor_says_so(where: Callable[[Any], None]) -> None:
    refs: list[ActorRef] = []

    async def main() -> None:
        async with ActorSystem() as system:
            refs.append(system.spawn(Performer))

    trio.run(main)
    for act in (partial(refs[0].tell, 1), partial(refs[0].ask, 1), refs[0].stop):
        with pytest.raises(RuntimeError, match=r"[Tt]rio"):
            where(act)


@pytest.mark.parametrize("capacity", ["3", 2.5, True, None])
def test_a_capacity_is_a_whole_number(capacity: Any) -> None:
    with pytest.raises(TypeError, match="a number of messages"):
        Mailbox(capacity)


@pytest.mark.parametrize("way", ["spawn", "spawn_pool", "directory"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"supervision": "restart"}, r"Restart\(\), Stop\(\) or Escalate\(\)"),
        ({"supervision": Restart}, r"Restart\(\), Stop\(\) or Escalate\(\)"),
        ({"expected": [ValueError]}, "a tuple of classes of exceptions"),
        ({"expected": ("ValueError",)}, "a tuple of classes of exceptions"),
        ({"expected": (SystemExit,)}, "a tuple of classes of exceptions"),
    ],
)
async def test_what_says_nothing_of_crashes_is_refused(
    system: ActorSystem, way: str, options: Any, words: str
) -> None:
    begin: dict[str, Callable[..., Any]] = {
        "spawn": partial(system.spawn, Performer),
        "spawn_pool": partial(system.spawn_pool, Performer, 2),
        "directory": partial(Directory, system, lambda _: Performer()),
    }
    with pytest.raises(TypeError, match=words):
        begin[way](**options)
