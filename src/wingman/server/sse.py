"""Server-Sent Events: a reader of a session's channel, as the body of a response.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html. A frame's data
is one line of JSON, encoded once for all readers. All that is there goes out in one write.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec
import trio
from quart import Response, request
from quart.wrappers.response import ResponseBody

from wingman.api import EXTRA, USUAL
from wingman.errors import InvalidRequest, StreamLagged
from wingman.events import Done, Error, Event
from wingman.run import Published, Reader, encode_event

__all__ = ["RunFrames", "SessionFrames", "included", "replay", "stream_response"]

KEEP_ALIVE_SECONDS: Final = 15.0
_KEEP_ALIVE: Final = b": keep-alive\n\n"

_CLOSED: Final = {
    "shutting_down": "The server is shutting down; go on with Last-Event-ID when it is up again.",
    "deleted": "The session was deleted.",
}


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


def stream_response(frames: "bytes | Frames", headers: dict[str, str] | None = None) -> Response:
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
    if isinstance(frames, Frames):
        del response.headers["Content-Length"]
        if request.method != "HEAD":
            response.response = frames
    return response


class Frames(ResponseBody):
    """Frames of a reader, which is opened with the body and not before.

    A client may leave before its body begins: then there is no reader to forget.
    """

    def __init__(self, reader: Reader, kinds: Collection[str]) -> None:
        self._reader = reader
        self._kinds = kinds
        self._over = False

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._reader.__aexit__(kind, value, traceback)  # noqa: ASYNC102 it does not wait

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        # What this client has not asked for may come all the time: its silence counts.
        with trio.move_on_after(KEEP_ALIVE_SECONDS):
            while not self._over:
                frames = await self._next()
                if frames:
                    return frames
            raise StopAsyncIteration
        return _KEEP_ALIVE

    async def _next(self) -> bytes:
        """Some frames; none if there was nothing for this client; `_over` after the last."""
        try:
            batch = await self._reader.receive()
        except StreamLagged as lagged:
            return self.lagged(lagged)
        if not batch:
            self._over = True
            return self.closed()
        return self.encode(batch)

    def encode(self, batch: Sequence[Published]) -> bytes:
        """The frames of these events."""
        kinds = self._kinds
        return b"".join(
            frame(published.id, published.event.kind, published.data)
            for published in batch
            if published.event.kind in kinds
        )

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

    def encode(self, batch: Sequence[Published]) -> bytes:
        """The frames of these events; after the run's last there is none."""
        self._over = isinstance(batch[-1].event, Done | Error)
        return super().encode(batch)

    def lagged(self, lagged: StreamLagged) -> bytes:
        """The stream is cut; its run goes on."""
        self._over = True
        return frame(None, "error", encode_event(Error(lagged.code, lagged.message, self._run_id)))

    def closed(self) -> bytes:
        """The reason for the end."""
        return _closing(self._reader.closed, self._run_id)


class SessionFrames(Frames):
    """A session, from run to run; each frame's data has its `run_id` as well, if it is of a run."""

    def encode(self, batch: Sequence[Published]) -> bytes:
        """The frames of these events, with their runs' ids."""
        kinds = self._kinds
        return b"".join(
            frame(published.id, published.event.kind, _with_run_id(published))
            for published in batch
            if published.event.kind in kinds
        )

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


def frame(id: int | None, kind: str, data: bytes) -> bytes:
    """One frame of the stream."""
    if id is None:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (id, kind.encode(), data)


def _with_run_id(published: Published) -> bytes:
    if isinstance(published.event, Done | Error):
        return published.data
    # The data is a JSON object with at least one field: this puts another in front.
    return b'{"run_id":"%b",%b' % (published.run_id.encode(), published.data[1:])


def _about_the_session(code: str, message: str) -> bytes:
    """The data of a frame that is about no run."""
    return msgspec.json.encode({"code": code, "message": message})


def _closing(reason: str | None, run_id: str | None) -> bytes:
    if reason is None or reason == "ended":
        return b""
    code = {"deleted": "session_deleted"}.get(reason, reason)
    message = _CLOSED.get(reason, f"The session's stream was closed ({reason}).")
    if run_id is None:
        return frame(None, "error", _about_the_session(code, message))
    return frame(None, "error", encode_event(Error(code, message, run_id)))
