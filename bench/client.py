"""The client: a turn with `wingman.client` against the same turn with bare httpx.

One server, a process of its own, answers both; the model costs nothing, over SQLite. Each turn
waits for the one before, and each round has a new session. What is measured is this process's CPU:
the client's own. Bare httpx sends a message and reads the answer's JSON, or its stream of events as
bytes, and does nothing else: it tries nothing again and decodes no event.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import httpx
import trio

from bench._clients import delete, sessions
from bench._models import EVENTS
from bench._report import Row
from bench._rounds import Comparison, Stopwatch, Took, compare
from bench._servers import Server, running
from wingman.client import Client, Session


async def _post(http: httpx.AsyncClient, session_id: str) -> None:
    answer = await http.post(f"/sessions/{session_id}/message", json={"message": "go"})
    assert answer.json()["stop_reason"] == "end_turn"


async def _stream(http: httpx.AsyncClient, session_id: str) -> None:
    path = f"/sessions/{session_id}/message/stream"
    async with http.stream("POST", path, json={"message": "go"}) as answer:
        last = b""
        async for chunk in answer.aiter_bytes():
            last = chunk
    assert last.endswith(b"\n\n")


async def _run(session: Session) -> None:
    assert (await session.run("go")).stop_reason == "end_turn"


async def _run_stream(session: Session) -> None:
    async with session.run_stream("go") as stream:
        async for _ in stream:
            pass
    assert stream.result.stop_reason == "end_turn"


Turn: TypeAlias = Callable[[str], Awaitable[None]]
SessionTurn: TypeAlias = Callable[[Session], Awaitable[None]]


async def _with_httpx(server: Server, agent: str, turn: Turn, times: int) -> Took:
    """Turns in one new session, one after the other."""
    ids = await sessions(server, agent, 1)
    took = await _timed(partial(turn, ids[0]), times)
    await delete(server, ids)
    return took


async def _with_client(client: Client, agent: str, turn: SessionTurn, times: int) -> Took:
    session = await client.create_session(agent)
    took = await _timed(partial(turn, session), times)
    await client.delete(session.id)
    return took


async def _timed(turn: Callable[[], Awaitable[None]], times: int) -> Took:
    watch = Stopwatch()
    with watch.running():
        for _ in range(times):
            await turn()
    return watch.each(times)


async def _measured(quick: bool) -> Comparison:
    times = 10 if quick else 40
    async with (
        running("wingman") as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
        Client(server.url) as client,
    ):
        post, stream = partial(_post, http), partial(_stream, http)
        return await compare(
            {
                "httpx": partial(_with_httpx, server, "text", post, times),
                "client": partial(_with_client, client, "text", _run, times),
                "httpx, streamed": partial(_with_httpx, server, "eventful", stream, times),
                "client, streamed": partial(_with_client, client, "eventful", _run_stream, times),
            },
            rounds=3 if quick else 11,
        )


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some seconds."""
    found = trio.run(_measured, quick)
    rows: list[Row] = []
    for form, name in (("", "text turn"), (", streamed", f"streamed turn of {EVENTS} events")):
        cpu = found.dearness(f"client{form}", f"httpx{form}", "cpu")
        time = found.dearness(f"client{form}", f"httpx{form}")
        rows += [
            Row(f"{name}, httpx", found.each(f"httpx{form}") * 1e3, "ms"),
            Row(f"{name}, client, time", time, "×", "httpx"),
            Row(f"{name}, client, CPU", cpu, "×", "httpx"),
        ]
    return rows
