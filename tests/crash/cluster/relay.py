"""Bytes from one connection to another, both ways, on loopback: for a wire and a balancer."""

import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

import attrs
import trio

__all__ = ["Relay", "connect", "reset"]

_CHUNK: Final = 65536
_LOST: Final = (trio.BrokenResourceError, trio.ClosedResourceError)
_CONNECT_SECONDS: Final = 1.0


async def connect(port: int) -> trio.SocketStream | None:
    """A connection to a port of this machine; None if nobody takes it within a second."""
    with suppress(OSError), trio.move_on_after(_CONNECT_SECONDS):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        assert isinstance(stream, trio.SocketStream)
        return stream
    return None


def reset(stream: trio.SocketStream) -> None:
    """Close a connection with a RST: its other side sees an error, and no end."""
    with suppress(OSError):
        stream.socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def _always() -> None:
    await trio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Relay:
    """A client's connection and a server's, until one of them ends or it is `cut`.

    What was read waits for `open` before it is sent on.
    """

    client: trio.SocketStream
    server: trio.SocketStream
    open: Callable[[], Awaitable[None]] = _always

    async def run(self) -> None:
        """Send on what comes, until one side ends: then end both."""
        async with self.client, self.server, trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, self.client, self.server, nursery.cancel_scope)
            nursery.start_soon(self._pump, self.server, self.client, nursery.cancel_scope)

    def cut(self) -> None:
        """Reset both connections."""
        reset(self.client)
        reset(self.server)

    async def _pump(
        self, source: trio.SocketStream, sink: trio.SocketStream, both: trio.CancelScope
    ) -> None:
        with suppress(*_LOST):
            while data := await source.receive_some(_CHUNK):
                await self.open()
                await sink.send_all(data)
        both.cancel()
