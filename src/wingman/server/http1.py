"""One connection: Hypercorn's HTTP/1.1 on a plain stream, mended where it keeps others waiting.

What is taken of Hypercorn is its protocol; what is ours is when a connection is idle, when it
closes, that an answer goes out in one piece, and that what is no request for us is told why.
"""

import logging
import math
import os
import select
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, H11SendableEvent
from hypercorn.utils import parse_socket_addr

from wingman.ids import new_id
from wingman.server.asgi import AppStream
from wingman.server.crowd import Crowd
from wingman.server.errors import error_body

__all__ = ["Connection", "http_config", "whole_answer"]

logger = logging.getLogger("wingman.server")

# So long a connection may be idle; and so long a request's head may take to arrive.
_KEEP_ALIVE_SECONDS: Final = 75
_LINGER_SECONDS: Final = 2

# A longer answer is sent after its head, instead of being copied behind it.
_ONE_PIECE: Final = 64 * 1024

_Headers: TypeAlias = list[tuple[bytes, bytes]]

_VERSIONS: Final = (b"1.1", b"1.0")

# What is answered where h11 finds that it is no request, by its status; else it is malformed.
_UNREADABLE: Final = {
    431: ("head_too_large", "The request's line and headers are too large: 16 KiB at most."),
    501: (
        "unknown_transfer_encoding",
        "The Transfer-Encoding is unknown: send the body `chunked`, or with a Content-Length.",
    ),
}
_MALFORMED: Final = (
    "invalid_request",
    "This is no HTTP/1.1 request, or a malformed one. The server speaks plain HTTP, without TLS.",
)


def http_config() -> Config:
    """How Hypercorn's protocol is set up."""
    config = Config()
    config.accesslog = None
    config.errorlog = logger
    config.include_server_header = False
    return config


class Connection(TCPServer):
    """One connection. It speaks HTTP/1.1 alone, and no TLS.

    It closes when its last task has ended, and its client has had the time to read the answer.
    """

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        stream: trio.SocketStream,
        crowd: Crowd,
    ) -> None:
        # It is typed for TLS, and takes a plain stream just as well.
        tls = cast("trio.SSLStream[trio.SocketStream]", stream)
        super().__init__(app, config, context, ConnectionState({}), tls)
        self._plain = stream
        self._crowd = crowd
        self._http: _Http1 | None = None
        self._idle = True
        self._reading = trio.CancelScope()

    async def run(self) -> None:
        """Serve until either side closes, or has nothing to say for too long."""
        sock = self._plain.socket
        try:
            client = parse_socket_addr(sock.family, sock.getpeername())
            server = parse_socket_addr(sock.family, sock.getsockname())
            async with TaskGroup() as tasks:
                state = ConnectionState(self.state)
                send = self.protocol_send
                http = _Http1(
                    self.app, self.config, self.context, tasks, state, False, client, server, send
                )
                self._http = http
                self.protocol = cast("Any", http)
                self._reading.deadline = trio.current_time() + _KEEP_ALIVE_SECONDS
                with self._reading:
                    await self._read_data()
            if self.client_sends:
                await self._linger()
        except OSError:
            pass  # The client is gone.

    def close_if_idle(self) -> None:
        """Close, unless an answer is under way; then Hypercorn closes when it is complete."""
        if self._idle:
            self._reading.cancel()

    def abort(self) -> None:
        """Close the socket: a shielded send wakes up at this, and at nothing else."""
        self._plain.socket.close()

    @property
    def client_sends(self) -> bool:
        """Whether the client is in the middle of what it has to say, or of rubbish."""
        http = self._http
        return http is not None and http.connection.their_state in (h11.SEND_BODY, h11.ERROR)

    def has_unread(self) -> bool:
        """Whether its client has sent what was not read yet."""
        poll = select.poll()
        poll.register(self._plain.socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    async def protocol_send(self, event: Event) -> None:
        """What the protocol has for us: bytes to send, and whether it is idle or done."""
        match event:
            case RawData():
                # Most clients take it at once, and then nobody has to wait.
                rest = event.data[self._send_now(event.data) :]
                if rest:
                    await self._send(rest)
            case Updated():
                # No checkpoint here: quart-trio cancels the task that comes this way, as soon as
                # its answer is complete, and the connection would not be made ready again.
                self._idle = event.idle
                if event.idle:
                    self._crowd.idle(self)
                else:
                    self._crowd.busy(self)
                end = trio.current_time() + _KEEP_ALIVE_SECONDS if event.idle else math.inf
                self._reading.deadline = end
            case Closed():
                # We may be under `_reading` ourselves, and the app must be told before it ends.
                with trio.move_on_after(_LINGER_SECONDS, shield=True):
                    await self.protocol.handle(event)
                self._reading.cancel()

    async def _send(self, data: bytes) -> None:
        """Send some bytes, whole; nobody waits for the lock where it is free."""
        try:
            self.send_lock.acquire_nowait()
        except trio.WouldBlock:
            await self.send_lock.acquire()
        try:
            with trio.CancelScope(shield=True):  # it ends with the socket
                await self._plain.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self.protocol.handle(Closed())
        finally:
            self.send_lock.release()

    def _send_now(self, data: bytes) -> int:
        """How many bytes the system has taken at once; none if others are being sent."""
        if self.send_lock.locked():
            return 0
        try:
            return os.write(self._plain.socket.fileno(), data)
        except OSError:
            return 0  # It is full, or the client is gone: whoever waits for it finds out which.

    async def _linger(self) -> None:
        """Let a client read the answer that it has while it still sends: where bytes are left
        unread a close is a reset, and takes back what was sent (RFC 9112, 9.6)."""
        try:
            with trio.move_on_after(_LINGER_SECONDS):
                await self._plain.send_eof()
                while await self._plain.receive_some():
                    pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


class _Http1(H11Protocol):
    """HTTP/1.1 that answers in HTTP/1.1, whatever the client would like to upgrade to."""

    _held: bytes | None = None

    async def _check_protocol(self, event: h11.Request) -> None:
        """Hypercorn would go over to HTTP/2 here."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = list(request.headers)
        if _head_size(request, headers) > self.config.h11_max_incomplete_size:
            # h11 looks at this only while a head is not complete: what comes at once it lets pass.
            await self._answer(431, *_UNREADABLE[431], request.method)
            await self.send(Closed())
            return
        problem = _problem_of(request, headers)
        if problem is not None:
            await self._answer(400, "invalid_request", problem, request.method)
            await self.send(Closed())
            return
        # RFC 9110, 7.8: a server may ignore an Upgrade. Hypercorn would take up a WebSocket.
        self.stream = AppStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        version, method = request.http_version.decode(), request.method.decode("ascii")
        await self.stream.handle(
            Request(STREAM_ID, headers, version, method, request.target, self.connection_state)
        )
        self.keep_alive_requests += 1

    async def _send_error_response(self, status_code: int) -> None:
        """Answer what h11 could not make sense of."""
        code, message = _UNREADABLE.get(status_code, _MALFORMED)
        await self._answer(status_code, code, message)

    async def _answer(self, status: int, code: str, message: str, method: bytes = b"") -> None:
        """Answer for the app, which does not get to see this request; it is the last answer."""
        request_id = new_id()
        body = error_body(code, message, request_id)
        head = h11.Response(status_code=status, headers=_headers(body, request_id))
        await self._send_h11_event(head)
        if method.upper() != b"HEAD":
            await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    async def stream_send(self, event: StreamEvent) -> None:
        """What the app has for its client."""
        if isinstance(event, Response):
            await self._send_head(event)
        elif isinstance(event, Body):
            await self._send_h11_event(h11.Data(data=event.data))
        elif isinstance(event, EndBody):
            await self._send_h11_event(h11.EndOfMessage())
        elif isinstance(event, StreamClosed):
            await self._maybe_recycle()

    async def _send_head(self, response: Response) -> None:
        headers = [*response.headers, *self.config.response_headers("h11")]
        last = self.keep_alive_requests >= self.config.keep_alive_max_requests
        if last or self.connection.their_state is h11.SEND_BODY:
            # An answer before its request's body is there: we shall not read the rest.
            headers.append((b"connection", b"close"))
        await self._send_h11_event(h11.Response(status_code=response.status_code, headers=headers))

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        """Send a part of an answer; a short one whose length is known goes out in one piece."""
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response) and _has_length(event):
            self._held = data
        elif self._held is not None and isinstance(event, h11.Data) and len(data) <= _ONE_PIECE:
            self._held += data
        else:
            held, self._held = self._held or b"", None
            if len(data) <= _ONE_PIECE:
                await self.send(RawData(data=held + data))
            else:
                await self.send(RawData(data=held))
                await self.send(RawData(data=data))


def _has_length(response: h11.Response) -> bool:
    return any(name == b"content-length" for name, _ in response.headers)


def _head_size(request: h11.Request, headers: _Headers) -> int:
    """The bytes of a request's line and headers, give or take blanks and line ends."""
    line = len(request.method) + len(request.target)
    return line + sum(len(name) + len(value) + 4 for name, value in headers)


def _problem_of(request: h11.Request, headers: _Headers) -> str | None:
    """Why a request that h11 takes is none for us, if so."""
    if request.http_version not in _VERSIONS:
        version = request.http_version.decode()
        return f"The server speaks HTTP/1.1 and HTTP/1.0, not HTTP/{version}."
    method = request.method.decode("ascii")
    if method != method.upper():
        return f"A method is written in capitals, and {method!r} is not."
    framing = {name for name, _ in headers} & {b"content-length", b"transfer-encoding"}
    if len(framing) > 1:
        # RFC 9112, 6.1: whoever stands between may have believed the other one.
        return "A request has a Content-Length or a Transfer-Encoding, not both."
    if b"transfer-encoding" in framing and request.http_version == b"1.0":
        return "A request of HTTP/1.0 has no Transfer-Encoding: give its body a Content-Length."
    return None


def whole_answer(status: int, body: bytes, request_id: str, *more: tuple[bytes, bytes]) -> bytes:
    """The bytes of an answer to a client that was not listened to; the connection closes."""
    connection = h11.Connection(h11.SERVER)
    head = h11.Response(
        status_code=status,
        headers=[*_headers(body, request_id), *more],
        reason=HTTPStatus(status).phrase,
    )
    events = (head, h11.Data(data=body), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)


def _headers(body: bytes, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode()),
    ]
