"""Requests for permissions at a server: listed, read, and answered once."""

from collections.abc import Sequence
from typing import Final

from wingman.api import Decision, PermissionAnswer, PermissionRequest, PermissionStatus
from wingman.client.answers import decode
from wingman.client.exchange import Exchange, Reply, Request
from wingman.client.pages import Pages
from wingman.errors import AlreadyResolved, WingmanError
from wingman.face import answered

__all__ = ["answer_permission", "read_permission", "some_permissions"]

_PATH: Final = "/sessions/{session_id}/permissions/{permission_id}"
_PAGE: Final = 100


def some_permissions(
    exchange: Exchange,
    session_id: str | None,
    statuses: Sequence[PermissionStatus],
    page: int = _PAGE,
) -> Pages[PermissionRequest]:
    """Requests of one session or of all, newest first; of these statuses, or of all if none."""
    query = {"limit": page, "status": ",".join(statuses) or "all"}
    if session_id is None:
        request = Request.to("GET", "/permissions", query=query)
    else:
        request = Request.to(
            "GET", "/sessions/{session_id}/permissions", query=query, session_id=session_id
        )
    return Pages(exchange, request, tuple[PermissionRequest, ...])


async def read_permission(
    exchange: Exchange, session_id: str, permission_id: str
) -> PermissionRequest:
    """One request, whole. Raises `NotFound`."""
    return await exchange.ask(_reading(session_id, permission_id), PermissionRequest)


async def answer_permission(
    exchange: Exchange, session_id: str, permission_id: str, given: PermissionAnswer | Decision
) -> PermissionRequest:
    """Answer a request, also over connections that break.

    Where the answer to an earlier try was lost, and the server says that the request is resolved,
    that may be by the earlier try: it is, where what is recorded is what was answered here.
    """
    answer = answered(given)
    request = Request.to(
        "POST", _PATH, body=answer, session_id=session_id, permission_id=permission_id
    )

    async def by_earlier_try(failure: WingmanError) -> Reply | None:
        if not isinstance(failure, AlreadyResolved):
            return None
        reading = _reading(session_id, permission_id)
        reply = await exchange.reply(reading)
        found = decode(reply.body, PermissionRequest, str(reading))
        return reply if _is(found, answer) else None

    return await exchange.ask(request, PermissionRequest, done=by_earlier_try)


def _reading(session_id: str, permission_id: str) -> Request:
    return Request.to("GET", _PATH, session_id=session_id, permission_id=permission_id)


def _is(found: PermissionRequest, answer: PermissionAnswer) -> bool:
    """Whether this is what the answer comes to. One without an input leaves the call's own, which
    is not known here."""
    return (
        found.decision == answer.decision
        and found.message == answer.message
        and answer.input in (None, found.input)
    )
