"""Server-Sent Events: a reader of a session's channel, as the body of a response.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html. A frame's data
is one line of JSON, encoded once for all readers. What is there goes out in pieces: a client that
stops reading holds one of them.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from types import TracebackType
from typing import Final, Self

import msgspec
import trio
from quart import Response, request
from quart.wrappers.response import ResponseBody

from wingman.api import EXTRA, USUAL
from wingman.errors import InvalidRequest, StreamLagged
from wingman.events import Error, Event
from wingman.run import Published, Reader, encode_event
from wingman.sse import frame

__all__ = [
    "KEEP_ALIVE",
    "KEEP_ALIVE_SECONDS",
    "RunFrames",
    "SessionFrames",
    "included",
    "replay",
    "stream_response",
]

KEEP_ALIVE_SECONDS: Final = 15.0
KEEP_ALIVE: Final = b": keep-alive\n\n"

_CLOSED: Final = {
    "shutting_down": "The server is shutting down; go on with Last-Event-ID when it is up again.",
    "moved": "The session is moving to another node; go on with Last-Event-ID.",
    "deleted": "The session was deleted.",
}

# Clients know these: with the second one they come back.
_CODES: Final = {"deleted": "session_deleted", "moved": "shutting_down"}


def included(include: str | None) -> Collection[str]:
    """The kinds of events that a client gets: five, and those it asks for by `?include=`."""
    kinds = set(USUAL)
    for name in (include or "").split(","):
        if not name.strip():
            continue
        if name.strip() not in EXTRA:
            known = ", ".join(EXTRA)
            raise InvalidRequest(f"There is nothing called {name!r} to include; there are: {known}")
        kinds.add(EXTRA[name.strip()])
    return kinds


def stream_response(
    frames: bytes | ResponseBody, headers: dict[str, str] | None = None
) -> Response:
    """An SSE response, of frames that are there or that are to come; it has no time limit."""
    response = Response(
        frames if isinstance(frames, bytes) else b"",
        headers={
            "Cache-Control": "no-cache, no-transform",
            "X-Accel-Buffering": "no",
            **(headers or {}),
        },
        content_type="text/event-stream",
    )
    if isinstance(frames, ResponseBody):
        del response.headers["Content-Length"]
        if request.method != "HEAD":
            response.response = frames
    return response


class Frames(ResponseBody):
    """Frames of a reader, which is entered with the body and not before.

    A client may leave before its body begins: then there is no reader to forget. What comes of an
    iteration is held until the client has taken it, so it is a piece: some whole frames, or a part
    of one that is larger than that. An event is looked for in the channel when its turn comes.
    """

    def __init__(self, reader: Reader, kinds: Collection[str]) -> None:
        self._reader = reader
        self._memory = reader.memory
        self._kinds = kinds
        self._over = False
        self._out = 0  # the bytes of the piece that is being sent
        self._large: Published | None = None  # what is sent in parts, and how many bytes of it were
        self._sent = 0

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._given()
        self._end_large()
        await self._reader.__aexit__(kind, value, traceback)  # noqa: ASYNC102 it does not wait

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._given()
        piece = self._part() if self._large is not None else await self._frames()
        self._out = len(piece)
        self._memory.take(self._out)
        return piece

    async def _frames(self) -> bytes:
        # What this client has not asked for may come all the time: its silence counts.
        with trio.move_on_after(KEEP_ALIVE_SECONDS):
            if not self._over and (frames := await self._next()):
                return frames
            raise StopAsyncIteration
        return KEEP_ALIVE

    async def _next(self) -> bytes:
        """Some frames, or a part of one; none where this is the end. `_over`: they are the last."""
        most = self._memory.piece
        try:
            batch = await self._reader.receive(most, self._weigh)
        except StreamLagged as lagged:
            return self.lagged(lagged)
        if not batch:
            self._over = True
            return b"" if self._reader.over else self.closed()
        first = self._reader.frame(batch[0])
        if len(first) > most:
            self._large = batch[0]
            self._large.pins += 1
            self._memory.make_room()
            return self._part()
        return first if len(batch) == 1 else b"".join(map(self._reader.frame, batch))

    def _weigh(self, published: Published) -> int:
        """How many bytes are sent of an event: none, if this client has not asked for its kind."""
        if published.event.kind not in self._kinds:
            return 0
        return len(self._reader.frame(published))

    def _part(self) -> bytes:
        """The next part of a large frame. Ends the stream where the rest is not held any more."""
        large = self._large
        if large is None or large.revoked:
            raise StopAsyncIteration  # a frame without its end is none: the client comes back
        whole, end = self._reader.frame(large), self._sent + self._memory.piece
        part = whole[self._sent : end]
        self._sent = end
        if end >= len(whole):
            self._end_large()
        return part

    def _given(self) -> None:
        """The client has taken the piece, or never will."""
        self._memory.give_back(self._out)
        self._out = 0

    def _end_large(self) -> None:
        if self._large is not None:
            self._memory.unpin(self._large)
            self._large, self._sent = None, 0

    def lagged(self, lagged: StreamLagged) -> bytes:
        """What a reader is told that has fallen behind."""
        raise NotImplementedError

    def closed(self) -> bytes:
        """What a reader is told when there is nothing more."""
        raise NotImplementedError


class RunFrames(Frames):
    """One run, from its admission to its last event."""

    def __init__(self, reader: Reader, kinds: Collection[str], run_id: str) -> None:
        super().__init__(reader, kinds)
        self._run_id = run_id

    def lagged(self, lagged: StreamLagged) -> bytes:
        """The stream is cut; its run goes on."""
        self._over = True
        return frame(None, "error", encode_event(Error(lagged.code, lagged.message, self._run_id)))

    def closed(self) -> bytes:
        """The reason for the end."""
        return _closing(self._reader.closed, self._run_id)


class SessionFrames(Frames):
    """A session, from run to run; each frame's data has its `run_id` as well, if it is of a run."""

    def lagged(self, lagged: StreamLagged) -> bytes:
        """The reader reads the session, and goes on here after the frame's id."""
        self._reader.cursor = lagged.resume_at
        return frame(lagged.resume_at, "resync", _about_the_session(lagged.code, lagged.message))

    def closed(self) -> bytes:
        """The reason for the end."""
        return _closing(self._reader.closed, None)


def replay(events: Iterable[Event]) -> bytes:
    """The frames of events that were published before; their ids are not kept."""
    return b"".join(frame(None, event.kind, encode_event(event)) for event in events)


def _about_the_session(code: str, message: str) -> bytes:
    """The data of a frame that is about no run."""
    return msgspec.json.encode({"code": code, "message": message})


def _closing(reason: str | None, run_id: str | None) -> bytes:
    if reason is None or reason == "ended":
        return b""
    code = _CODES.get(reason, reason)
    message = _CLOSED.get(reason, f"The session's stream was closed ({reason}).")
    if run_id is None:
        return frame(None, "error", _about_the_session(code, message))
    return frame(None, "error", encode_event(Error(code, message, run_id)))
