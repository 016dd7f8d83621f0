"""One request of a connection, as ASGI has it: the app is called in a task of its own.

What the client sends goes straight to who listens in the app: no queue and no task lie between.
"""

import logging
import math
from collections.abc import Callable
from time import time
from typing import Any, Final, Protocol, cast
from urllib.parse import unquote

import trio
from hypercorn.protocol.events import Body, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.typing import ASGISendEvent, HTTPScope
from hypercorn.utils import UnexpectedMessageError, suppress_body

__all__ = ["AppStream", "Inbox", "Listener"]

logger = logging.getLogger("wingman.server")

# So many pieces of a body are kept until somebody listens; then the connection is not read.
_KEPT: Final = 8


class Listener(Protocol):
    """Who is told what the client of one request sends."""

    def append(self, data: bytes) -> None:
        """Take a piece of the body."""

    def set_complete(self) -> None:
        """That was all of the body."""


class Inbox:
    """What the client of one request sends: it stands in the place of ASGI's `receive`.

    The app calls `listen`, once. What comes before that is kept, up to a bound.
    """

    __slots__ = ("_complete", "_heard", "_kept", "_leave", "_left", "_listener")

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._complete = False
        self._left = False
        self._listener: Listener | None = None
        self._leave: Callable[[], None] | None = None
        self._heard: trio.Event | None = None  # where a piece waits for somebody to listen

    def listen(self, listener: Listener, leave: Callable[[], None]) -> None:
        """Tell this one what comes, and what came. If the client leaves, `leave` is called."""
        self._listener, self._leave = listener, leave
        for data in self._kept:
            listener.append(data)
        self._kept.clear()
        if self._complete:
            listener.set_complete()
        if self._left:
            leave()
        self._wake()

    async def put(self, data: bytes) -> None:
        """Hand on a piece of the body, as soon as there is room for it."""
        if self._listener is None and len(self._kept) >= _KEPT and not self._left:
            self._heard = trio.Event()
            await self._heard.wait()
        if self._listener is not None:
            self._listener.append(data)
        elif not self._left:
            self._kept.append(data)

    def complete(self) -> None:
        """The body has no more pieces."""
        self._complete = True
        if self._listener is not None:
            self._listener.set_complete()

    def leave(self) -> None:
        """The client has left before its answer was complete, or the app has not completed it."""
        self._left = True
        if self._leave is not None:
            self._leave()
        self._wake()

    def _wake(self) -> None:
        if self._heard is not None:
            self._heard.set()


class AppStream(HTTPStream):
    """A request and its answer, between the protocol and the app. The answer has no trailers."""

    async def handle(self, event: Event) -> None:
        """What the client sends; and that this exchange is over."""
        if self.closed:
            return
        if isinstance(event, Request):
            self._begin(event)
        elif isinstance(event, Body):
            await self._inbox.put(bytes(event.data))
        elif isinstance(event, EndBody):
            self._inbox.complete()
        elif isinstance(event, StreamClosed):
            self.closed = True
            if self.state is not ASGIHTTPState.CLOSED:
                self._inbox.leave()

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """A part of the app's answer; None when the app has returned."""
        if message is None:
            if self.closed:
                return
            # What is cut off from outside, as by a shutdown, ends with its connection instead.
            if (
                self.state is ASGIHTTPState.REQUEST
                and trio.current_effective_deadline() > -math.inf
            ):
                await self._send_error_response(500)
            await self.send(StreamClosed(stream_id=self.stream_id))
        elif message["type"] == "http.response.start" and self.state is ASGIHTTPState.REQUEST:
            self.response = message
            self.state = ASGIHTTPState.RESPONSE
            await self.send(
                Response(self.stream_id, list(message["headers"]), int(message["status"]))
            )
        elif message["type"] == "http.response.body" and self.state is ASGIHTTPState.RESPONSE:
            body = message.get("body", b"")
            if body and not suppress_body(self.scope["method"], self.response["status"]):
                await self.send(Body(self.stream_id, body))
            if not message.get("more_body", False):
                await self.send(EndBody(self.stream_id))
                self.state = ASGIHTTPState.CLOSED
                await self.send(StreamClosed(self.stream_id))
        else:
            raise UnexpectedMessageError(self.state, message["type"])

    def _begin(self, request: Request) -> None:
        path, _, query = request.raw_path.partition(b"?")
        self.scope = cast(
            "HTTPScope",
            {
                "type": "http",
                "http_version": request.http_version,
                "asgi": {"spec_version": "2.1", "version": "3.0"},
                "method": request.method,
                "scheme": self.scheme,
                "path": unquote(path.decode("ascii")),
                "raw_path": path,
                "query_string": query,
                "root_path": "",
                "headers": request.headers,
                "client": self.client,
                "server": self.server,
                "state": {},
                "extensions": {},
            },
        )
        self.start_time = time()  # Hypercorn's own answers ask for it
        self._inbox = Inbox()
        self.task_group.spawn(self._run)

    async def _run(self) -> None:
        app = cast("Callable[..., Any]", self.app)
        try:
            await app(self.scope, self._inbox, self.app_send)
        except Exception:
            logger.exception("Error in ASGI Framework")
        except BaseExceptionGroup as group:
            errors = group.split(trio.Cancelled)[1]
            if not isinstance(errors, ExceptionGroup):
                raise
            logger.exception("Error in ASGI Framework")
        finally:
            await self.app_send(None)  # noqa: ASYNC102 what it sends is shielded, or ends with the socket
