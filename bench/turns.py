"""Turns in process: the runtime's own share of a run, with a model that costs nothing.

A turn is one message to one session: admission, the actor, the loop, the events, the result. The
yardstick is what no turn in Trio can do without: one ask and reply over memory channels. Each round
has new sessions; the process's collector is set as `wingman serve` sets it.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import trio

from bench._models import NAPS, TEXT, TOOLS
from bench._report import Row
from bench._rounds import Comparison, Stopwatch, Took, compare
from bench._servers import as_served
from wingman import Agent, Runtime, Session

TURNS = 5
"""Of each session."""


async def creating(runtime: Runtime, count: int) -> Took:
    """Create a session, one after the other."""
    watch = Stopwatch()
    with watch.running():
        sessions = [await runtime.create_session(TEXT) for _ in range(count)]
    await _delete(runtime, sessions)
    return watch.each(count)


async def one_at_a_time(runtime: Runtime, agent: Agent, sessions: int, times: int = TURNS) -> Took:
    """A turn in each of so many new sessions, one after the other, and again."""
    watch = Stopwatch()
    fresh = [await runtime.create_session(agent) for _ in range(sessions)]
    with watch.running():
        for _ in range(times):
            for session in fresh:
                await session.run("go")
    await _delete(runtime, fresh)
    return watch.each(sessions * times)


async def all_at_once(runtime: Runtime, agent: Agent, sessions: int) -> Took:
    """Turns in all of so many new sessions at once."""

    async def talk(session: Session) -> None:
        for _ in range(TURNS):
            await session.run("go")

    watch = Stopwatch()
    fresh = [await runtime.create_session(agent) for _ in range(sessions)]
    with watch.running():
        async with trio.open_nursery() as nursery:
            for session in fresh:
                nursery.start_soon(talk, session)
    await _delete(runtime, fresh)
    return watch.each(sessions * TURNS)


async def _delete(runtime: Runtime, sessions: list[Session]) -> None:
    for session in sessions:
        await runtime.delete(session.id)


async def asking(count: int) -> Took:
    """Ask and reply over memory channels."""
    requests, mailbox = trio.open_memory_channel[Any](100)

    async def serve() -> None:
        async with mailbox:
            async for message, reply in mailbox:
                await reply.send(message)

    watch = Stopwatch()
    async with trio.open_nursery() as nursery, requests:
        nursery.start_soon(serve)
        with watch.running():
            for number in range(count):
                reply, answers = trio.open_memory_channel[Any](1)
                await requests.send((number, reply))
                await answers.receive()
    return watch.each(count)


async def _measured(quick: bool) -> Comparison:
    count = 20 if quick else 100
    agents = [TEXT, TOOLS, NAPS]
    with tempfile.TemporaryDirectory() as directory:
        async with (
            Runtime(agents=agents) as memory,
            Runtime(Path(directory, "bench.db"), agents=agents) as durable,
        ):
            return await compare(
                {
                    "channels": partial(asking, 20 * count),
                    "text": partial(one_at_a_time, memory, TEXT, count),
                    "tools": partial(one_at_a_time, memory, TOOLS, count),
                    "durable": partial(one_at_a_time, durable, TEXT, count),
                    "64 durable": partial(all_at_once, durable, TEXT, 64),
                    "create": partial(creating, durable, count),
                    "naps": partial(one_at_a_time, memory, NAPS, 1, times=1),
                },
                rounds=3 if quick else 11,
                yardstick="channels",
            )


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some seconds."""
    with as_served():
        found = trio.run(_measured, quick)
    turns = {
        "text": "text turn",
        "tools": "tool turn, one call",
        "durable": "durable text turn, one at a time",
        "64 durable": "durable text turn, 64 at once",
        "create": "create_session, durable",
    }
    rows = [Row("ask and reply over channels, CPU", found.each("channels", "cpu") * 1e6, "µs")]
    for key, name in turns.items():
        rows += [
            Row(f"{name}, CPU", found.each(key, "cpu") * 1e6, "µs"),
            Row(f"{name}, CPU", found.dearness(key, by="cpu"), "×", "ask over channels"),
            Row(f"{name}", found.rate(key), "a second"),
        ]
    naps = Row("turn with 8 tools of 50 ms", found.each("naps") * 1e3, "ms", goal="≤ 52")
    return [*rows, naps]
