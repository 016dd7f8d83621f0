"""Clients: the MCP sessions of those that have shaken hands, and their calls of `run_agent`.

A session here is a name for one client, no session of an agent: a request's id means something
within it alone. It is in memory, and a client that is told that its session is gone begins anew.
Clients of the newer generation have none.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import attrs
import msgspec
import trio

from wingman.errors import NotFound
from wingman.ids import new_id
from wingman.server.mcp.jsonrpc import INTERNAL_ERROR, Id, Refused
from wingman.session import Run

__all__ = ["Call", "Client", "Clients", "Waiting"]

_MOST_CLIENTS: Final = 1024
_IDLE_SECONDS: Final = 24 * 3600
# Calls of one client that are known after their end: a request that comes again is answered from
# the run that it had.
_KNOWN_CALLS: Final = 16

_encode = msgspec.json.Encoder(order="sorted").encode


@attrs.define(eq=False)
class Call:
    """One call of `run_agent`: how many requests wait for it, and its run.

    The same request may come twice, where its client's connection broke. `run` is there while
    somebody waits for it, `found` (the ids of its session and itself) from its admission on. Where
    another node answers, neither is.
    """

    digest: bytes = b""
    run: Run | None = None
    found: tuple[str, str] | None = None
    cancelled: bool = False
    waiting: int = 0
    admission: trio.Lock = attrs.field(factory=trio.Lock, repr=False)
    _sent_on: set[trio.CancelScope] = attrs.field(factory=set, init=False, repr=False)

    @contextmanager
    def sent_on(self) -> Iterator[trio.CancelScope]:
        """While another node answers: a scope that is cancelled when the call is."""
        self.waiting += 1
        with trio.CancelScope() as scope:
            self._sent_on.add(scope)
            if self.cancelled:
                scope.cancel()
            try:
                yield scope
            finally:
                self._sent_on.discard(scope)
                self.waiting -= 1

    def cancel(self) -> None:
        """The client does not want the answer any more."""
        self.cancelled = True
        for scope in self._sent_on:
            scope.cancel()
        if self.run is not None:
            self.run.request_cancel()


class Waiting:
    """A request that waits for a call, until it has its answer or its client has left."""

    def __init__(self, call: Call) -> None:
        self._call: Call | None = call
        call.waiting += 1

    def answered(self) -> None:
        """It has its answer, or needs none any more."""
        self._end(cancels=False)

    def left(self) -> None:
        """Its client has left: if no other request waits, nobody wants what the run comes to."""
        self._end(cancels=True)

    def _end(self, *, cancels: bool) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        call.waiting -= 1
        if not call.waiting:
            run, call.run = call.run, None
            if cancels and run is not None:
                run.request_cancel()


@attrs.define(eq=False)
class Client:
    """One MCP session."""

    id: str
    used_at: float
    _calls: OrderedDict[tuple[type, Id], Call] = attrs.field(factory=OrderedDict, repr=False)

    @property
    def is_waiting(self) -> bool:
        """Whether a request of it waits for a run."""
        return any(call.waiting for call in self._calls.values())

    def call(self, id: Id, arguments: Any) -> Call:
        """The call of this request: a new one, or the one that came before and asked the same."""
        digest = hashlib.sha256(_encode(arguments)).digest()
        key = (type(id), id)
        known = self._calls.get(key)
        if known is not None and known.digest == digest:
            return known
        call = self._calls[key] = Call(digest)
        self._calls.move_to_end(key)
        ended = [key for key, one in self._calls.items() if not one.waiting and one is not call]
        for key in ended[: max(0, len(ended) - _KNOWN_CALLS)]:
            del self._calls[key]
        return call

    def cancel(self, id: Id) -> None:
        """Cancel the call of this request, if somebody waits for it."""
        call = self._calls.get((type(id), id))
        if call is not None and call.waiting:
            call.cancel()

    def end(self) -> None:
        """Cancel all that it waits for."""
        for call in self._calls.values():
            if call.waiting:
                call.cancel()


class Clients:
    """The MCP sessions, in the order of their last use."""

    def __init__(self, most: int = _MOST_CLIENTS, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._most = most
        self._idle = idle_seconds
        self._all: OrderedDict[str, Client] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, node: str = "") -> Client:
        """A new session, whose id begins with `node`. Raises `Refused` where all that there may be
        are in use."""
        now = trio.current_time()
        self._forget_idle(now)
        if len(self._all) >= self._most:
            first = next((one for one in self._all.values() if not one.is_waiting), None)
            if first is None:
                raise Refused(
                    INTERNAL_ERROR, "The server has as many MCP sessions in use as it may"
                )
            del self._all[first.id]
        client = Client(node + new_id(), now)
        self._all[client.id] = client
        return client

    def find(self, id: str) -> Client:
        """A session by its id; it counts as used. Raises `NotFound`."""
        now = trio.current_time()
        self._forget_idle(now)
        client = self._all.get(id)
        if client is None:
            raise NotFound("mcp_session", id)
        client.used_at = now
        self._all.move_to_end(id)
        return client

    def end(self, id: str) -> None:
        """End a session, and cancel what it waits for. Raises `NotFound`."""
        self.find(id).end()
        del self._all[id]

    def _forget_idle(self, now: float) -> None:
        while self._all:
            first = next(iter(self._all.values()))
            if first.used_at + self._idle > now or first.is_waiting:
                return
            del self._all[first.id]
