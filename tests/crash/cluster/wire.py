"""The wire between one node and the database: it may be cut, or fall silent, and be mended."""

from typing import Literal, TypeAlias

import attrs
import trio

from crash.cluster.relay import Relay, connect, reset

__all__ = ["Wire", "WireState"]

WireState: TypeAlias = Literal["whole", "cut", "silent"]


@attrs.define(eq=False)
class Wire:
    """Listens on a port of its own, for as long as `serve` runs.

    A wire that is cut resets its connections, and refuses new ones. One that is silent carries
    nothing: neither side is told, what was sent stays under way, and arrives when it is mended.
    """

    to_port: int
    port: int = 0
    state: WireState = "whole"
    _relays: set[Relay] = attrs.field(factory=set)
    _speaks: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take connections; started when there is a `port`."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        self.mend()
        task_status.started()
        await trio.serve_listeners(self._connected, [listener])

    def cut(self) -> None:
        """Reset all connections, and those that come."""
        self.state = "cut"
        for relay in tuple(self._relays):
            relay.cut()

    def silence(self) -> None:
        """Carry nothing more."""
        self.state = "silent"
        self._speaks = trio.Event()

    def mend(self) -> None:
        """Carry what comes, and what was held back."""
        self.state = "whole"
        self._speaks.set()

    async def _connected(self, client: trio.SocketStream) -> None:
        await self._until_it_speaks()
        server = await connect(self.to_port) if self.state == "whole" else None
        if server is None:
            reset(client)
            return
        relay = Relay(client, server, self._until_it_speaks)
        self._relays.add(relay)
        try:
            await relay.run()
        finally:
            self._relays.discard(relay)

    async def _until_it_speaks(self) -> None:
        await self._speaks.wait()
