"""Actors against what one would write without them: queues of asyncio and Trio, and Pykka.

The asyncio contender is a task that reads a queue and sets the future that came with the message;
the channel contender reads a memory channel and answers on another. The actors have all their
machinery in place: supervision, a cancel scope around the work, deliveries, and the hooks for
instruments. The floor of an ask in Trio is two wake-ups of a task, which are measured as well.
"""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import trio
import trio.testing
from trio.lowlevel import checkpoint

from bench._report import Row
from bench._rounds import Comparison, Rounds, Stopwatch, Took
from wingman.actor import ActorSystem

try:
    import pykka
except ImportError:
    pykka = None

ASKS = 10_000
TELLS = 50_000
PER_TICK = 100
ACTORS = 5_000


class Echo:
    """The least that an actor can do."""

    async def receive(self, message: Any) -> Any:
        return message


# --- ask and reply: each contender makes one pair, and gives the way to ask -----------------------

Ask: TypeAlias = Callable[[Any], Awaitable[Any]]
Pair: TypeAlias = Callable[[ActorSystem], AbstractAsyncContextManager[Ask]]


@asynccontextmanager
async def actor_pair(system: ActorSystem) -> AsyncIterator[Ask]:
    yield system.spawn(Echo).ask


@asynccontextmanager
async def channel_pair(system: ActorSystem) -> AsyncIterator[Ask]:
    requests, mailbox = trio.open_memory_channel[Any](100)

    async def serve() -> None:
        async for message, reply in mailbox:
            await reply.send(message)

    async def ask(message: Any) -> Any:
        reply, answers = trio.open_memory_channel[Any](1)
        await requests.send((message, reply))
        return await answers.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)  # noqa: ASYNC113 the first ask waits for it
        yield ask
        nursery.cancel_scope.cancel()


async def asking(pair: Pair, pairs: int) -> Took:
    """One ask, with so many pairs at work."""

    async def work(ask: Ask) -> None:
        for number in range(ASKS // pairs):
            await ask(number)

    watch = Stopwatch()
    async with ActorSystem() as system, AsyncExitStack() as stack:
        asks = [await stack.enter_async_context(pair(system)) for _ in range(pairs)]
        for ask in asks:
            await ask("warm up")
        with watch.running():
            async with trio.open_nursery() as nursery:
                for ask in asks:
                    nursery.start_soon(work, ask)
    return watch.each(ASKS)


async def asking_asyncio(pairs: int) -> Took:
    """The same by asyncio's queues and futures."""
    loop = asyncio.get_running_loop()

    async def serve(requests: asyncio.Queue[Any]) -> None:
        while True:
            message, reply = await requests.get()
            reply.set_result(message)

    async def work(requests: asyncio.Queue[Any]) -> None:
        for number in range(ASKS // pairs):
            reply: asyncio.Future[Any] = loop.create_future()
            requests.put_nowait((number, reply))
            await reply

    queues: list[asyncio.Queue[Any]] = [asyncio.Queue() for _ in range(pairs)]
    servers = [loop.create_task(serve(queue)) for queue in queues]
    await asyncio.sleep(0)
    watch = Stopwatch()
    with watch.running():
        await asyncio.gather(*map(work, queues))
    for server in servers:
        server.cancel()
    await asyncio.gather(*servers, return_exceptions=True)
    return watch.each(ASKS)


async def waking_twice(pairs: int) -> Took:
    """The floor of an ask in Trio: one task wakes another and sleeps, and is woken by it."""

    async def sleep() -> None:
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)

    async def serve(asker: trio.lowlevel.Task, turns: int) -> None:
        for _ in range(turns):
            await sleep()
            trio.lowlevel.reschedule(asker)

    async def work(turns: int) -> None:
        asker = trio.lowlevel.current_task()
        server = trio.lowlevel.spawn_system_task(serve, asker, turns)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(turns):
            trio.lowlevel.reschedule(server)
            await sleep()

    watch = Stopwatch()
    with watch.running():
        async with trio.open_nursery() as nursery:
            for _ in range(pairs):
                nursery.start_soon(work, ASKS // pairs)
    return watch.each(ASKS)


def asking_pykka() -> Took:
    """One ask of one pair, each side on its thread."""
    echo = type("Echo", (pykka.ThreadingActor,), {"on_receive": lambda _, message: message})
    ref = echo.start()
    watch = Stopwatch()
    with watch.running():
        for number in range(ASKS):
            ref.ask(number)
    ref.stop()
    return watch.each(ASKS)


# --- buffered messages ----------------------------------------------------------------------------


async def telling() -> Took:
    """One message to an actor, so many a tick."""
    watch = Stopwatch()
    async with ActorSystem() as system:
        ref = system.spawn(Echo, mailbox=2 * PER_TICK)
        with watch.running():
            for _ in range(TELLS // PER_TICK):
                for number in range(PER_TICK):
                    ref.tell_nowait(number)
                await checkpoint()
            await ref.ask(None)
    return watch.each(TELLS)


async def sending() -> Took:
    """One message through a memory channel of the same size."""
    sender, receiver = trio.open_memory_channel[int](2 * PER_TICK)

    async def receive() -> None:
        async for _ in receiver:
            pass

    watch = Stopwatch()
    with watch.running():
        async with trio.open_nursery() as nursery, sender:
            nursery.start_soon(receive)
            for number in range(TELLS):
                await sender.send(number)
    return watch.each(TELLS)


# --- many idle actors -----------------------------------------------------------------------------


async def spawning() -> Took:
    """Spawn an actor, until all of them wait for messages."""
    watch = Stopwatch()
    async with ActorSystem() as system:
        with watch.running():
            await _crowd(system)
    return watch.each(ACTORS)


async def footprint() -> float:
    """Bytes of an idle actor: its task, its mailbox, its scopes and its name."""
    async with ActorSystem() as system:
        await system.spawn(Echo).ask(None)
        gc.collect()
        tracemalloc.start()
        try:
            await _crowd(system)
            gc.collect()
            return tracemalloc.get_traced_memory()[0] / ACTORS
        finally:
            tracemalloc.stop()


async def _crowd(system: ActorSystem) -> None:
    for _ in range(ACTORS):
        system.spawn(Echo)
    while any(info.state == "starting" for info in system.snapshot()):  # noqa: ASYNC110 no event
        await checkpoint()


# --- the report -----------------------------------------------------------------------------------


def measure(quick: bool) -> list[Row]:
    """Run all contenders in turns, and set them side by side."""
    contenders: dict[str, Callable[[], Took]] = {
        f"{who}, {pairs}": partial(how, pairs)
        for pairs in (1, 100)
        for who, how in {
            "ask": lambda pairs: trio.run(asking, actor_pair, pairs),
            "asyncio": lambda pairs: asyncio.run(asking_asyncio(pairs)),
            "channels": lambda pairs: trio.run(asking, channel_pair, pairs),
            "floor": lambda pairs: trio.run(waking_twice, pairs),
        }.items()
    }
    contenders["tell"] = partial(trio.run, telling)
    contenders["send"] = partial(trio.run, sending)
    contenders["spawn"] = partial(trio.run, spawning)
    if pykka is not None:
        contenders["pykka"] = asking_pykka
    rounds = Rounds(3 if quick else 11, tuple(contenders))
    found = Comparison([(name, contenders[name]()) for name in rounds])
    return [
        *_asks(found, 1, "one pair", "≥ 0.9"),
        *_asks(found, 100, "100 pairs", "≥ 0.8"),
        Row("buffered tell", found.each("tell", "cpu") * 1e6, "µs"),
        Row("buffered tell", found.speed("tell", "send", "cpu"), "×", "channel, received", "≥ 12"),
        Row("spawn", found.each("spawn", "cpu") * 1e6, "µs"),
        Row("idle actor", trio.run(footprint), "bytes", goal="≤ 6144"),
    ]


def _asks(found: Comparison, pairs: int, among: str, goal: str) -> list[Row]:
    ask, floor, queue = f"ask, {pairs}", f"floor, {pairs}", f"asyncio, {pairs}"
    by_channels = found.speed(ask, f"channels, {pairs}", "cpu")
    rows = [
        Row(f"ask, {among}", found.each(ask, "cpu") * 1e6, "µs"),
        Row(f"two wake-ups of Trio, {among}", found.each(floor, "cpu") * 1e6, "µs"),
        Row(f"ask, {among}", found.speed(ask, queue, "cpu"), "×", "asyncio queue", goal),
        Row(f"two wake-ups, {among}", found.speed(floor, queue, "cpu"), "×", "asyncio queue"),
        Row(f"ask, {among}", by_channels, "×", "channels", "≥ 1.6" if pairs == 1 else "≥ 2.2"),
    ]
    if pykka is not None and pairs == 1:
        rows.append(Row(f"ask, {among}", found.speed(ask, "pykka"), "×", "pykka", "≥ 2.2"))
    return rows
