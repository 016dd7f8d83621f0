"""Where a session lives, and how a test talks to it: embedded, or served and talked to by the
client on Trio, on asyncio, or blocking."""

import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio.to_thread
import attrs
import trio

from client.troupe import NAME, agent
from wingman import Runtime
from wingman.api import (
    Decision,
    PermissionAnswer,
    PermissionRequest,
    Receipt,
    SessionView,
    Status,
)
from wingman.client import (
    Client,
    SyncClient,
    SyncFollowing,
    SyncRun,
    SyncRunStream,
    SyncSession,
)
from wingman.conversation import HistoryPart, Message
from wingman.events import Event, Result
from wingman.face import AnyRuns, AnySession, News
from wingman.server import serve

TESTS = Path(__file__).parents[1]

WORLDS = {"embedded": "trio", "on trio": "trio", "on asyncio": "asyncio", "blocking": "asyncio"}
"""The worlds, and the event loop of each."""


@contextmanager
def served(book: Path | None = None, **options: Any) -> Iterator[str]:
    """A runtime that is served from a thread; its URL. `book`: what the model is asked."""
    ready: list[str] = []
    started, tokens = threading.Event(), []
    shutdown = trio.Event()

    async def main() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        async with Runtime(agents=[agent(book)]) as runtime, trio.open_nursery() as nursery:
            listen = partial(serve, runtime, port=0, grace=0, shutdown=shutdown, **options)
            ready.append(await nursery.start(listen))
            started.set()

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    try:
        assert started.wait(20)
        yield ready[0]
    finally:
        tokens[0].run_sync_soon(shutdown.set)
        thread.join(20)


_RUNS: dict[str, AnyRuns] = {}


def runs_of(session: AnySession) -> AnyRuns:
    """The runtime or the client that a test's session comes from."""
    return _RUNS[session.id]


@asynccontextmanager
async def session_in(world: str, url: str) -> AsyncIterator[AnySession]:
    """A new session of the tests' agent, in this world."""
    if world == "embedded":
        async with Runtime(agents=[agent()]) as runtime:
            made = await runtime.create_session(NAME)
            _RUNS[made.id] = runtime
            yield made
    elif world == "blocking":
        client = SyncClient(url)
        await anyio.to_thread.run_sync(client.open)
        try:
            inner = await anyio.to_thread.run_sync(partial(client.create_session, NAME))
            _RUNS[inner.id] = BlockingRuns(client)
            yield BlockingSession(inner)
        finally:
            await anyio.to_thread.run_sync(client.close)
    else:
        async with Client(url) as client_:
            remote = await client_.create_session(NAME)
            _RUNS[remote.id] = client_
            yield remote


# --- the blocking client, as a test in `async` sees it --------------------------------------------


async def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs))


_END: Any = object()


class _BlockingIterator:
    def __init__(self, inner: SyncRunStream | SyncFollowing) -> None:
        self._inner = inner

    async def __aenter__(self) -> Self:
        await _call(self._inner.__enter__)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await _call(self._inner.__exit__, kind, value, traceback)

    def __aiter__(self) -> Self:
        return self

    async def _next(self) -> Any:
        item = await _call(next, self._inner, _END)
        if item is _END:
            raise StopAsyncIteration
        return item


class BlockingStream(_BlockingIterator):
    def __init__(self, inner: SyncRunStream) -> None:
        super().__init__(inner)
        self._stream = inner

    async def __anext__(self) -> Event:
        event: Event = await self._next()
        return event

    @property
    def run(self) -> "BlockingRun":
        return BlockingRun(self._stream.run)

    @property
    def result(self) -> Result:
        return self._stream.result


class BlockingFollowing(_BlockingIterator):
    async def __anext__(self) -> News:
        news: News = await self._next()
        return news


@attrs.frozen
class BlockingRun:
    inner: SyncRun

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockingRun) and other.id == self.id

    @property
    def id(self) -> str:
        return self.inner.id

    @property
    def session_id(self) -> str:
        return self.inner.session_id

    @property
    def ended(self) -> bool:
        return self.inner.ended

    @property
    def status(self) -> Status:
        return self.inner.status

    def outcome(self) -> Result:
        return self.inner.outcome()

    async def wait(self) -> None:
        await _call(self.inner.wait)

    async def result(self) -> Result:
        result: Result = await _call(self.inner.result)
        return result

    async def steer(self, message: str, **more: Any) -> "BlockingRun":
        return BlockingRun(await _call(partial(self.inner.steer, message, **more)))

    async def cancel(self) -> Receipt:
        receipt: Receipt = await _call(self.inner.cancel)
        return receipt

    async def cancel_tool(self, tool_use_id: str) -> Receipt:
        receipt: Receipt = await _call(self.inner.cancel_tool, tool_use_id)
        return receipt


@attrs.frozen
class BlockingRuns:
    client: SyncClient

    async def find_run(self, run_id: str) -> BlockingRun:
        return BlockingRun(await _call(self.client.find_run, run_id))


@attrs.frozen
class BlockingSession:
    inner: SyncSession

    @property
    def id(self) -> str:
        return self.inner.id

    async def run(self, message: str, **more: Any) -> Result:
        result: Result = await _call(self.inner.run, message, **more)
        return result

    def run_stream(self, message: str, **more: Any) -> BlockingStream:
        return BlockingStream(self.inner.run_stream(message, **more))

    async def submit(self, message: str, **more: Any) -> BlockingRun:
        return BlockingRun(await _call(self.inner.submit, message, **more))

    async def compact(self, instructions: str = "") -> Result:
        result: Result = await _call(self.inner.compact, instructions)
        return result

    async def take_back(self, run: str) -> Receipt:
        receipt: Receipt = await _call(self.inner.take_back, run)
        return receipt

    async def cancel(self, *, queued: bool = False) -> Receipt:
        receipt: Receipt = await _call(self.inner.cancel, queued=queued)
        return receipt

    async def messages(self, limit: int = 100, before: int | None = None) -> HistoryPart:
        part: HistoryPart = await _call(partial(self.inner.messages, limit, before))
        return part

    async def history(self) -> tuple[Message, ...]:
        return tuple(await _call(self.inner.history))

    async def describe(self) -> SessionView:
        view: SessionView = await _call(self.inner.describe)
        return view

    async def permissions(self) -> Sequence[PermissionRequest]:
        requests: Sequence[PermissionRequest] = await _call(self.inner.permissions)
        return requests

    async def answer(
        self, permission_id: str, answer: PermissionAnswer | Decision
    ) -> PermissionRequest:
        request: PermissionRequest = await _call(self.inner.answer, permission_id, answer)
        return request

    def follow(self, after: int | None = None) -> BlockingFollowing:
        return BlockingFollowing(self.inner.follow(after))


# --- a server that can be killed ------------------------------------------------------------------


@attrs.define
class Killable:
    """A server in a process of its own, on a port that stays the same."""

    directory: Path
    pace: float = 0.0
    port: int = attrs.field(init=False)
    _process: "subprocess.Popen[str] | None" = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def book(self) -> list[str]:
        """What the model was asked for, message by message."""
        path = self.directory / "book"
        return path.read_text().splitlines() if path.exists() else []

    def start(self) -> None:
        """Start it, and wait until it listens."""
        arguments = [self.port, self.directory / "test.db", self.directory / "book", self.pace]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "client.program", *map(str, arguments)],
            cwd=TESTS,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listening\n"

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
