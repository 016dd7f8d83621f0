"""Connections: Hypercorn's HTTP/1.1, on sockets that we accept ourselves.

Hypercorn's own `serve` keeps its connections to itself: one whose client has stopped reading can
then neither be cancelled (its send is shielded) nor found. Here each connection is known, and can
be broken when the time for a graceful end is over.
"""

import logging
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr, wrap_app

__all__ = ["Connections", "open_listeners"]

logger = logging.getLogger("wingman.server")

# A client that has taken nothing for so long is gone, whatever it still acknowledges.
_STALLED_SECONDS: Final = 60
# So long a connection may be idle; and so long a request's head may take to arrive.
_KEEP_ALIVE_SECONDS: Final = 75
_LINGER_SECONDS: Final = 2
_BACKLOG: Final = 1024


class Connections:
    """The open connections of one app."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._config = _config()
        self._app = wrap_app(app, 0, "asgi")
        self._context = WorkerContext(None)
        self._streams: set[trio.SocketStream] = set()
        self._drained: trio.Event | None = None
        self._scope = trio.CancelScope()
        self._accepting = trio.CancelScope()

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and serve until `close`."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                try:
                    with self._accepting:
                        task_status.started()
                        await trio.serve_listeners(
                            self._handle, list(listeners), handler_nursery=nursery
                        )
                    await trio.sleep_forever()
                finally:
                    for stream in self._streams:
                        # A shielded send wakes up at this, and at nothing else.
                        stream.socket.close()

    async def close(self, grace: float) -> None:
        """Accept nothing more, let exchanges end for `grace` seconds, then break what is left."""
        self._accepting.cancel()
        # Idle keep-alive connections end at this.
        await self._context.terminated.set()
        with trio.move_on_after(grace):
            if self._streams:
                self._drained = trio.Event()
                await self._drained.wait()
        self._scope.cancel()

    async def _handle(self, stream: trio.SocketStream) -> None:
        self._streams.add(stream)
        try:
            await _Connection(self._app, self._config, self._context, stream).run()
        except Exception:
            # What one client sends must not end the others' connections.
            logger.exception("a connection failed")
        finally:
            stream.socket.close()
            self._streams.discard(stream)
            if self._drained is not None and not self._streams:
                self._drained.set()


class _Connection(TCPServer):
    """One connection. It speaks HTTP/1.1 alone, and no TLS.

    It closes when its last task has ended, and its client has had the time to read the answer.
    """

    def __init__(
        self, app: Any, config: Config, context: WorkerContext, stream: trio.SocketStream
    ) -> None:
        # It is typed for TLS, and takes a plain stream just as well.
        tls = cast("trio.SSLStream[trio.SocketStream]", stream)
        super().__init__(app, config, context, ConnectionState({}), tls)
        self._plain = stream
        self._reading = trio.CancelScope()

    async def run(self) -> None:
        sock = self._plain.socket
        try:
            client = parse_socket_addr(sock.family, sock.getpeername())
            server = parse_socket_addr(sock.family, sock.getsockname())
            async with TaskGroup() as self._task_group:
                http = _Http1(
                    self.app,
                    self.config,
                    self.context,
                    self._task_group,
                    ConnectionState(self.state),
                    False,
                    client,
                    server,
                    self.protocol_send,
                )
                self.protocol = cast("Any", http)
                await self.idle_task.restart(self._task_group, self._idle_timeout)
                with self._reading:
                    await self._read_data()
                await self.idle_task.stop()
            if http.client_sends:
                await self._linger()
        except OSError:
            pass  # The client is gone.

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, Closed):
            await super().protocol_send(event)
            return
        # We may be under `_reading` ourselves, and the app must be told before it ends.
        with trio.move_on_after(_LINGER_SECONDS, shield=True):
            await self.protocol.handle(event)
        self._reading.cancel()

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

    @property
    def client_sends(self) -> bool:
        """Whether the client is in the middle of what it has to say, or of rubbish."""
        return self.connection.their_state in (h11.SEND_BODY, h11.ERROR)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Hypercorn would go over to HTTP/2 here."""

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Response) and self.connection.their_state is h11.SEND_BODY:
            # An answer before its request's body is there: we shall not read the rest.
            event.headers.append((b"connection", b"close"))
        await super().stream_send(event)

    async def _create_stream(self, request: h11.Request) -> None:
        headers = list(request.headers)
        if any(name == b"upgrade" for name, _ in headers):
            # RFC 9110, 7.8: a server may ignore it. Hypercorn would take up a WebSocket.
            request = h11.Request(
                method=request.method,
                target=request.target,
                headers=[header for header in headers if header[0] != b"upgrade"],
                http_version=request.http_version,
            )
        await super()._create_stream(request)


def _config() -> Config:
    config = Config()
    config.keep_alive_timeout = _KEEP_ALIVE_SECONDS
    config.accesslog = None
    config.errorlog = logger
    config.include_server_header = False
    # An answer may be given before its request's body is there. With a bound, what comes then
    # would wait for ever for a reader that is gone, and the connection with it.
    config.max_app_queue_size = sys.maxsize
    return config


async def open_listeners(host: str, port: int) -> list[trio.SocketListener]:
    """Bind and listen. Raises `OSError` where that cannot be, such as a port in use."""
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    if port == 0 and len(listeners) > 1:
        # Each address got a port of its own: one of them is the one we tell.
        for extra in listeners[1:]:
            await extra.aclose()
        del listeners[1:]
    for listener in listeners:
        timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
        if timeout is not None:
            listener.socket.setsockopt(socket.IPPROTO_TCP, timeout, _STALLED_SECONDS * 1000)
    return listeners
