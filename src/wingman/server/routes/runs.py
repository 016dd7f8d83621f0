"""Runs and cancelling: what runs, what ran, and how to stop it."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from quart import Blueprint, Response, request

from wingman.errors import InvalidRequest
from wingman.run import STATUSES, Status
from wingman.runtime import Runtime
from wingman.server.exchange import body, json_response, next_page, page_query, query_int

__all__ = ["run_routes"]

_LONGEST_WAIT = 300
_PAGE = 100


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to cancel beside the run in flight, and which run that is."""

    queued: bool = False
    run_id: Annotated[str, msgspec.Meta(min_length=1)] | None = None


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body that has nothing to say."""


def run_routes(runtime: Runtime) -> Blueprint:
    """Read runs; cancel a session's run, one run, or one tool call."""
    routes = Blueprint("runs", __name__)

    async def some(session_id: str | None, path: str) -> Response:
        limit, cursor = page_query(_PAGE)
        statuses = _statuses()
        page = await runtime.runs(session_id, statuses, limit, cursor)
        query = {"status": ",".join(statuses)} if statuses else {}
        return json_response(page, headers=next_page(path, limit, page.next, query))

    @routes.get("/runs")
    async def list_all() -> Response:
        return await some(None, "/runs")

    @routes.get("/sessions/<session_id>/runs")
    async def list_of_session(session_id: str) -> Response:
        return await some(session_id, f"/sessions/{quote(session_id, safe='')}/runs")

    @routes.get("/sessions/<session_id>/runs/<run_id>")
    async def read(session_id: str, run_id: str) -> Response:
        wait = query_int("wait", 0, least=0, most=_LONGEST_WAIT)
        return json_response(await runtime.describe_run(session_id, run_id, wait))

    @routes.post("/sessions/<session_id>/cancel")
    async def cancel_session(session_id: str) -> Response:
        fields = await body(CancelBody, may_be_empty=True)
        return json_response(
            await runtime.cancel(session_id, queued=fields.queued, run_id=fields.run_id)
        )

    @routes.post("/sessions/<session_id>/runs/<run_id>/cancel")
    async def cancel_run(session_id: str, run_id: str) -> Response:
        await body(Empty, may_be_empty=True)
        return json_response(await runtime.cancel_run(session_id, run_id))

    @routes.post("/sessions/<session_id>/runs/<run_id>/tools/<tool_use_id>/cancel")
    async def cancel_tool(session_id: str, run_id: str, tool_use_id: str) -> Response:
        await body(Empty, may_be_empty=True)
        return json_response(await runtime.cancel_tool(session_id, run_id, tool_use_id))

    return routes


def _statuses() -> tuple[Status, ...]:
    """The statuses asked for, by `?status=running` or `?status=queued,running`."""
    text = request.args.get("status")
    if not text:
        return ()
    statuses = tuple(name.strip() for name in text.split(","))
    for name in statuses:
        if name not in STATUSES:
            raise InvalidRequest(
                f"A status is one of {', '.join(STATUSES)}, not {name!r} - at `?status`"
            )
    return statuses  # type: ignore[return-value]
