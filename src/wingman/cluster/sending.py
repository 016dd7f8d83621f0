"""Sending: what needs a session of another node is sent to that node, and its answer comes back."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self

import attrs
import httpx
import trio

from wingman.cluster.member import Member
from wingman.errors import NodeLost
from wingman.store import Node

__all__ = ["CALLERS", "COMMAND", "NODE", "Answer", "Sender", "Unsent"]

NODE: Final = b"wingman-node"
CALLERS: Final = b"wingman-callers"
COMMAND: Final = b"wingman-command"
"""Headers of what one node sends to another: the other's secret; the sessions that wait for whoever
sent the request; and whether a tool's command did."""

MISDIRECTED: Final = 421
"""The status of what was sent to a node that does not own the session."""

_CONNECT_SECONDS: Final = 2.0
# Shorter than the time after which our own server closes an idle connection.
_IDLE_SECONDS: Final = 2.0
_IDLE_CONNECTIONS: Final = 64

# Headers of one connection, and what is said to the node that a client has asked.
_NOT_SENT: Final = frozenset(
    {
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"expect",
        b"host",
        b"keep-alive",
        b"origin",
        b"proxy-authorization",
        b"proxy-connection",
        b"sec-fetch-site",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
        NODE,
        CALLERS,
        COMMAND,
    }
)
_NOT_ANSWERED: Final = frozenset(
    {b"connection", b"date", b"keep-alive", b"server", b"transfer-encoding", b"x-request-id"}
)

# What may be asked for again, whatever became of it.
_HARMLESS: Final = frozenset({"GET", "HEAD"})


class Unsent(Exception):
    """Nothing was done there: the request may be answered otherwise. `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen
class Answer:
    """What another node answers: its `pieces` come as they are taken."""

    status: int
    headers: Collection[tuple[bytes, bytes]]
    pieces: AsyncIterator[bytes]


class Sender:
    """Sends to the other nodes. An async context manager: it has connections."""

    def __init__(self, member: Member) -> None:
        self._member = member
        limits = httpx.Limits(
            max_connections=None,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
        )
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        self._client = httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, value, traceback)  # noqa: ASYNC102 it closes sockets

    async def node(self, number: int | None) -> Node | None:
        """A node that lives, by its number."""
        living = await self._member.nodes.living()
        return next((node for node in living if node.number == number), None)

    @asynccontextmanager
    async def send(
        self,
        node: Node,
        method: str,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        more: Mapping[bytes, bytes],
    ) -> AsyncIterator[Answer]:
        """Send a request to this node. `target` is its path and query, `more` are headers beside
        the client's own.

        Raises `Unsent` where nothing can have come of it; `NodeLost` where that is not known. Where
        the node goes away during its answer, the pieces end with `NodeLost`.
        """
        if node.terms.url is None:
            raise Unsent(f"Node {node.number} is in a process without a server.")
        base = httpx.URL(node.terms.url)
        sent = [pair for pair in headers if pair[0] not in _NOT_SENT]
        request = self._client.build_request(
            method,
            base.copy_with(raw_path=target),
            headers=[*sent, (NODE, node.secret.encode()), *more.items()],
            content=body or None,
        )
        death = self._member.death(node)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_at, death, scope)
                answer = await self._begun(node, request)
                try:
                    yield Answer(answer.status_code, _kept(answer), _pieces(node, answer))
                finally:
                    with trio.CancelScope(shield=True):  # it closes a socket
                        await answer.aclose()
                nursery.cancel_scope.cancel()
        if scope.cancelled_caught:
            raise self._lost(node, method)

    async def _begun(self, node: Node, request: httpx.Request) -> httpx.Response:
        try:
            answer = await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise Unsent(f"Node {node.number} ({node.terms.url}) is not reached.") from error
        except httpx.HTTPError as error:
            raise self._lost(node, request.method) from error
        if answer.status_code == MISDIRECTED:
            await answer.aclose()
            raise Unsent(f"Node {node.number} does not own the session.")
        return answer

    def _lost(self, node: Node, method: str) -> Unsent | NodeLost:
        if method in _HARMLESS:
            return Unsent(f"Node {node.number} went away.")
        return NodeLost(
            f"Node {node.number}, which owned the session, went away before it had answered. What "
            "became of the request is not known: a message may be sent again with its request_id."
        )


async def _cancel_at(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _kept(answer: httpx.Response) -> Collection[tuple[bytes, bytes]]:
    return [
        (name.lower(), value)
        for name, value in answer.headers.raw
        if name.lower() not in _NOT_ANSWERED
    ]


async def _pieces(node: Node, answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    except httpx.HTTPError as error:
        raise NodeLost(f"Node {node.number} went away during its answer.") from error
