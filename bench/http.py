"""HTTP: Wingman's server against a bare Quart-Trio "hello" on stock Hypercorn.

Each server is a process of its own, and so is the client, with 32 connections that are kept alive;
the rounds of all contenders are interleaved. A turn is one message to one session, with a model
that answers at once, over SQLite: durable when it is answered.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import hypercorn.trio
import trio
from hypercorn.config import Config
from quart_trio import QuartTrio

from bench._report import Row
from wingman import Agent, Runtime
from wingman.providers import Scripted
from wingman.server import serve

CONNECTIONS = 32
ROUNDS = 7
SECONDS = 0.7
TURNS = 40
EVENTS = 50

TEXT = Agent("text", provider=Scripted(lambda _: "A short answer."))
EVENTFUL = Agent("eventful", provider=Scripted(lambda _: "x" * (EVENTS - 1), piece_size=1))

# --- the servers, in processes of their own -------------------------------------------------------


async def hello(_path: Path) -> None:
    """The least that Quart-Trio on Hypercorn can do."""
    app = QuartTrio("hello")

    @app.get("/")
    async def greet() -> dict[str, str]:
        return {"hello": "world"}

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    async with trio.open_nursery() as nursery:
        serve_hello = partial(hypercorn.trio.serve, app, config)
        print((await nursery.start(serve_hello))[0], flush=True)


async def wingman(path: Path) -> None:
    """Wingman's server, with two agents whose models answer at once."""
    async with Runtime(path, agents=[TEXT, EVENTFUL]) as runtime, trio.open_nursery() as nursery:
        print(await nursery.start(partial(serve, runtime, port=0)), flush=True)


@asynccontextmanager
async def process(name: str) -> AsyncIterator[tuple[str, int]]:
    """Start one of the servers; its host and port."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "bench.http", name, f"{directory}/bench.db"]
        server = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            said = (await server.stdout.receive_some()).decode().strip()
            host, _, port = said.removeprefix("http://").partition(":")
            yield host, int(port)
        finally:
            server.kill()
            with trio.CancelScope(shield=True):
                await server.wait()


# --- the client -----------------------------------------------------------------------------------


class Client:
    """One connection that is kept alive, and says one request over and over."""

    def __init__(self, stream: trio.SocketStream, request: bytes) -> None:
        self._stream = stream
        self._request = request

    async def ask(self) -> bytes:
        """Send the request, and read the whole answer."""
        await self._stream.send_all(self._request)
        data = b""
        while not _complete(data):
            more = await self._stream.receive_some(65536)
            if not more:
                raise RuntimeError(f"the server closed the connection after {data!r}")
            data += more
        if b" 200 " not in data[:16] and b" 201 " not in data[:16]:
            raise RuntimeError(data.decode())
        return data


def _complete(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    _, sized, length = head.lower().partition(b"content-length: ")
    if sized:
        return len(body) == int(length.partition(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")


def request(method: str, target: str, body: object = None) -> bytes:
    """The bytes of a request."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}"]
    if content:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + content


async def sessions(address: tuple[str, int], agent: str, count: int) -> list[str]:
    """New sessions."""
    body = {"agent_id": agent}
    async with await trio.open_tcp_stream(*address) as stream:
        maker = Client(stream, request("POST", "/sessions", body))
        answers = [await maker.ask() for _ in range(count)]
    return [json.loads(answer.partition(b"\r\n\r\n")[2])["id"] for answer in answers]


def messages(sessions: Sequence[str], form: str = "message") -> list[bytes]:
    """A message to each of these sessions."""
    return [request("POST", f"/sessions/{id}/{form}", {"message": "go"}) for id in sessions]


async def rate(address: tuple[str, int], requests: Sequence[bytes]) -> float:
    """Answers a second to all connections together, each saying its own request."""
    answered = 0

    async def talk(content: bytes) -> None:
        nonlocal answered
        async with await trio.open_tcp_stream(*address) as stream:
            client = Client(stream, content)
            while time.perf_counter() < end:
                await client.ask()
                answered += 1

    begin = time.perf_counter()
    end = begin + SECONDS
    async with trio.open_nursery() as nursery:
        for content in requests:
            nursery.start_soon(talk, content)
    return answered / (time.perf_counter() - begin)


async def latency(address: tuple[str, int], content: bytes) -> float:
    """The median time of a turn, one after the other."""
    times = []
    async with await trio.open_tcp_stream(*address) as stream:
        client = Client(stream, content)
        for _ in range(TURNS):
            begin = time.perf_counter()
            await client.ask()
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


# --- the measurement ------------------------------------------------------------------------------


async def _medians() -> dict[str, float]:
    async with AsyncExitStack() as stack:
        bare, ours, few, many = [
            await stack.enter_async_context(process(name))
            for name in ("hello", "wingman", "wingman", "wingman")
        ]
        texts = messages(await sessions(ours, "text", CONNECTIONS))
        streams = messages(await sessions(ours, "eventful", CONNECTIONS), "message/stream")
        of_few = messages(await sessions(few, "text", 10))
        of_many = messages(await sessions(many, "text", 1000))
        contenders: dict[str, Callable[[], Awaitable[float]]] = {
            "hello": partial(rate, bare, [request("GET", "/")] * CONNECTIONS),
            "health": partial(rate, ours, [request("GET", "/health")] * CONNECTIONS),
            "turn": partial(rate, ours, texts),
            "stream": partial(rate, ours, streams),
            "few": partial(latency, few, of_few[0]),
            "many": partial(latency, many, of_many[0]),
        }
        measured: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, measure_one in contenders.items():
                measured[name].append(await measure_one())
    return {name: statistics.median(values) for name, values in measured.items()}


def measure() -> list[Row]:
    """Measure all of it; about half a minute."""
    found = trio.run(_medians)
    hello = found["hello"]
    return [
        Row("hello, Quart-Trio on Hypercorn", hello, "a second"),
        Row("GET /health", found["health"], "a second"),
        Row("GET /health", found["health"] / hello, "×", "hello"),
        Row("durable text turn", found["turn"], "a second"),
        Row("durable text turn", found["turn"] / hello, "×", "hello"),
        Row(f"streamed turn of {EVENTS} events", found["stream"], "a second"),
        Row(f"streamed turn of {EVENTS} events", found["stream"] / hello, "×", "hello"),
        Row("turn alone, among 10 sessions", found["few"] * 1e3, "ms"),
        Row("turn alone, among 1,000 sessions", found["many"] / found["few"], "×", "10 sessions"),
    ]


if __name__ == "__main__":
    trio.run({"hello": hello, "wingman": wingman}[sys.argv[1]], Path(sys.argv[2]))
