"""Permissions as the contract has them: rules, requests that wait for a person, and answers."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from wingman.api.route import LINK, STORE, WRITE, Answer, Body, Cursor, Limit, Route, Time

__all__ = [
    "ROUTES",
    "Approver",
    "Decision",
    "Effect",
    "OnAsk",
    "PermissionAnswer",
    "PermissionForm",
    "PermissionRequest",
    "PermissionRule",
    "PermissionStatus",
    "PermissionsQuery",
]

Effect: TypeAlias = Literal["allow", "ask", "deny"]
"""What a rule says of a call."""

OnAsk: TypeAlias = Literal["wait", "reject"]
"""What a call does that needs an answer: it waits for one, or is rejected since nobody is there."""

Decision: TypeAlias = Literal["once", "always", "reject"]
"""What a person answers: run this call, run this and the like in this session, or do not run it."""

PermissionStatus: TypeAlias = Literal["pending", "allowed", "rejected", "cancelled", "expired"]
"""Where a request stands. `cancelled`: its call or its run was; `expired`: nobody answered."""

Pattern: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
Id: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class PermissionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls of this `action` on what `resource` matches have this `effect`. `*` matches any text.

    An action is a tool's permission or its name: `bash`, `read`, `edit`, `webfetch`, …
    """

    action: Pattern
    effect: Effect
    resource: Pattern = "*"


PermissionForm: TypeAlias = (
    Effect | dict[Pattern, Effect | dict[Pattern, Effect]] | tuple[PermissionRule, ...]
)
"""Rules in order, the last match wins: `"ask"` for all, `{"bash": "ask"}` for an action,
`{"bash": {"*": "ask", "git status*": "allow"}}` for some of it, or a list of rules."""


class PermissionRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool call that a person is asked about, or was; or a question of a tool that runs.

    `action` and `resources` say what it would do, and `always` is what the answer `always` would
    grant for the session; where that is empty, it can be answered `once` only. `input` is the
    call's, or what a person has made of it; a list leaves out one that is long, and says `cut`.
    `message` is what the person told the model.

    A question has a `schema`, a JSON Schema: the answer's `input` is to fit it, and the question's
    words are the only one of `resources`. Its call has begun, so it ends with the process.
    """

    id: str
    session_id: str
    run_id: str
    tool_use_id: str
    tool: str
    action: str
    resources: tuple[str, ...]
    always: tuple[str, ...]
    status: PermissionStatus
    created_at: Time
    input: dict[str, Any] | None = None
    decision: Decision | None = None
    message: str | None = None
    expires_at: Time | None = None
    resolved_at: Time | None = None
    cut: bool = False
    schema: dict[str, Any] | None = None


class PermissionAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's answer. `message` goes to the model, and `input` is given to the tool instead of
    the call's own, or answers a tool's question."""

    decision: Decision
    message: Annotated[str, msgspec.Meta(max_length=10_000)] | None = None
    input: dict[str, Any] | None = None


Approver: TypeAlias = Callable[[PermissionRequest], Awaitable[PermissionAnswer | Decision]]
"""Who answers requests in a program: an async function of its own."""


class PermissionsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests, newest first: those that wait where nothing else is said. `status` may name
    several, separated by commas, or be `all`."""

    status: str = "pending"
    limit: Limit = 100
    cursor: Cursor | None = None


_REQUESTS: Final = Answer(200, "Some requests.", tuple[PermissionRequest, ...], headers=(LINK,))

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="list_permissions",
        method="GET",
        path="/permissions",
        section="permissions",
        summary="List what waits for an answer, in all sessions",
        query=PermissionsQuery,
        answers=(_REQUESTS,),
        errors=("invalid_request", *STORE),
    ),
    Route(
        name="list_session_permissions",
        method="GET",
        path="/sessions/{session_id}/permissions",
        section="permissions",
        summary="List what waits for an answer in a session",
        query=PermissionsQuery,
        answers=(_REQUESTS,),
        errors=("invalid_request", "session_not_found", *STORE),
    ),
    Route(
        name="read_permission",
        method="GET",
        path="/sessions/{session_id}/permissions/{permission_id}",
        section="permissions",
        summary="Read a request",
        answers=(Answer(200, "The request.", PermissionRequest),),
        errors=("session_not_found", "permission_not_found", *STORE),
    ),
    Route(
        name="answer_permission",
        method="POST",
        path="/sessions/{session_id}/permissions/{permission_id}",
        section="permissions",
        summary="Answer a request",
        description="The first answer counts: a later one is `already_resolved`. The call runs, or "
        "is rejected, once the answer is recorded.",
        body=Body(PermissionAnswer, {"decision": "once"}),
        answers=(Answer(200, "The request, resolved.", PermissionRequest),),
        errors=(
            "session_not_found",
            "permission_not_found",
            "already_resolved",
            "session_deleted",
            "session_quarantined",
            "forbidden_tool",
            *WRITE,
        ),
    ),
)
