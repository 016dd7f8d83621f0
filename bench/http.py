"""HTTP: a durable turn against a bare Quart-Trio "hello" on stock Hypercorn.

Each server is a process of its own, and so is the client, with 32 connections that are kept alive.
"Hello" is measured before and after each contender. A turn is one message to one session, over
SQLite: durable when it is answered. Each round has new sessions.
"""

from functools import partial

import trio

from bench._clients import ask_all, delete, messages, request, sessions
from bench._models import EVENTS
from bench._report import Row
from bench._rounds import Comparison, Took, compare
from bench._servers import Server, running

CONNECTIONS = 32


async def turns(server: Server, agent: str, form: str, connections: int, times: int) -> Took:
    """So many turns in each of so many new sessions, all sessions at once."""
    ids = await sessions(server, agent, connections)
    took = await ask_all(server, messages(ids, form), times)
    await delete(server, ids)
    return took


async def alone(server: Server, times: int) -> Took:
    """Turns in one new session, one after the other."""
    return await turns(server, "text", "message", 1, times)


async def _measured(quick: bool) -> Comparison:
    times = 12 if quick else 40
    async with (
        running("hello") as bare,
        running("wingman") as ours,
        running("wingman") as crowded,
    ):
        await sessions(crowded, "text", 100 if quick else 1000)
        greetings = [request("GET", "/")] * CONNECTIONS
        healths = [request("GET", "/health")] * CONNECTIONS
        return await compare(
            {
                "hello": partial(ask_all, bare, greetings, times),
                "health": partial(ask_all, ours, healths, times),
                "turn": partial(turns, ours, "text", "message", CONNECTIONS, times),
                "tools": partial(turns, ours, "tools", "message", CONNECTIONS, times),
                "stream": partial(turns, ours, "eventful", "message/stream", CONNECTIONS, times),
                "alone": partial(alone, ours, 3 * times),
                "crowded": partial(alone, crowded, 3 * times),
            },
            rounds=3 if quick else 9,
            yardstick="hello",
        )


def measure(quick: bool) -> list[Row]:
    """Measure all of it; about a minute, or some seconds."""
    found = trio.run(_measured, quick)
    contenders = {
        "health": ("GET /health", None),
        "turn": ("durable text turn", "≥ 1.1"),
        "tools": ("durable tool turn", None),
        "stream": (f"streamed turn of {EVENTS} events", "≥ 0.8"),
    }
    rows = [
        Row("hello, Quart-Trio on Hypercorn", found.rate("hello"), "a second"),
        Row("hello, CPU", found.each("hello", "cpu") * 1e6, "µs"),
    ]
    for key, (name, goal) in contenders.items():
        rows += [
            Row(name, found.rate(key), "a second"),
            Row(f"{name}, CPU", found.each(key, "cpu") * 1e6, "µs"),
            Row(f"{name}, rate", found.speed(key), "×", "hello"),
            Row(f"{name}, CPU speed", found.speed(key, by="cpu"), "×", "hello", goal),
        ]
    return [
        *rows,
        Row("turn, one client", found.each("alone") * 1e3, "ms"),
        Row("turn among many live sessions", found.dearness("crowded", "alone"), "×", "among few"),
    ]
