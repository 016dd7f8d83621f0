"""Sessions as the contract has them."""

import re
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from wingman.api.frames import SESSION_STREAM
from wingman.api.permissions import PermissionForm
from wingman.api.route import (
    DELETED,
    LINK,
    LOCATION,
    STORE,
    WRITE,
    Answer,
    Body,
    Cursor,
    Header,
    Limit,
    Route,
    Time,
)
from wingman.api.runs import Status
from wingman.conversation import Message, Usage

__all__ = [
    "LABEL",
    "ROUTES",
    "CallInProgress",
    "CallState",
    "EventsQuery",
    "InProgress",
    "NewSession",
    "PageQuery",
    "SessionFields",
    "SessionQuery",
    "SessionStatus",
    "SessionView",
]

SessionStatus: TypeAlias = Literal["idle", Status]
"""`idle`, or the status of the run in flight."""


LABEL: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a label looks like: of a node, and of a session that needs such a node."""


class NewSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said of a session at its creation.

    With a `label`, only nodes of the server that have it own the session: such as those on which
    its `work_dir` is.
    """

    work_dir: str = "."
    title: str | None = None
    agent_id: str | None = None
    permissions: PermissionForm | None = None
    label: str | None = None


class SessionFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of a session; what is not given stays."""

    work_dir: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    agent_id: str | UnsetType | None = UNSET
    permissions: PermissionForm | UnsetType | None = UNSET


CallState: TypeAlias = Literal["announced", "waiting", "queued", "running", "ended"]
"""Where a call of the step under way stands: the model has asked for it; a person is asked about
it; it waits for a place among its siblings; it runs; it has its result."""


class CallInProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call of the step under way. `permission_id` is the request that it waits for, and
    `content` its result once it has `ended`, with `structured` if its tool has that."""

    id: str
    name: str
    input: dict[str, Any]
    state: CallState
    permission_id: str | None = None
    content: str | None = None
    is_error: bool = False
    structured: Any = None


class InProgress(msgspec.Struct, frozen=True):
    """The step under way of the run in flight, as far as it has come: what is not in the history
    yet. Who follows the session's events from here on begins after `event_id`."""

    run_id: str
    event_id: int
    step: int
    text: str
    thinking: str
    calls: tuple[CallInProgress, ...]


class SessionView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session; in lists without its history.

    `last_event_id`: where a reader of the history
    goes on with the events. `in_progress` is what the run in flight has made since: whoever shows
    that goes on after its own `event_id`.
    """

    id: str
    work_dir: str
    title: str | None
    agent_id: str | None
    status: SessionStatus
    last_event_id: int
    created_at: Time
    updated_at: Time
    usage: Usage
    permissions: PermissionForm | None = None
    in_progress: InProgress | None = None
    label: str | None = None
    history: tuple[Message, ...] | UnsetType = UNSET


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list: `cursor` is that of the page before, from its `Link` header."""

    limit: Limit = 100
    cursor: Cursor | None = None


class SessionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`view`: the whole history, or what models are shown of it after it was compacted."""

    view: Literal["history", "model"] = "history"


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a reader begins, and which events it wants beside the usual ones.

    `after` is an event's id, as `Last-Event-ID` is. `include` is any of `thinking`, `step` and
    `progress`, with commas.
    """

    after: str | None = None
    include: str | None = None


_LAST_EVENT_ID: Final = Header(
    "Last-Event-ID", "The id of the last frame that was seen: the stream goes on after it."
)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="create_session",
        method="POST",
        path="/sessions",
        section="sessions",
        summary="Create a session",
        body=Body(NewSession, {"title": "A first look"}, optional=True),
        answers=(Answer(201, "The session.", SessionView, headers=(LOCATION,)),),
        errors=("agent_not_found", "session_elsewhere", "no_node", *WRITE),
    ),
    Route(
        name="list_sessions",
        method="GET",
        path="/sessions",
        section="sessions",
        summary="List sessions, newest first",
        query=PageQuery,
        answers=(
            Answer(
                200,
                "Sessions without their histories.",
                tuple[SessionView, ...],
                headers=(LINK,),
            ),
        ),
        errors=STORE,
    ),
    Route(
        name="read_session",
        method="GET",
        path="/sessions/{session_id}",
        section="sessions",
        summary="Read a session with its history",
        query=SessionQuery,
        answers=(Answer(200, "The session.", SessionView),),
        errors=("session_not_found", *STORE),
    ),
    Route(
        name="list_messages",
        method="GET",
        path="/sessions/{session_id}/messages",
        section="sessions",
        summary="Read the last messages of a session's history, or those before them",
        description="They are in order. `Link` leads to the messages before them.",
        query=PageQuery,
        answers=(Answer(200, "Some of its messages.", tuple[Message, ...], headers=(LINK,)),),
        errors=("session_not_found", *STORE),
    ),
    Route(
        name="update_session",
        method="PUT",
        path="/sessions/{session_id}",
        section="sessions",
        summary="Change a session",
        description="Fields that are not given keep their values. It holds from the next run on.",
        body=Body(
            SessionFields,
            {"title": "A second look"},
            ignored=frozenset(
                {
                    "id",
                    "status",
                    "last_event_id",
                    "created_at",
                    "updated_at",
                    "usage",
                    "history",
                }
            ),
        ),
        answers=(Answer(200, "The session.", SessionView),),
        errors=("session_not_found", "agent_not_found", *WRITE),
    ),
    Route(
        name="delete_session",
        method="DELETE",
        path="/sessions/{session_id}",
        section="sessions",
        summary="Delete a session and all of it",
        description="What runs is cancelled first, and its end is waited for.",
        answers=(DELETED,),
        errors=("session_not_found", *WRITE),
    ),
    Route(
        name="follow_session",
        method="GET",
        path="/sessions/{session_id}/events",
        section="sessions",
        summary="Follow a session",
        description="It begins with what comes next, or after the event that is named.",
        query=EventsQuery,
        headers=(_LAST_EVENT_ID,),
        answers=(
            Answer(
                200,
                "The session's events, from run to run.",
                media_types=("text/event-stream",),
                frames=SESSION_STREAM,
            ),
        ),
        errors=("session_not_found", "session_quarantined", *WRITE),
    ),
)
