"""Runs and cancelling: what runs, what ran, and how to stop it."""

from typing import get_args

import msgspec
import trio
from quart import Blueprint, Response, request

from wingman.errors import InvalidRequest, NotFound
from wingman.runtime import Runtime
from wingman.server.exchange import body, json_response, query_int
from wingman.server.views import RunView, run_view
from wingman.session import Receipt, Status

__all__ = ["run_routes"]

_LONGEST_WAIT = 300
_PAGE = 100


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to cancel beside the run in flight."""

    queued: bool = False


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body that has nothing to say."""


def run_routes(runtime: Runtime) -> Blueprint:
    """Read runs; cancel a session's run, one run, or one tool call."""
    routes = Blueprint("runs", __name__)
    host = runtime.host

    async def views(session_id: str | None) -> list[RunView]:
        limit = query_int("limit", _PAGE, least=1, most=1000)
        wanted = _statuses()
        stored = dict.fromkeys("running" if s == "cancelling" else s for s in wanted)
        records = await runtime.store.runs(session_id, tuple(stored), limit)
        found = [run_view(record, host.find(record.session_id)) for record in records]
        return [view for view in found if not wanted or view.status in wanted]

    @routes.get("/runs")
    async def list_all() -> Response:
        return json_response(await views(None))

    @routes.get("/sessions/<session_id>/runs")
    async def list_of_session(session_id: str) -> Response:
        if await runtime.store.session(session_id) is None:
            raise NotFound("session", session_id)
        return json_response(await views(session_id))

    @routes.get("/sessions/<session_id>/runs/<run_id>")
    async def read(session_id: str, run_id: str) -> Response:
        wait = query_int("wait", 0, least=0, most=_LONGEST_WAIT)
        live = host.find(session_id)
        run = None if live is None else live.runs.get(run_id)
        if run is not None and wait:
            with trio.move_on_after(wait):
                await run.wait()
        record = await runtime.store.run(session_id, run_id)
        if record is None:
            raise NotFound("run", run_id)
        return json_response(run_view(record, live))

    @routes.post("/sessions/<session_id>/cancel")
    async def cancel_session(session_id: str) -> Response:
        fields = await body(CancelBody, may_be_empty=True)
        return json_response(await host.cancel(session_id, queued=fields.queued))

    @routes.post("/sessions/<session_id>/runs/<run_id>/cancel")
    async def cancel_run(session_id: str, run_id: str) -> Response:
        await body(Empty, may_be_empty=True)
        run = await host.run(session_id, run_id)
        return json_response(await run.cancel())

    @routes.post("/sessions/<session_id>/runs/<run_id>/tools/<tool_use_id>/cancel")
    async def cancel_tool(session_id: str, run_id: str, tool_use_id: str) -> Response:
        await body(Empty, may_be_empty=True)
        run = await host.run(session_id, run_id)
        if run.live is None:
            return json_response(Receipt(()))
        return json_response(await run.cancel_tool(tool_use_id))

    return routes


def _statuses() -> tuple[Status, ...]:
    """The statuses asked for, by `?status=running` or `?status=queued,running`."""
    text = request.args.get("status")
    if not text:
        return ()
    known = get_args(Status)
    statuses = tuple(name.strip() for name in text.split(","))
    for name in statuses:
        if name not in known:
            raise InvalidRequest(
                f"A status is one of {', '.join(known)}, not {name!r} - at `?status`"
            )
    return statuses  # type: ignore[return-value]
