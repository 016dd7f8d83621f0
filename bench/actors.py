"""Actors against what one would write without them: Trio's memory channels, and Pykka.

The channel contender is a task that reads a memory channel and answers on another that came with
the message, as one would write it by hand. The actors have all their machinery in place:
supervision, a cancel scope around the work, deliveries, and the hooks for instruments.
"""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import trio
from trio.lowlevel import checkpoint

from bench._report import Row
from wingman.actor import ActorSystem

try:
    import pykka
except ImportError:
    pykka = None

ROUNDS = 7
ASKS = 20_000
TELLS = 50_000
PER_TICK = 100
ACTORS = 10_000


class Echo:
    """The least that an actor can do."""

    async def receive(self, message: Any) -> Any:
        return message


# --- ask and reply: each contender makes one pair, and gives the way to ask --------------------


@asynccontextmanager
async def actor_pair(system: ActorSystem):
    yield system.spawn(Echo).ask


@asynccontextmanager
async def channel_pair(system: ActorSystem):
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


Pair = Callable[[ActorSystem], AbstractAsyncContextManager[Callable[[Any], Awaitable[Any]]]]


async def asking(pair: Pair, pairs: int) -> float:
    """Microseconds for one ask, with so many pairs at work."""

    async def work(ask: Callable[[Any], Awaitable[Any]]) -> None:
        for number in range(ASKS // pairs):
            await ask(number)

    async with ActorSystem() as system, AsyncExitStack() as stack:
        asks = [await stack.enter_async_context(pair(system)) for _ in range(pairs)]
        for ask in asks:
            await ask("warm up")
        begin = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for ask in asks:
                nursery.start_soon(work, ask)
        return (time.perf_counter() - begin) / ASKS * 1e6


async def asking_pykka() -> float:
    """Microseconds for one ask of one pair, each side on its thread."""
    echo = type("Echo", (pykka.ThreadingActor,), {"on_receive": lambda _, message: message})
    ref = echo.start()
    begin = time.perf_counter()
    for number in range(ASKS):
        ref.ask(number)
    taken = time.perf_counter() - begin
    ref.stop()
    await checkpoint()
    return taken / ASKS * 1e6


# --- buffered messages -------------------------------------------------------------------------


async def telling() -> float:
    """Microseconds for one message to an actor, so many a tick."""
    async with ActorSystem() as system:
        ref = system.spawn(Echo, mailbox=2 * PER_TICK)
        begin = time.perf_counter()
        for _ in range(TELLS // PER_TICK):
            for number in range(PER_TICK):
                ref.tell_nowait(number)
            await checkpoint()
        await ref.ask(None)
        return (time.perf_counter() - begin) / TELLS * 1e6


async def sending() -> float:
    """Microseconds for one message through a memory channel of the same size."""
    sender, receiver = trio.open_memory_channel[int](2 * PER_TICK)

    async def receive() -> None:
        async for _ in receiver:
            pass

    begin = time.perf_counter()
    async with trio.open_nursery() as nursery, sender:
        nursery.start_soon(receive)
        for number in range(TELLS):
            await sender.send(number)
    return (time.perf_counter() - begin) / TELLS * 1e6


# --- many idle actors --------------------------------------------------------------------------


async def spawning() -> float:
    """Microseconds to spawn an actor, until all of them wait for messages."""
    async with ActorSystem() as system:
        begin = time.perf_counter()
        await _crowd(system)
        return (time.perf_counter() - begin) / ACTORS * 1e6


async def spawning_with_a_patient_collector() -> float:
    """The same with a garbage collector as the server sets it."""
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 50, 1_000)
    try:
        return await spawning()
    finally:
        gc.set_threshold(*usual)


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


# --- the report --------------------------------------------------------------------------------


def measure() -> list[Row]:
    """Run all contenders in turns, and set them side by side."""
    contenders: dict[str, Callable[[], Awaitable[float]]] = {
        "ask, one pair": partial(asking, actor_pair, 1),
        "channels, one pair": partial(asking, channel_pair, 1),
        "ask, 100 pairs": partial(asking, actor_pair, 100),
        "channels, 100 pairs": partial(asking, channel_pair, 100),
        "buffered tell": telling,
        "channel send and receive": sending,
        "spawn": spawning,
        "spawn, patient collector": spawning_with_a_patient_collector,
    }
    if pykka is not None:
        contenders["pykka ask"] = asking_pykka
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            taken[name].append(trio.run(contender))
    medians = {name: statistics.median(times) for name, times in taken.items()}

    def ratio(name: str, to: str, goal: str) -> Row:
        return Row(to, medians[to] / medians[name], "×", name, goal)

    rows = [Row(name, median, "µs") for name, median in medians.items()]
    rows += [
        Row("idle actor", trio.run(footprint), "bytes", goal="≤ 6144"),
        ratio("ask, one pair", "channels, one pair", "≥ 1.6"),
        ratio("ask, 100 pairs", "channels, 100 pairs", "≥ 2.2"),
        ratio("buffered tell", "channel send and receive", "≥ 12"),
    ]
    if pykka is not None:
        rows.append(ratio("ask, one pair", "pykka ask", "≥ 2.2"))
    return rows
