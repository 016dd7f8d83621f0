"""Turns in process: the runtime's own share of a run, with a model that answers at once.

A turn is one message to one session: admission, the actor, the loop, the events, the result. The
yardstick is what no turn in Trio can do without: one ask and reply over memory channels.
"""

import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from bench._report import Row
from wingman import Agent, Runtime, Session, tool
from wingman.providers import Request, Scripted, ToolCalls
from wingman.providers.scripted import Item

ROUNDS = 5
SESSIONS = 200
ASKS = 5_000
SLEEP = 0.05


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def nap() -> str:
    """Sleep for 50 ms."""
    await trio.sleep(SLEEP)
    return "slept"


def answers(request: Request) -> Item:
    """The model of a text turn."""
    return "A short answer."


def calls_then_answers(request: Request) -> Item:
    """The model of a tool turn: one call, then the answer."""
    if request.messages[-1].text:
        return ToolCalls(("add", {"a": 1, "b": 2}))
    return "Three."


def eight_naps(request: Request) -> Item:
    """The model of a turn with eight parallel calls."""
    if request.messages[-1].text:
        return ToolCalls(*[("nap", {})] * 8)
    return "Rested."


TEXT = Agent("text", provider=Scripted(answers))
TOOLS = Agent("tools", provider=Scripted(calls_then_answers), tools=[add])
NAPS = Agent("naps", provider=Scripted(eight_naps), tools=[nap])


async def seconds_each(sessions: list[Session]) -> float:
    """One turn in each session, one after the other."""
    begin = time.perf_counter()
    for session in sessions:
        await session.run("go")
    return (time.perf_counter() - begin) / len(sessions)


async def seconds_together(sessions: list[Session]) -> float:
    """One turn in each session, all at once; per turn."""
    begin = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for session in sessions:
            nursery.start_soon(session.run, "go")
    return (time.perf_counter() - begin) / len(sessions)


async def channel_ask() -> float:
    """Ask and reply over memory channels; per ask."""
    requests, mailbox = trio.open_memory_channel[Any](100)

    async def serve() -> None:
        async with mailbox:
            async for message, reply in mailbox:
                await reply.send(message)

    async with trio.open_nursery() as nursery, requests:
        nursery.start_soon(serve)
        begin = time.perf_counter()
        for number in range(ASKS):
            reply, answers_to = trio.open_memory_channel[Any](1)
            await requests.send((number, reply))
            await answers_to.receive()
        end = time.perf_counter()
    return (end - begin) / ASKS


async def interleaved(contenders: dict[str, Callable[[], Awaitable[float]]]) -> dict[str, float]:
    """The median of each, measured in turns so that the machine's moods hit all alike."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, measure_one in contenders.items():
            times[name].append(await measure_one())
    return {name: statistics.median(values) for name, values in times.items()}


async def _measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        durable_store = Path(directory, "bench.db")
        async with (
            Runtime(agents=[TEXT, TOOLS, NAPS]) as memory,
            Runtime(durable_store, agents=[TEXT]) as durable,
        ):

            async def fresh(runtime: Runtime, agent: Agent) -> list[Session]:
                return [await runtime.create_session(agent) for _ in range(SESSIONS)]

            text, tools = await fresh(memory, TEXT), await fresh(memory, TOOLS)
            lasting = await fresh(durable, TEXT)
            naps = [await memory.create_session(NAPS)]
            medians = await interleaved(
                {
                    "channel": channel_ask,
                    "text": partial(seconds_each, text),
                    "tools": partial(seconds_each, tools),
                    "durable": partial(seconds_together, lasting),
                    "naps": partial(seconds_each, naps),
                }
            )
    channel = medians["channel"]
    return [
        Row("ask and reply over channels", channel * 1e6, "µs"),
        Row("text turn", medians["text"] * 1e6, "µs"),
        Row("text turn", medians["text"] / channel, "×", "ask over channels"),
        Row("text turns", 1 / medians["text"], "a second"),
        Row("tool turn, one call", medians["tools"] * 1e6, "µs"),
        Row("tool turns", 1 / medians["tools"], "a second"),
        Row(f"durable text turn, {SESSIONS} at once", medians["durable"] * 1e6, "µs"),
        Row("turn with 8 tools of 50 ms", medians["naps"] * 1e3, "ms", goal="≤ 52"),
    ]


def measure() -> list[Row]:
    """Measure all of it; a few seconds."""
    return trio.run(_measure)
