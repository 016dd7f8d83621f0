"""What work costs, in counts that do not depend on the machine: none of them grows unnoticed.

The bounds are exact. Where a change crosses one for a good reason, it sets the new count here.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from counting_kit import Cost, Counting
from wingman import Agent, Runtime, tool
from wingman.providers import Request, Scripted, ToolCalls
from wingman.server import serve


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calls_then_answers(request: Request) -> str | ToolCalls:
    return ToolCalls(("add", {"a": 1, "b": 2})) if request.messages[-1].text else "Three."


TEXT = Agent("text", provider=Scripted(lambda _: "A short answer."))
EVENTFUL = Agent("eventful", provider=Scripted(lambda _: "x" * 49, piece_size=1))
TOOLS = Agent("tools", provider=Scripted(calls_then_answers), tools=[add])
AGENTS = {agent.name: agent for agent in (TEXT, EVENTFUL, TOOLS)}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch, database: Path) -> Counting:
    return Counting(monkeypatch, database)


@pytest.fixture
async def runtime(counting: Counting, database: Path) -> AsyncIterator[Runtime]:
    async with Runtime(database, agents=AGENTS.values()) as runtime:
        yield runtime


def hold(cost: Cost, bound: Cost) -> None:
    over = cost.within(bound)
    assert not over, f"more than it was, as (now, bound): {over}"


TURN = Cost(steps=10, tasks=0, scopes=1, threads=2, statements=12, commits=2, written=57680)


@pytest.mark.parametrize(
    ("agent", "bound"),
    [
        ("text", TURN),
        ("eventful", TURN),  # fifty events cost no more steps than one
        ("tools", Cost(15, 0, 2, 3, 21, 3, 74160)),
    ],
)
async def test_a_turn_in_process_costs_no_more_than_it_did(
    counting: Counting, runtime: Runtime, agent: str, bound: Cost
) -> None:
    session = await runtime.create_session(AGENTS[agent])
    await session.run("the first one")
    hold(await counting.least(partial(session.run, "go")), bound)


async def test_creating_a_session_costs_no_more_than_it_did(
    counting: Counting, runtime: Runtime
) -> None:
    cost = await counting.least(partial(runtime.create_session, TEXT))
    hold(cost, Cost(steps=5, tasks=1, scopes=2, threads=3, statements=3, commits=1, written=8240))


async def test_the_first_turn_of_a_stored_session_costs_no_more_than_it_did(
    counting: Counting, database: Path
) -> None:
    async with Runtime(database, agents=AGENTS.values()) as runtime:
        ids = [(await runtime.create_session(TEXT)).id for _ in range(6)]
        for session_id in ids:
            await (await runtime.session(session_id)).run("go")

    async def activated() -> None:
        await (await runtime.session(ids.pop())).run("go")

    async with Runtime(database, agents=AGENTS.values()) as runtime:
        cost = await counting.least(activated, times=6)
    hold(cost, Cost(23, 3, 5, 6, 26, 3, 74160))


@pytest.mark.parametrize(
    ("agent", "form", "bytes_bound", "bound"),
    [
        ("text", "message", 395, Cost(14, 1, 3, 2, 12, 2, 57680)),
        ("tools", "message", 475, Cost(19, 1, 4, 3, 21, 3, 74160)),
        ("eventful", "message/stream", 2510, Cost(16, 1, 6, 2, 12, 2, 57680)),
    ],
)
async def test_a_turn_over_http_costs_no_more_than_it_did(
    counting: Counting, runtime: Runtime, agent: str, form: str, bytes_bound: int, bound: Cost
) -> None:
    session = await runtime.create_session(AGENTS[agent])
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(serve, runtime, port=0))
        host, _, port = url.removeprefix("http://").partition(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            ask = asking(stream, f"/sessions/{session.id}/{form}")
            await ask()
            hold(await counting.least(ask), bound)
            assert await ask() <= bytes_bound
        nursery.cancel_scope.cancel()


def asking(stream: trio.SocketStream, path: str) -> Callable[[], Awaitable[int]]:
    """A message over this connection, to the end of its answer; how many bytes that has."""
    content = json.dumps({"message": "go"}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )

    async def ask() -> int:
        await stream.send_all(head.encode() + content)
        data = b""
        while not _complete(data):
            data += await stream.receive_some(65536)
        assert data.startswith(b"HTTP/1.1 200 "), data
        return len(data)

    return ask


def _complete(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    if not found or b"transfer-encoding: chunked" in head.lower():
        return body.endswith(b"\r\n0\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) == int(length)
