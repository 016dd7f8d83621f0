"""Connections: HTTP/1.1 on sockets that we accept ourselves.

Hypercorn's own `serve` keeps its connections to itself: one whose client has stopped reading can
then neither be cancelled (its send is shielded) nor found. Here each connection is known: there is
a limit to their number, and each can be broken when the time for a graceful end is over.
"""

import errno
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import trio
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper

from wingman.ids import new_id
from wingman.server.crowd import Crowd
from wingman.server.errors import error_body
from wingman.server.http1 import Connection, http_config, whole_answer

__all__ = ["Connections", "open_listeners"]

logger = logging.getLogger("wingman.server")

# A client that has taken nothing for so long is gone, whatever it still acknowledges.
_STALLED_SECONDS: Final = 60
_BACKLOG: Final = 1024
# Bytes that the system takes for a client beside those on their way: else it takes megabytes, which
# a client that has stopped reading holds, and which make it late when it reads on.
_MOST_UNSENT: Final = 128 * 1024

# What `accept` fails with where the process or the machine has nothing left for a connection.
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Then it is tried again after as many seconds, if no connection gave way.
_PAUSE_SECONDS: Final = 0.1

# So many of those that are refused are being told so at once; for the next, the first is closed.
_TOLD: Final = 16
_TELL_SECONDS: Final = 1


class Connections:
    """The open connections of one app, `room` at most.

    The app is one of ASGI whose `receive` is an `Inbox`.
    """

    def __init__(self, app: Callable[..., Any], room: int) -> None:
        self._config = http_config()
        self._app = cast("AppWrapper", app)
        self._context = WorkerContext(None)
        self._crowd = Crowd(room)
        self._being_told: dict[trio.SocketStream, None] = {}
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
                        async with trio.open_nursery() as accepting:
                            for listener in listeners:
                                accepting.start_soon(self._accept, listener, nursery)
                    await trio.sleep_forever()
                finally:
                    for connection in self._crowd.members:
                        connection.abort()

    async def close(self, deadline: float) -> None:
        """Accept nothing more, let exchanges end until `deadline`, then break what is left."""
        self._accepting.cancel()
        await self._context.terminated.set()
        for connection in self._crowd.members:
            connection.close_if_idle()
        with trio.move_on_at(deadline):
            if len(self._crowd):
                self._drained = trio.Event()
                await self._drained.wait()
        self._scope.cancel()

    async def _accept(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        """Accept connections; where there are too many, an idle one gives way to the newcomer."""
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    if error.errno not in _EXHAUSTED:
                        raise
                    if not self._crowd.lacks_descriptors(error.strerror or str(error)):
                        await trio.sleep(_PAUSE_SECONDS)
                    continue
                if not self._crowd.takes_one():
                    self._refuse(stream, nursery)
                    continue
                connection = Connection(self._app, self._config, self._context, stream, self._crowd)
                self._crowd.enter(connection)
                nursery.start_soon(self._handle, connection)

    async def _handle(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception:
            # What one client sends must not end the others' connections.
            logger.exception("a connection failed")
        finally:
            connection.abort()
            self._crowd.leave(connection)
            if self._drained is not None and not len(self._crowd):
                self._drained.set()

    def _refuse(self, stream: trio.SocketStream, nursery: trio.Nursery) -> None:
        if len(self._being_told) >= _TOLD:
            first = next(iter(self._being_told))
            del self._being_told[first]
            first.socket.close()
        self._being_told[stream] = None
        nursery.start_soon(self._tell, stream)

    async def _tell(self, stream: trio.SocketStream) -> None:
        """Answer a connection that is refused, and give its client the time to read that."""
        message = "The server has as many connections open as it may: try again later."
        request_id = new_id()
        body = error_body("overloaded", message, request_id)
        try:
            with trio.move_on_after(_TELL_SECONDS):
                await stream.send_all(whole_answer(503, body, request_id, (b"retry-after", b"1")))
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            stream.socket.close()
            self._being_told.pop(stream, None)


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
        unsent = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if unsent is not None:
            listener.socket.setsockopt(socket.IPPROTO_TCP, unsent, _MOST_UNSENT)
    return listeners
