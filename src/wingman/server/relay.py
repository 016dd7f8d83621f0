"""Relay: a request that another node is to answer, as this server's client sees it.

The whole request goes there, once this node has found out whose the session is: so any node answers
for any session, and clients know no nodes. A request that was sent here by another node is never
sent on: this one answers that the session is not its own, and the sender looks again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import attrs
import trio
from quart import Request, Response

from wingman.errors import NodeLost, SessionElsewhere
from wingman.runtime import Runtime
from wingman.server.bodies import CountedRequest
from wingman.server.callers import (
    CALLERS,
    COMMAND,
    MAY_PASS,
    NODE,
    callers_of,
    comes_from_a_command,
)
from wingman.server.errors import REQUEST_ID, AnswerCut

if TYPE_CHECKING:
    from wingman.cluster import Answer, Member, Sender
    from wingman.store import Node

__all__ = ["CallElsewhere", "ClientElsewhere", "Relay", "TakenBack", "relay_of"]

_TRIES: Final = 6
# Between two tries: while a session changes hands, nobody owns it for a moment.
_FIRST_PAUSE: Final = 0.05


class ClientElsewhere(SessionElsewhere):
    """Another node knows the client. It may send the request on, to the node that has the session:
    once, as no node sends a client back."""


class CallElsewhere(SessionElsewhere):
    """Another node has the session of a call that its client may take back: that cancels the scope
    which is `sent_on`. `taken_back` is what the client is answered then."""

    def __init__(
        self,
        elsewhere: SessionElsewhere,
        sent_on: Callable[[], AbstractContextManager[trio.CancelScope]],
        taken_back: Callable[[], Response],
    ) -> None:
        super().__init__(elsewhere.message, elsewhere.node)
        self.sent_on = sent_on
        self.taken_back = taken_back


class TakenBack(Exception):
    """A call was taken back before there was an answer. `response` is what its client gets."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@attrs.frozen
class Relay:
    """Has other nodes answer. `callers_of` knows who sent a request: the sessions that wait for
    it, and whether it was a tool's command."""

    sender: "Sender"
    callers_of: Callable[[], tuple[frozenset[str], bool]]

    async def answer(
        self,
        request: Request,
        elsewhere: SessionElsewhere,
        send: Callable[[Any], Awaitable[None]],
        again: Callable[[], Awaitable[SessionElsewhere | None]],
    ) -> None:
        """Have the session's owner answer the request. Where it does not own the session any more,
        `again` answers it here; or says where else it is to be sent.

        Raises `SessionElsewhere` where it is not to be found, `NodeLost`, `TakenBack`, `AnswerCut`.
        """
        if not isinstance(elsewhere, CallElsewhere):
            await self._answer(request, elsewhere, send, again)
            return
        begun = False

        async def send_noted(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        with elsewhere.sent_on() as scope:
            await self._answer(request, elsewhere, send_noted, again)
        if scope.cancelled_caught:
            raise AnswerCut if begun else TakenBack(elsewhere.taken_back())

    async def _answer(
        self,
        request: Request,
        elsewhere: SessionElsewhere,
        send: Callable[[Any], Awaitable[None]],
        again: Callable[[], Awaitable[SessionElsewhere | None]],
    ) -> None:
        from wingman.cluster import Unsent  # noqa: PLC0415  (few are one of many nodes)

        pause, last = 0.0, elsewhere
        for tried in range(_TRIES):
            node = await self.sender.node(elsewhere.node, look=tried > 0)
            if node is not None:
                try:
                    may_pass = isinstance(elsewhere, ClientElsewhere)
                    await self._have_answered(node, request, send, may_pass)
                except Unsent as unsent:
                    last = SessionElsewhere(f"{unsent.reason} Ask again.")
                else:
                    return
            await trio.sleep(pause)
            pause = 2 * pause + _FIRST_PAUSE
            found = await again()
            if found is None:
                return
            elsewhere = found
        raise last

    async def _have_answered(
        self,
        node: "Node",
        request: Request,
        send: Callable[[Any], Awaitable[None]],
        may_pass: bool,
    ) -> None:
        scope = cast("dict[str, Any]", request.scope)
        query: bytes = scope["query_string"]
        target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
        body = await cast("CountedRequest", request).kept_body()
        more = self._more(node, scope)
        if may_pass:
            more[MAY_PASS] = b"1"
        begun = False
        try:
            async with self.sender.send(
                node, request.method, target, scope["headers"], body, more
            ) as answer:
                begun = True
                await _pass_on(answer, send)
        except NodeLost as error:
            if begun:
                raise AnswerCut from error
            raise

    def _more(self, node: "Node", scope: dict[str, Any]) -> dict[bytes, bytes]:
        callers, is_command = self.callers_of()
        more = {
            NODE: node.secret.encode(),
            b"x-request-id": str(scope.get(REQUEST_ID, "")).encode(),
        }
        if callers:
            more[CALLERS] = ",".join(sorted(callers)).encode()
        if is_command:
            more[COMMAND] = b"1"
        return more


async def _pass_on(answer: "Answer", send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    async for piece in answer.pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def relay_of(runtime: Runtime, member: "Member") -> AsyncIterator[Relay]:
    """The relay of a runtime that is one of many nodes; it has connections to the others."""
    from wingman.cluster import Sender  # noqa: PLC0415

    async with Sender(member) as sender:
        yield Relay(sender, lambda: (callers_of(runtime), comes_from_a_command(runtime)))
