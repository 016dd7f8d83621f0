"""Permissions: what waits for a person's answer, and the answers."""

from typing import get_args
from urllib.parse import quote

from quart import Response

from wingman.api import (
    PermissionAnswer,
    PermissionRequest,
    PermissionsQuery,
    PermissionStatus,
)
from wingman.errors import ForbiddenTool, InvalidRequest
from wingman.runtime import Runtime
from wingman.server.callers import comes_from_a_command
from wingman.server.exchange import json_response, next_page
from wingman.server.handlers import Handlers

__all__ = ["permission_handlers"]


def permission_handlers(runtime: Runtime) -> Handlers:
    """List and read requests, and answer them."""
    handlers = Handlers()

    async def some(session_id: str | None, path: str, query: PermissionsQuery) -> Response:
        statuses = _statuses(query.status)
        page = await runtime.permissions(session_id, statuses, query.limit, query.cursor)
        asked = {"status": query.status} if query.status != "pending" else {}
        return json_response(page, headers=next_page(path, query.limit, page.next, asked))

    @handlers.add
    async def list_permissions(query: PermissionsQuery) -> Response:
        return await some(None, "/permissions", query)

    @handlers.add
    async def list_session_permissions(session_id: str, query: PermissionsQuery) -> Response:
        path = f"/sessions/{quote(session_id, safe='')}/permissions"
        return await some(session_id, path, query)

    @handlers.add
    async def read_permission(session_id: str, permission_id: str) -> PermissionRequest:
        return await runtime.permission(session_id, permission_id)

    @handlers.add
    async def answer_permission(
        session_id: str, permission_id: str, body: PermissionAnswer
    ) -> PermissionRequest:
        if comes_from_a_command(runtime):
            raise ForbiddenTool(
                "A tool's command cannot answer for the user: the request waits for a person."
            )
        return await runtime.answer(session_id, permission_id, body)

    return handlers


def _statuses(text: str) -> tuple[PermissionStatus, ...]:
    """The statuses asked for, by `?status=pending` or `?status=allowed,rejected`; none for all."""
    if text == "all":
        return ()
    known = get_args(PermissionStatus)
    statuses = tuple(name.strip() for name in text.split(","))
    for name in statuses:
        if name not in known:
            raise InvalidRequest(
                f"A status is one of {', '.join(known)}, or all, not {name!r} - at `?status`"
            )
    return statuses  # type: ignore[return-value]
