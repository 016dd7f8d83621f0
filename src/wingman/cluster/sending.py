"""Sending: what needs a session of another node is sent to that node, and its answer comes back."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Final, Self

import attrs
import httpx
import trio

from wingman.cluster.connections import Connections
from wingman.cluster.member import Member
from wingman.errors import NodeLost
from wingman.store import Node

__all__ = ["OTHER_NODE", "Answer", "Sender", "Unsent"]

MISDIRECTED: Final = 421
"""The status of what was sent to a node that does not own the session."""

OTHER_NODE: Final = b"wingman-other-node"
"""A header of such an answer: it is not the node whose secret it was shown."""

_CONNECT_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 1.0

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
    }
)
_OF_NODES: Final = b"wingman-"
_NOT_ANSWERED: Final = frozenset(
    {b"connection", b"date", b"keep-alive", b"server", b"transfer-encoding", b"x-request-id"}
)

_WENT: Final = "Node {} went away during its answer."

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
        self._connections = Connections()
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        self._extensions = {"timeout": timeout.as_dict()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connections.aclose()  # noqa: ASYNC102 it closes sockets

    async def node(self, number: int | None, *, look: bool = False) -> Node | None:
        """A node by its number: as it was seen last, if it was and has an address; or to `look` for
        it now."""
        seen = self._member.lives.seen(number)
        if seen is not None and seen.terms.url is not None and not look:
            return seen
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
        """Send a request to this node. `target` is its path and query, `more` are what this node
        says beside the client's own `headers`.

        Raises `Unsent` where nothing can have come of it; `NodeLost` where that is not known. Where
        the node goes away during its answer, the pieces end with `NodeLost`.
        """
        if node.terms.url is None:
            raise Unsent(f"Node {node.number} is in a process without a server.")
        url = httpx.URL(node.terms.url)
        sent = [
            (name, value)
            for name, value in headers
            if name not in _NOT_SENT and not name.startswith(_OF_NODES)
        ]
        request = httpx.Request(
            method,
            url,
            headers=[*sent, *more.items()],
            content=body or None,
            # httpx would resolve `..` in a path, and so ask for something else than the client has.
            extensions={**self._extensions, "target": target},
        )
        began = False
        with self._member.lives.while_lives(node) as scope:
            async with self._connections.to(url) as connection:
                answer = await self._begun(node, request, connection)
                raw = answer.aiter_raw()
                try:
                    began = True
                    yield Answer(answer.status_code, _kept(answer), _Pieces(node, raw))
                finally:
                    # It closes a socket; what reads from that ends with an error, instead of never.
                    with trio.move_on_after(_CLOSE_SECONDS, shield=True):
                        with suppress(httpx.HTTPError, httpx.StreamError):
                            await answer.aclose()
                            async for _ in raw:
                                pass
        if scope.cancelled_caught:
            raise NodeLost(_WENT.format(node.number)) if began else self._lost(node, method)

    async def _begun(
        self, node: Node, request: httpx.Request, connection: httpx.AsyncHTTPTransport
    ) -> httpx.Response:
        try:
            answer = await connection.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise Unsent(f"Node {node.number} ({node.terms.url}) is not reached.") from error
        except httpx.HTTPError as error:
            raise self._lost(node, request.method) from error
        if answer.status_code == MISDIRECTED:
            await answer.aclose()
            if OTHER_NODE.decode() in answer.headers:
                raise Unsent(
                    f"Another node than node {node.number}, whose address it is, answers at "
                    f"{node.terms.url}. It was just started again, or its --node-url is wrong."
                )
            raise Unsent(f"Node {node.number} does not own the session.")
        return answer

    def _lost(self, node: Node, method: str) -> Unsent | NodeLost:
        if method in _HARMLESS:
            return Unsent(f"Node {node.number} went away.")
        return NodeLost(
            f"Node {node.number}, which owned the session, went away before it had answered. What "
            "became of the request is not known: a message may be sent again with its request_id."
        )


def _kept(answer: httpx.Response) -> Collection[tuple[bytes, bytes]]:
    return [
        (name.lower(), value)
        for name, value in answer.headers.raw
        if name.lower() not in _NOT_ANSWERED
    ]


@attrs.define
class _Pieces:
    """The pieces of an answer, as they come."""

    _node: Node
    _raw: AsyncIterator[bytes]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._raw)
        except httpx.HTTPError as error:
            raise NodeLost(_WENT.format(self._node.number)) from error
