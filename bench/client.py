"""The client: a turn with `wingman.client` against the same turn with bare httpx.

One server, a process of its own, answers both; the model answers at once, over SQLite. Each turn
waits for the one before, and the rounds of the contenders take turns. Bare httpx sends a message
and reads the answer's JSON, or its stream of events as bytes, and does nothing else: it tries
nothing again and decodes no event.
"""

import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import httpx
import trio

from bench._report import Row
from bench.http import EVENTS, process, sessions
from wingman.client import Client, Session

ROUNDS = 9
TURNS = 40


async def _with_httpx(http: httpx.AsyncClient, session_id: str) -> None:
    answer = await http.post(f"/sessions/{session_id}/message", json={"message": "go"})
    assert answer.json()["stop_reason"] == "end_turn"


async def _stream_with_httpx(http: httpx.AsyncClient, session_id: str) -> None:
    path = f"/sessions/{session_id}/message/stream"
    async with http.stream("POST", path, json={"message": "go"}) as answer:
        last = b""
        async for chunk in answer.aiter_bytes():
            last = chunk
    assert last.endswith(b"\n\n")


async def _with_client(session: Session) -> None:
    assert (await session.run("go")).stop_reason == "end_turn"


async def _stream_with_client(session: Session) -> None:
    async with session.run_stream("go") as stream:
        async for _ in stream:
            pass
    assert stream.result.stop_reason == "end_turn"


async def _timed(turn: Callable[[], Awaitable[None]]) -> float:
    """Seconds a turn."""
    begin = time.perf_counter()
    for _ in range(TURNS):
        await turn()
    return (time.perf_counter() - begin) / TURNS


async def _medians() -> dict[str, float]:
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(process("wingman"))
        url = "http://{}:{}".format(*address)
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
        client = await stack.enter_async_context(Client(url))
        texts = await sessions(address, "text", 2)
        streams = await sessions(address, "eventful", 2)
        contenders = {
            "httpx": partial(_with_httpx, http, texts[0]),
            "client": partial(_with_client, await client.session(texts[1])),
            "httpx, streamed": partial(_stream_with_httpx, http, streams[0]),
            "client, streamed": partial(_stream_with_client, await client.session(streams[1])),
        }
        measured: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, turn in contenders.items():
                measured[name].append(await _timed(turn))
    return {name: statistics.median(times) for name, times in measured.items()}


def measure() -> list[Row]:
    """Measure all of it; some seconds."""
    found = trio.run(_medians)
    streamed = f"streamed turn of {EVENTS} events"
    return [
        Row("text turn, httpx", found["httpx"] * 1e3, "ms"),
        Row("text turn, client", found["client"] / found["httpx"], "×", "httpx"),
        Row(f"{streamed}, httpx", found["httpx, streamed"] * 1e3, "ms"),
        Row(
            f"{streamed}, client",
            found["client, streamed"] / found["httpx, streamed"],
            "×",
            "httpx",
        ),
    ]
