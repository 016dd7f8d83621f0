"""What the tests of the server share: a runtime that is served on a real socket, a model that a
test directs, and a client that sees every byte."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

import attrs
import httpx
import trio

from contract import check_answer, check_frame
from wingman import Runtime, Tool, Usage, tool
from wingman.conversation import ToolUseBlock
from wingman.providers import (
    Finished,
    Part,
    ProviderRegistry,
    Request,
    TextDelta,
    ThinkingDelta,
    Transport,
    UsageUpdate,
)
from wingman.server import serve

# What of a server's options is its runtime's.
_OF_RUNTIME = ("limits", "idle_after", "compaction", "permissions", "ask", "labels")


@attrs.define(eq=False)
class Gate:
    """A place in a model's answer where it waits for the test."""

    reached: trio.Event = attrs.field(factory=trio.Event)
    opened: trio.Event = attrs.field(factory=trio.Event)

    def open(self) -> None:
        self.opened.set()


def call(name: str, id: str = "toolu_1", **input: Any) -> ToolUseBlock:
    """A tool call of the model."""
    return ToolUseBlock(id, name, input)


@attrs.define(eq=False)
class Stage:
    """A provider and its factory: each inference plays the next scene, then "Hello." for ever.

    A scene is made of texts, parts, tool calls, gates to wait at, and errors to fail with.
    """

    id: str = "stage"
    model: str = "stage-1"
    scenes: list[Iterable[Any]] = attrs.field(factory=list)
    requests: list[Request] = attrs.field(factory=list)

    def __call__(self, model: str, **_options: Any) -> Self:
        return self

    def play(self, *scene: Any) -> None:
        """Let the next inference that has no scene yet play this one."""
        self.scenes.append(scene)

    async def stream(self, request: Request, transport: Transport) -> AsyncIterator[Part]:
        self.requests.append(request)
        scene = self.scenes.pop(0) if self.scenes else ("Hello.",)
        finish = "end_turn"
        for item in scene:
            if isinstance(item, Gate):
                item.reached.set()
                await item.opened.wait()
            elif isinstance(item, Exception):
                raise item
            elif isinstance(item, str):
                yield TextDelta(item)
            else:
                finish = "tool_use" if isinstance(item, ToolUseBlock) else finish
                yield item
        yield UsageUpdate(Usage(10, 5))
        yield Finished(finish)  # type: ignore[arg-type]


def thought(text: str) -> Part:
    """A piece of the model's reasoning."""
    return ThinkingDelta(text)


@attrs.define(eq=False)
class Server:
    """A runtime that is served, and how to talk to it."""

    runtime: Runtime
    stage: Stage
    url: str
    client: httpx.AsyncClient
    shutdown: trio.Event
    stopped: trio.Event
    _agent_id: str = ""

    async def agent(self, **fields: Any) -> str:
        """A new agent that plays on the stage; its id."""
        body = {"name": "Actor", "provider": {"id": "stage"}, **fields}
        answer = await self.client.post("/agents", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def session(self, **agent: Any) -> str:
        """A new session, with an agent of its own or the one all share; its id."""
        if agent or not self._agent_id:
            agent_id = await self.agent(**agent)
            self._agent_id = self._agent_id or agent_id
        else:
            agent_id = self._agent_id
        answer = await self.client.post("/sessions", json={"agent_id": agent_id})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def send(self, session_id: str, message: str = "go", **more: Any) -> httpx.Response:
        """Send a message and wait for its run."""
        headers = more.pop("headers", None)
        body = {"message": message, **more}
        return await self.client.post(f"/sessions/{session_id}/message", json=body, headers=headers)

    async def start(self, session_id: str, message: str = "go", **more: Any) -> str:
        """Send a message and do not wait; the run's id."""
        answer = await self.send(session_id, message, headers={"Prefer": "respond-async"}, **more)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])

    async def ended(self, session_id: str, run_id: str) -> dict[str, Any]:
        """A run, once it has ended."""
        answer = await self.client.get(f"/sessions/{session_id}/runs/{run_id}?wait=10")
        run: dict[str, Any] = answer.json()
        assert run["ended_at"] is not None, run
        return run

    async def history(self, session_id: str) -> list[dict[str, Any]]:
        answer = await self.client.get(f"/sessions/{session_id}")
        history: list[dict[str, Any]] = answer.json()["history"]
        return history

    async def streamed(self, session_id: str, message: str = "go", **more: Any) -> list["Frame"]:
        """Stream a message to its end; the frames."""
        query = more.pop("query", "")
        target = f"/sessions/{session_id}/message/stream{query}"
        answer = await self.client.post(target, json={"message": message, **more})
        assert answer.status_code == 200, answer.text
        return parse_frames(answer.text)

    async def wire(self) -> "Wire":
        """A connection of its own."""
        return await Wire.open(self.url)


def lingering(may_stop: trio.Event, stopping: trio.Event | None = None) -> Tool:
    """A tool `lingers`: cancelled, it sets `stopping`, and takes its time until it `may_stop`."""

    @tool
    async def lingers() -> str:
        """Take its time to stop."""
        try:
            await trio.sleep_forever()
        finally:
            if stopping is not None:
                stopping.set()
            with trio.fail_after(5, shield=True):
                await may_stop.wait()
        return ""

    return lingers


@asynccontextmanager
async def serving(
    store: Any = "memory", *, stage: Stage | None = None, tools: Any = (), **options: Any
) -> AsyncIterator[Server]:
    """Serve a runtime on a free port; at the end it is shut down as the program would."""
    stage = stage or Stage()
    of_runtime = {name: options.pop(name) for name in _OF_RUNTIME if name in options}
    registry = ProviderRegistry()
    registry.register("stage", stage, default_model="stage-1")
    options = {"port": 0, "grace": 0.0, **options}
    shutdown, stopped = trio.Event(), trio.Event()
    async with (
        Runtime(store, providers=registry, tools=tools, **of_runtime) as runtime,
        trio.open_nursery() as nursery,
    ):

        async def until_shutdown(task_status: trio.TaskStatus[str]) -> None:
            await serve(runtime, shutdown=shutdown, task_status=task_status, **options)
            stopped.set()

        url = await nursery.start(until_shutdown)
        hooks = {"response": [check_answer]}
        async with httpx.AsyncClient(base_url=url, timeout=20, event_hooks=hooks) as client:
            yield Server(runtime, stage, url, client, shutdown, stopped)
        shutdown.set()


class Frame(NamedTuple):
    """One frame of an event stream."""

    id: int | None
    event: str
    data: Any


def parse_frames(text: str) -> list[Frame]:
    """The frames of a whole stream, without its comments."""
    assert not text or text.endswith("\n\n")
    parsed = (_parse_frame(block) for block in text.split("\n\n") if block)
    return [frame for frame in parsed if frame is not None]


def _parse_frame(block: str) -> Frame | None:
    if block.startswith(":"):
        return None
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    assert set(fields) <= {"id", "event", "data"}
    id = int(fields["id"]) if "id" in fields else None
    data = json.loads(fields["data"])
    check_frame(fields["event"], data)
    return Frame(id, fields["event"], data)


class Head(NamedTuple):
    """The head of an answer; of headers that come twice the last."""

    status: int
    headers: dict[str, str]


@attrs.define(eq=False)
class Wire:
    """A client of one connection, byte by byte: it can say what httpx would not."""

    stream: trio.SocketStream
    host: str
    _bytes: bytearray = attrs.field(factory=bytearray)
    _body: bytearray = attrs.field(factory=bytearray)
    comments: int = 0

    @classmethod
    async def open(cls, url: str) -> Self:
        host, _, port = url.removeprefix("http://").rpartition(":")
        return cls(await trio.open_tcp_stream(host.strip("[]"), int(port)), f"{host}:{port}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await trio.aclose_forcefully(self.stream)

    async def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Send a request; a body that is not bytes goes as JSON."""
        lines = [f"{method} {target} HTTP/1.1"]
        headers = list(headers)
        if not any(name.lower() == "host" for name, _ in headers):
            headers.insert(0, ("Host", self.host))
        data = body if isinstance(body, bytes) else b""
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
            headers.append(("Content-Type", "application/json"))
        if body is not None:
            headers.append(("Content-Length", str(len(data))))
        lines += [f"{name}: {value}" for name, value in headers]
        await self.stream.send_all("\r\n".join([*lines, "", ""]).encode("latin-1") + data)

    async def ask(self, *args: Any, **kwargs: Any) -> tuple[Head, bytes]:
        """Send a request and read the answer."""
        await self.send(*args, **kwargs)
        return await self.answer()

    async def answer(self) -> tuple[Head, bytes]:
        """Read one whole answer."""
        head = await self.head()
        if "content-length" in head.headers:
            return head, await self._exactly(int(head.headers["content-length"]))
        body = bytearray()
        if head.headers.get("transfer-encoding") == "chunked":
            while chunk := await self._chunk():
                body += chunk
        else:
            while await self._more():
                pass
            body, self._bytes = self._bytes, bytearray()
        return head, bytes(body)

    async def head(self) -> Head:
        """Read the head of an answer."""
        lines = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (x.split(": ", 1) for x in lines[1:])}
        return Head(int(lines[0].split(" ")[1]), headers)

    async def frame(self) -> Frame | None:
        """The next frame of the event stream whose head was read; None at its end."""
        while True:
            while b"\n\n" not in self._body:
                chunk = await self._chunk()
                if not chunk:
                    assert not self._body
                    return None
                self._body += chunk
            block, _, rest = self._body.partition(b"\n\n")
            self._body = bytearray(rest)
            frame = _parse_frame(block.decode())
            if frame is not None:
                return frame
            self.comments += 1

    async def frames(self) -> list[Frame]:
        """All frames up to the end of the stream."""
        frames = []
        while (frame := await self.frame()) is not None:
            frames.append(frame)
        return frames

    async def at_end(self) -> bool:
        """Whether the server closes the connection with nothing more said."""
        return not self._bytes and not await self._more()

    async def _chunk(self) -> bytes:
        size = int(await self._until(b"\r\n"), 16)
        data = await self._exactly(size)
        assert await self._exactly(2) == b"\r\n"
        return data

    async def _until(self, end: bytes) -> bytes:
        while end not in self._bytes:
            assert await self._more(), f"the connection ended after {bytes(self._bytes)!r}"
        data, _, rest = self._bytes.partition(end)
        self._bytes = bytearray(rest)
        return bytes(data)

    async def _exactly(self, count: int) -> bytes:
        while len(self._bytes) < count:
            assert await self._more(), f"the connection ended after {bytes(self._bytes)!r}"
        data, self._bytes = self._bytes[:count], self._bytes[count:]
        return bytes(data)

    async def _more(self) -> bool:
        try:
            with trio.fail_after(10):
                data = await self.stream.receive_some()
        except trio.BrokenResourceError:
            return False
        self._bytes += data
        return bool(data)


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for what has no event to wait for: the state of the live runtime."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.002)


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """The status, code and message of an error, whose shape is checked."""
    error = answer.json()["error"]
    assert answer.headers["Content-Type"] == "application/json"
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert set(answer.json()) == {"error"}
    return answer.status_code, error["code"], error["message"]
