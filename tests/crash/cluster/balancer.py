"""A balancer before the nodes: each connection goes to the next one that is ready.

It works as HAProxy does with `option httpchk GET /ready` and `on-marked-down shutdown-sessions`: a
node that says that it is not ready gets no new connections and keeps those it has; one that does
not answer at all loses these, too.
"""

from contextlib import suppress
from typing import Final

import attrs
import httpx
import trio

from crash.cluster.relay import Relay, connect, reset

__all__ = ["Balancer"]

_EVERY: Final = 0.2
_ANSWER_SECONDS: Final = 1.0
_PATIENCE: Final = 5.0


@attrs.define(eq=False)
class _Backend:
    port: int
    ready: bool = False
    relays: set[Relay] = attrs.field(factory=set)

    def gone(self) -> None:
        self.ready = False
        for relay in tuple(self.relays):
            relay.cut()


@attrs.define(eq=False)
class Balancer:
    """Listens on a port of its own, for as long as `serve` runs; `add` gives it nodes.

    A client waits for a node that is ready, though not for long.
    """

    port: int = 0
    _backends: dict[str, _Backend] = attrs.field(factory=dict)
    _turn: int = 0

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take connections; started when there is a `port`."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
        self.port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, nursery)
            task_status.started()
            await trio.serve_listeners(self._connected, [listener])

    def add(self, name: str, port: int) -> None:
        """A node of this name is there now: another life of it, if it was there before."""
        self.remove(name)
        self._backends[name] = _Backend(port)

    def remove(self, name: str) -> None:
        """This node is gone."""
        if backend := self._backends.pop(name, None):
            backend.gone()

    def ready(self) -> set[str]:
        """The names of the nodes that have said that they are ready."""
        return {name for name, backend in self._backends.items() if backend.ready}

    async def _watch(self, nursery: trio.Nursery) -> None:
        asked: set[_Backend] = set()
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS) as http:
            while True:
                for backend in set(self._backends.values()) - asked:
                    asked.add(backend)
                    nursery.start_soon(self._ask, http, backend, asked)
                await trio.sleep(_EVERY)

    async def _ask(self, http: httpx.AsyncClient, backend: _Backend, asked: set[_Backend]) -> None:
        try:
            answer = await http.get(f"http://127.0.0.1:{backend.port}/ready")
        except httpx.TransportError:
            backend.gone()
        else:
            backend.ready = answer.status_code == 200
        finally:
            asked.discard(backend)

    async def _connected(self, client: trio.SocketStream) -> None:
        found = None
        with trio.move_on_after(_PATIENCE):
            while found is None:
                found = await self._reach()
        if found is None:
            reset(client)
            return
        backend, server = found
        relay = Relay(client, server)
        backend.relays.add(relay)
        try:
            with suppress(OSError):
                await relay.run()
        finally:
            backend.relays.discard(relay)

    async def _reach(self) -> tuple[_Backend, trio.SocketStream] | None:
        """The next node that is ready, and a connection to it."""
        ready = [backend for backend in self._backends.values() if backend.ready]
        if not ready:
            await trio.sleep(0.02)
            return None
        self._turn += 1
        backend = ready[self._turn % len(ready)]
        server = await connect(backend.port)
        if server is None:
            backend.gone()
            return None
        return backend, server
