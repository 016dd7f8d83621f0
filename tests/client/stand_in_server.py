"""A server without sockets: the bytes of its answers are cut where a test says.

It knows one session. Its run is one that a real server has run, frame by frame.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import anyio.lowlevel
import attrs
import msgspec

from wingman.api import ErrorAnswer, ErrorDetail
from wingman.client.exchange import Broken, Exchange, Reply, Request
from wingman.client.patience import OnRetry, Patience

SESSION = "01KB5ZJ2Q3W4E5R6T7Y8U9I0PB"
RUN = "01KB5ZJ2Q3W4E5R6T7Y8U9I0PC"


@attrs.define(eq=False)
class Body:
    """The body of an answer, in pieces of `size` bytes; it breaks after `cut` bytes."""

    data: bytes
    status: int
    headers: Mapping[str, str]
    cut: int | None = None
    size: int = 64
    closed: bool = False
    _at: int = 0

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        end = len(self.data) if self.cut is None else min(self.cut, len(self.data))
        if self._at >= end:
            if self.cut is None:
                return b""
            raise Broken("cut", sent=True)
        piece = self.data[self._at : min(self._at + self.size, end)]
        self._at += len(piece)
        return piece

    async def read(self) -> bytes:
        data = b""
        while piece := await self.receive():
            data += piece
        return data

    async def aclose(self, *, drain: bool = False) -> None:
        self.closed = True


Answer = Callable[[Request], "Reply | Body"]


@attrs.define(eq=False)
class StandIn:
    """In a `Connection`'s place: `answer` says what to each request. `cuts` are how many bytes of
    the next answers arrive; those after them arrive whole."""

    answer: Answer
    cuts: deque[int] = attrs.field(factory=deque, converter=deque)
    requests: list[str] = attrs.field(factory=list)
    bodies: list[Body] = attrs.field(factory=list)

    async def open(self, request: Request) -> Body:
        await anyio.lowlevel.checkpoint()
        self.requests.append(str(request))
        answer = self.answer(request)
        body = (
            answer if isinstance(answer, Body) else Body(answer.body, answer.status, answer.headers)
        )
        if self.cuts and body.status == 200:
            body.cut = self.cuts.popleft()
            if body.cut == 0:
                raise Broken("cut before the head", sent=True)
        self.bodies.append(body)
        return body

    async def send(self, request: Request) -> Reply:
        body = await self.open(request)
        return Reply(body.status, body.headers, await body.read())

    async def aclose(self) -> None:
        pass


def exchange(
    stand_in: StandIn, patience: Patience | None = None, on_retry: OnRetry | None = None
) -> Exchange:
    """The client's exchange with such a server."""
    made = Exchange("http://stand-in", patience or Patience(), on_retry)
    made.connect(stand_in)  # type: ignore[arg-type]
    return made


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(
        status, {"content-type": "application/json", **headers}, msgspec.json.encode(value)
    )


def refusal(code: str, status: int, retry_after: int | None = None, **more: Any) -> Reply:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    detail = ErrorDetail(code, f"It is {code}.", "01REQUEST", **more)
    return json_reply(ErrorAnswer(detail), status, **headers)


def stream(frames: Iterable[bytes], **headers: str) -> Body:
    return Body(b"".join(frames), 200, {"content-type": "text/event-stream", **headers})


def frame(id: int | None, event: str, data: Any) -> bytes:
    head = b"" if id is None else b"id: %d\n" % id
    return head + b"event: %b\ndata: %b\n\n" % (event.encode(), msgspec.json.encode(data))


class Told:
    """One session with one run, whose events are these, and another run's in between.

    `held`: events up to this id are not held any more. `ended`: the run has, for those who ask.
    """

    def __init__(self, frames: list[tuple[int, str, Any]], stored: list[tuple[str, Any]]) -> None:
        self.frames = frames
        self.stored = stored
        self.lost_up_to = 0
        self.ended = False
        self.view: dict[str, Any] = {}
        self.session: dict[str, Any] = {}
        self.requests: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Reply | Body:
        if request.target.startswith(f"/sessions/{SESSION}/message/stream"):
            headers = {"location": f"/sessions/{SESSION}/runs/{RUN}"}
            if self.ended:
                return stream((frame(None, *one) for one in self.stored), **headers)
            return stream((frame(*one) for one in self.frames), **headers)
        if request.target.startswith(f"/sessions/{SESSION}/events"):
            return self._events(int(request.headers["last-event-id"]))
        if request.target.startswith(f"/sessions/{SESSION}/runs/{RUN}/cancel"):
            return json_reply({"cancelled": []})
        if request.target.startswith(f"/sessions/{SESSION}/runs/{RUN}"):
            return json_reply(self.view)
        if request.target.startswith(f"/sessions/{SESSION}/permissions"):
            return json_reply(self.requests)
        assert request.target == f"/sessions/{SESSION}", request
        return json_reply(self.session)

    def _events(self, after: int) -> Body:
        parts = [b": keep-alive\n\n"]
        if after < self.lost_up_to:
            lag = {"code": "resync", "message": "gone", "run_id": ""}
            parts.append(frame(self.lost_up_to, "resync", lag))
            after = self.lost_up_to
        for id, event, data in self.frames:
            if id > after:
                parts.append(frame(id, event, {"run_id": RUN, **data}))
            if id + 1 > after:
                parts.append(frame(id + 1, "text", {"run_id": "another", "text": "not ours"}))
        return stream(parts)
