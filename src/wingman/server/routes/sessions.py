"""/sessions: create, list, read, change and delete sessions; follow their events."""

import msgspec
from msgspec import UNSET, UnsetType
from quart import Blueprint, Response, request

from wingman.errors import InvalidRequest
from wingman.runtime import Runtime
from wingman.server.exchange import body, json_response, next_page, page_query
from wingman.server.history import history_response
from wingman.server.sse import SessionFrames, included, stream_response

__all__ = ["session_routes"]

_READ_ONLY = ("id", "status", "last_event_id", "created_at", "updated_at", "usage", "history")
_PAGE = 100
_LONGEST_ID = 18


class NewSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said of a session at its creation."""

    work_dir: str = "."
    title: str | None = None
    agent_id: str | None = None


class SessionFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of a session; what is not given stays."""

    work_dir: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    agent_id: str | UnsetType | None = UNSET


def session_routes(runtime: Runtime) -> Blueprint:
    """Everything of a session but its messages."""
    routes = Blueprint("sessions", __name__)

    @routes.post("/sessions")
    async def create() -> Response:
        fields = await body(NewSession, may_be_empty=True)
        session = await runtime.create_session(
            fields.agent_id, work_dir=fields.work_dir, title=fields.title
        )
        view = await runtime.describe(session.id)
        return json_response(view, 201, {"Location": f"/sessions/{session.id}"})

    @routes.get("/sessions")
    async def list_some() -> Response:
        limit, cursor = page_query(_PAGE)
        page = await runtime.sessions(limit, cursor)
        return json_response(page.sessions, headers=next_page("/sessions", limit, page.next))

    @routes.get("/sessions/<session_id>")
    async def read(session_id: str) -> Response:
        return await history_response(await runtime.read_session(session_id))

    @routes.put("/sessions/<session_id>")
    async def update(session_id: str) -> Response:
        fields = await body(SessionFields, ignore=_READ_ONLY)
        given = {k: v for k, v in msgspec.structs.asdict(fields).items() if v is not UNSET}
        await runtime.update_session(session_id, **given)
        return await history_response(await runtime.read_session(session_id))

    @routes.delete("/sessions/<session_id>")
    async def delete(session_id: str) -> Response:
        await runtime.delete(session_id)
        return json_response({"status": "deleted"})

    @routes.get("/sessions/<session_id>/events")
    async def events(session_id: str) -> Response:
        reader = await runtime.follow(session_id, _cursor())
        kinds = included(request.args.get("include"))
        return stream_response(SessionFrames(reader, kinds))

    return routes


def _cursor() -> int | None:
    """Where a reader goes on: after `Last-Event-ID`, or `?after=`, or from now."""
    text = request.headers.get("Last-Event-ID") or request.args.get("after")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID):
        raise InvalidRequest(
            f"An event id is a number, not {text!r}: send the id of the last frame you have seen "
            "as `Last-Event-ID` or `?after=`"
        )
    return int(text)
