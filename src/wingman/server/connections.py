"""Connections: HTTP/1.1 on sockets that we accept ourselves.

Hypercorn's own `serve` keeps its connections to itself: one whose client has stopped reading can
then neither be cancelled (its send is shielded) nor found. Here each connection is known, and can
be broken when the time for a graceful end is over.
"""

import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

import trio
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import wrap_app

from wingman.server.http1 import Connection, http_config

__all__ = ["Connections", "open_listeners"]

logger = logging.getLogger("wingman.server")

# A client that has taken nothing for so long is gone, whatever it still acknowledges.
_STALLED_SECONDS: Final = 60
_BACKLOG: Final = 1024


class Connections:
    """The open connections of one app."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._config = http_config()
        self._app = wrap_app(app, 0, "asgi")
        self._context = WorkerContext(None)
        self._open: set[Connection] = set()
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
                    for connection in self._open:
                        connection.abort()

    async def close(self, deadline: float) -> None:
        """Accept nothing more, let exchanges end until `deadline`, then break what is left."""
        self._accepting.cancel()
        await self._context.terminated.set()
        for connection in self._open:
            connection.close_if_idle()
        with trio.move_on_at(deadline):
            if self._open:
                self._drained = trio.Event()
                await self._drained.wait()
        self._scope.cancel()

    async def _handle(self, stream: trio.SocketStream) -> None:
        connection = Connection(self._app, self._config, self._context, stream)
        self._open.add(connection)
        try:
            await connection.run()
        except Exception:
            # What one client sends must not end the others' connections.
            logger.exception("a connection failed")
        finally:
            connection.abort()
            self._open.discard(connection)
            if self._drained is not None and not self._open:
                self._drained.set()


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
