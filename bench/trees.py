"""What one builds of actors: many of them, in trees, groups and pools, and their restarts.

The contenders are what one would write without them: a task with a memory channel in a nursery of
Trio, a task with a queue of asyncio, an actor of Pykka, which is a thread.
"""

import asyncio
import gc
import logging
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import trio
import trio.testing

from bench._report import Row
from bench._rounds import Comparison, Rounds, Stopwatch, Took
from bench.actors import Echo

try:
    import pykka
except ImportError:
    pykka = None

from wingman.actor import ActorRef, ActorSystem, Backoff, Context, Mailbox, Restart

LIVES = 2_000
THREADS = 100
CRASHES = 1_000
MEMBERS = 100
BROADCASTS = 300
WORKERS = 8
ASKS = 4_000
BRANCHES, LEAVES = 100, 999

# --- from the start of an actor to its end --------------------------------------------------------


async def living() -> Took:
    """Spawn an actor, ask it once, and stop it."""
    watch = Stopwatch()
    async with ActorSystem() as system:
        with watch.running():
            refs = [system.spawn(Echo) for _ in range(LIVES)]
            for ref in refs:
                await ref.ask(None)
            for ref in refs:
                await ref.stop()
    return watch.each(LIVES)


async def living_by_channels() -> Took:
    """The same of a task that reads a channel and answers on another."""

    async def serve(requests: trio.MemoryReceiveChannel[Any]) -> None:
        async with requests:
            async for message, reply in requests:
                await reply.send(message)

    watch = Stopwatch()
    with watch.running():
        async with trio.open_nursery() as nursery:
            senders = []
            for _ in range(LIVES):
                sender, receiver = trio.open_memory_channel[Any](100)
                nursery.start_soon(serve, receiver)
                senders.append(sender)
            for sender in senders:
                reply, answers = trio.open_memory_channel[Any](1)
                await sender.send((None, reply))
                await answers.receive()
            for sender in senders:
                await sender.aclose()
    return watch.each(LIVES)


async def living_by_asyncio() -> Took:
    """The same of asyncio's tasks and queues."""
    loop = asyncio.get_running_loop()

    async def serve(requests: asyncio.Queue[Any]) -> None:
        while (item := await requests.get()) is not None:
            item[1].set_result(item[0])

    watch = Stopwatch()
    with watch.running():
        queues: list[asyncio.Queue[Any]] = [asyncio.Queue() for _ in range(LIVES)]
        tasks = [loop.create_task(serve(queue)) for queue in queues]
        for queue in queues:
            reply: asyncio.Future[Any] = loop.create_future()
            queue.put_nowait((None, reply))
            await reply
        for queue in queues:
            queue.put_nowait(None)
        await asyncio.gather(*tasks)
    return watch.each(LIVES)


def living_by_pykka() -> Took:
    """The same of Pykka's actors."""
    echo = type("Echo", (pykka.ThreadingActor,), {"on_receive": lambda _, message: message})
    watch = Stopwatch()
    with watch.running():
        refs = [echo.start() for _ in range(THREADS)]
        for ref in refs:
            ref.ask(None)
        for ref in refs:
            ref.stop()
    return watch.each(THREADS)


# --- restarts -------------------------------------------------------------------------------------


class Fragile:
    """Crashes on whatever it is sent."""

    async def receive(self, message: Any) -> None:
        raise ValueError(message)


async def restarting() -> Took:
    """One crash and the restart after it, without a delay."""
    again = Restart(max_restarts=10 * CRASHES, backoff=Backoff(initial=0))
    watch = Stopwatch()
    async with ActorSystem() as system:
        ref = system.spawn(Fragile, mailbox=CRASHES, supervision=again)
        with watch.running():
            for number in range(CRASHES):
                ref.tell_nowait(number)
            await trio.testing.wait_all_tasks_blocked()
    return watch.each(CRASHES)


# --- groups and pools -----------------------------------------------------------------------------


async def broadcasting() -> Took:
    """One message to one member of a group, which is sent to all of them."""
    watch = Stopwatch()
    async with ActorSystem() as system:
        group = system.group("crew")
        for _ in range(MEMBERS):
            group.join(system.spawn(Echo, mailbox=Mailbox(BROADCASTS)))
        await trio.testing.wait_all_tasks_blocked()
        with watch.running():
            for number in range(BROADCASTS):
                group.broadcast(number)
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
    return watch.each(BROADCASTS * MEMBERS)


async def broadcasting_by_channels() -> Took:
    """The same into memory channels, each with a task that reads it."""

    async def read(receiver: trio.MemoryReceiveChannel[int]) -> None:
        async for _ in receiver:
            pass

    watch = Stopwatch()
    async with trio.open_nursery() as nursery:
        senders = []
        for _ in range(MEMBERS):
            sender, receiver = trio.open_memory_channel[int](BROADCASTS)
            nursery.start_soon(read, receiver)
            senders.append(sender)
        await trio.testing.wait_all_tasks_blocked()
        with watch.running():
            for number in range(BROADCASTS):
                for sender in senders:
                    sender.send_nowait(number)
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return watch.each(BROADCASTS * MEMBERS)


async def asking(spawn: Callable[[ActorSystem], ActorRef]) -> Took:
    """One ask, of several tasks at once, to one reference."""

    async def work(ref: ActorRef) -> None:
        for number in range(ASKS // WORKERS):
            await ref.ask(number)

    watch = Stopwatch()
    async with ActorSystem() as system:
        ref = spawn(system)
        await ref.ask(None)
        with watch.running():
            async with trio.open_nursery() as nursery:
                for _ in range(WORKERS):
                    nursery.start_soon(work, ref)
    return watch.each(ASKS)


# --- a tree ---------------------------------------------------------------------------------------


class Branch:
    """An actor with many children."""

    def __init__(self, context: Context[Any]) -> None:
        for _ in range(LEAVES):
            context.spawn(Echo)

    async def receive(self, message: Any) -> Any:
        return message


async def growing(branches: int) -> tuple[Took, Took]:
    """A tree of so many branches and their leaves: until all are there, and until all have ended.

    The figures are those of one actor.
    """
    start, end = Stopwatch(), Stopwatch()
    async with ActorSystem() as system:
        with start.running():
            refs = [system.spawn(Branch) for _ in range(branches)]
            await trio.testing.wait_all_tasks_blocked()
        with end.running():
            async with trio.open_nursery() as nursery:
                for ref in refs:
                    nursery.start_soon(ref.stop)
        assert not system.snapshot()
    count = branches * (LEAVES + 1)
    return start.each(count), end.each(count)


async def footprint(branches: int) -> float:
    """Bytes of one idle actor in such a tree."""
    async with ActorSystem() as system:
        await system.spawn(Echo).ask(None)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(branches):
                system.spawn(Branch)
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            return tracemalloc.get_traced_memory()[0] / (branches * (LEAVES + 1))
        finally:
            tracemalloc.stop()


def measure(quick: bool) -> list[Row]:
    """Run all contenders in turns, and set them side by side."""
    contenders: dict[str, Callable[[], Took]] = {
        "life": partial(trio.run, living),
        "life, channels": partial(trio.run, living_by_channels),
        "life, asyncio": lambda: asyncio.run(living_by_asyncio()),
        "restart": partial(trio.run, _without_log(restarting)),
        "group": partial(trio.run, broadcasting),
        "group, channels": partial(trio.run, broadcasting_by_channels),
        "ask": partial(trio.run, asking, lambda system: system.spawn(Echo)),
        "pool": partial(trio.run, asking, lambda system: system.spawn_pool(Echo, WORKERS)),
    }
    if pykka is not None:
        contenders["life, pykka"] = living_by_pykka
    rounds = Rounds(3 if quick else 11, tuple(contenders))
    found = Comparison([(name, contenders[name]()) for name in rounds])
    branches = BRANCHES // 10 if quick else BRANCHES
    start, end = trio.run(growing, branches)
    actors = branches * (LEAVES + 1)
    rows = [
        Row("spawn, ask, stop", found.each("life", "cpu") * 1e6, "µs"),
        Row("spawn, ask, stop", found.speed("life", "life, channels", "cpu"), "×", "channels"),
        Row("spawn, ask, stop", found.speed("life", "life, asyncio", "cpu"), "×", "asyncio"),
        Row("crash and restart", found.each("restart", "cpu") * 1e6, "µs"),
        Row("broadcast, a member", found.each("group", "cpu") * 1e6, "µs"),
        Row("broadcast", found.speed("group", "group, channels", "cpu"), "×", "channels"),
        Row(f"ask a pool of {WORKERS}", found.each("pool", "cpu") * 1e6, "µs"),
        Row(f"ask a pool of {WORKERS}", found.speed("pool", "ask", "cpu"), "×", "one actor"),
        Row(f"{actors:,} actors in a tree, start", start.seconds * actors, "s"),
        Row(f"{actors:,} actors in a tree, end", end.seconds * actors, "s"),
        Row("an idle actor in a tree", trio.run(footprint, branches // 5), "bytes"),
    ]
    if pykka is not None:
        pykkas = found.speed("life", "life, pykka", "cpu")
        rows.insert(3, Row("spawn, ask, stop", pykkas, "×", "pykka"))
    return rows


def _without_log(function: Callable[[], Any]) -> Callable[[], Any]:
    """What the runtime logs of crashes is not what is measured."""

    async def quiet() -> Any:
        logger = logging.getLogger("wingman.actor")
        before, logger.disabled = logger.disabled, True
        try:
            return await function()
        finally:
            logger.disabled = before

    return quiet
