"""Runs and cancelling: what runs, what ran, and how to stop it."""

from urllib.parse import quote

from quart import Response

from wingman.api import STATUSES, CancelBody, Empty, Receipt, RunQuery, RunsQuery, RunView, Status
from wingman.errors import InvalidRequest
from wingman.runtime import Runtime
from wingman.server.exchange import json_response, next_page
from wingman.server.handlers import Handlers

__all__ = ["run_handlers"]


def run_handlers(runtime: Runtime) -> Handlers:
    """Read runs; cancel a session's run, one run, or one tool call."""
    handlers = Handlers()

    async def some(session_id: str | None, path: str, query: RunsQuery) -> Response:
        statuses = _statuses(query.status)
        page = await runtime.runs(session_id, statuses, query.limit, query.cursor)
        asked = {"status": ",".join(statuses)} if statuses else {}
        return json_response(page, headers=next_page(path, query.limit, page.next, asked))

    @handlers.add
    async def list_runs(query: RunsQuery) -> Response:
        return await some(None, "/runs", query)

    @handlers.add
    async def list_session_runs(session_id: str, query: RunsQuery) -> Response:
        return await some(session_id, f"/sessions/{quote(session_id, safe='')}/runs", query)

    @handlers.add
    async def find_run(run_id: str, query: RunQuery) -> RunView:
        return await runtime.describe_run(None, run_id, query.wait)

    @handlers.add
    async def read_run(session_id: str, run_id: str, query: RunQuery) -> RunView:
        return await runtime.describe_run(session_id, run_id, query.wait)

    @handlers.add
    async def cancel_session(session_id: str, body: CancelBody) -> Receipt:
        return await runtime.cancel(session_id, queued=body.queued, run_id=body.run_id)

    @handlers.add
    async def cancel_run(session_id: str, run_id: str, body: Empty) -> Receipt:
        return await runtime.cancel_run(session_id, run_id)

    @handlers.add
    async def cancel_tool(session_id: str, run_id: str, tool_use_id: str, body: Empty) -> Receipt:
        return await runtime.cancel_tool(session_id, run_id, tool_use_id)

    return handlers


def _statuses(text: str | None) -> tuple[Status, ...]:
    """The statuses asked for, by `?status=running` or `?status=queued,running`."""
    if not text:
        return ()
    statuses = tuple(name.strip() for name in text.split(","))
    for name in statuses:
        if name not in STATUSES:
            raise InvalidRequest(
                f"A status is one of {', '.join(STATUSES)}, not {name!r} - at `?status`"
            )
    return statuses  # type: ignore[return-value]
