"""/sessions: create, list, read, change and delete sessions; follow their events."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import UNSET
from quart import Response, request

from wingman.api import Deleted, EventsQuery, NewSession, PageQuery, SessionFields, SessionQuery
from wingman.errors import InvalidRequest, StoreUnavailable
from wingman.runtime import Runtime
from wingman.server.exchange import created, json_response, next_page
from wingman.server.handlers import Handlers
from wingman.server.history import history_response
from wingman.server.sse import SessionFrames, included, stream_response

__all__ = ["session_handlers"]

_LONGEST_ID = 18


def session_handlers(runtime: Runtime) -> Handlers:
    """Everything of a session but its messages."""
    handlers = Handlers()

    @handlers.add
    async def create_session(body: NewSession) -> Response:
        session = await runtime.create_session(
            body.agent_id,
            work_dir=body.work_dir,
            title=body.title,
            permissions=body.permissions,
            label=body.label,
        )
        with _recorded(f"Session {session.id}"):
            view = await runtime.describe(session.id)
        return created(view, f"/sessions/{session.id}")

    @handlers.add
    async def list_sessions(query: PageQuery) -> Response:
        page = await runtime.sessions(query.limit, query.cursor)
        return json_response(page.sessions, headers=next_page("/sessions", query.limit, page.next))

    @handlers.add
    async def read_session(session_id: str, query: SessionQuery) -> Response:
        if query.view == "model":
            return json_response(await runtime.describe(session_id, as_model=True))
        return await history_response(await runtime.read_session(session_id))

    @handlers.add
    async def list_messages(session_id: str, query: PageQuery) -> Response:
        session = await runtime.session_messages(session_id, query.limit, query.cursor)
        link = next_page(f"/sessions/{session_id}/messages", query.limit, session.next)
        return json_response(session, headers=link)

    @handlers.add
    async def update_session(session_id: str, body: SessionFields) -> Response:
        given = {k: v for k, v in msgspec.structs.asdict(body).items() if v is not UNSET}
        await runtime.update_session(session_id, **given)
        with _recorded(f"The change of session {session_id}"):
            found = await runtime.read_session(session_id)
        return await history_response(found)

    @handlers.add
    async def delete_session(session_id: str) -> Deleted:
        await runtime.delete(session_id)
        return Deleted()

    @handlers.add
    async def follow_session(session_id: str, query: EventsQuery) -> Response:
        kinds = included(query.include)
        reader = await runtime.follow(session_id, _cursor(query))
        return stream_response(SessionFrames(reader, kinds))

    return handlers


@contextmanager
def _recorded(what: str) -> Iterator[None]:
    """Where what was asked for is recorded, and the answer cannot be read, say so."""
    try:
        yield
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"{what} is recorded, and could not be read for the answer: {error.message}",
            error.retry_after,
        ) from error


def _cursor(query: EventsQuery) -> int | None:
    """Where a reader goes on: after `Last-Event-ID`, or `?after=`, or from now."""
    text = request.headers.get("Last-Event-ID") or query.after
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID):
        raise InvalidRequest(
            f"An event id is a number, not {text!r}: send the id of the last frame you have seen "
            "as `Last-Event-ID` or `?after=`"
        )
    return int(text)
