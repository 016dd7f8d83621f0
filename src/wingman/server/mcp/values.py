"""What the tools take and give: their arguments and results, which are also their schemas."""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar, overload

import msgspec
from msgspec import UNSET, UnsetType

from wingman.api import RunFailure, SessionStatus, Status
from wingman.conversation import Usage

__all__ = [
    "AgentRun",
    "Cancel",
    "GetSession",
    "ListSessions",
    "Question",
    "RunAgent",
    "Sessions",
    "ShownCall",
    "ShownMessage",
    "ShownProgress",
    "ShownResult",
    "ShownSession",
    "ShownWhole",
    "given",
]

T = TypeVar("T")


def _about(description: str, **more: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, **more)


_TEXT: Any = {"type": "string"}  # msgspec leaves the type of a choice out, and some clients need it

_Limit: TypeAlias = Annotated[int, _about("How many at most.", ge=1, le=100)]
_Cursor: TypeAlias = Annotated[
    int,
    _about("The `next_cursor` of the answer before: what comes after that.", ge=1, le=2**63 - 1),
]


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of a tool."""


class RunAgent(_Arguments, frozen=True):
    """A message to an agent."""

    message: Annotated[str, _about("What the agent is told.", min_length=1)]
    agent: (
        Annotated[
            str,
            _about("The agent's name or id. Needed for a new session; else the session's own."),
        ]
        | UnsetType
    ) = UNSET
    session: (
        Annotated[str, _about("The session to go on in, by its id. Without one, one is made.")]
        | UnsetType
    ) = UNSET
    work_dir: (
        Annotated[str, _about("The directory that a new session's tools work in.")] | UnsetType
    ) = UNSET
    background: Annotated[
        bool,
        _about("Answer at once with the run's id, and let the run go on: read it by get_session."),
    ] = False
    on_busy: Annotated[
        Literal["queue", "reject", "interrupt", "steer"],
        _about(
            "What the message does where a run is in flight in the session: wait its turn; be "
            "refused; end that run; or be read by it at its next step.",
            extra_json_schema=_TEXT,
        ),
    ] = "queue"
    on_ask: (
        Annotated[
            Literal["wait", "reject"],
            _about(
                "What becomes of a tool call that needs a person's permission: it waits for the "
                "answer, or is rejected at once.",
                extra_json_schema=_TEXT,
            ),
        ]
        | UnsetType
    ) = UNSET
    max_steps: (
        Annotated[int, _about("How many steps the run may have.", ge=1, le=1_000_000)] | UnsetType
    ) = UNSET
    request_id: (
        Annotated[
            str,
            _about(
                "A message with this id is run once in its session, however often it is sent; "
                "needs `session`.",
                min_length=1,
                max_length=255,
            ),
        ]
        | UnsetType
    ) = UNSET


class ListSessions(_Arguments, frozen=True):
    """Which part of the list."""

    limit: _Limit = 20
    cursor: _Cursor | UnsetType = UNSET


class GetSession(_Arguments, frozen=True):
    """Which session, and which part of its history."""

    session: Annotated[str, _about("The session's id.")]
    limit: _Limit = 20
    cursor: _Cursor | UnsetType = UNSET


class Cancel(_Arguments, frozen=True):
    """What to cancel."""

    session: Annotated[str, _about("The session whose run is cancelled.")] | UnsetType = UNSET
    run: (
        Annotated[str, _about("The run to cancel, in flight or queued, and no other.")] | UnsetType
    ) = UNSET
    queued: Annotated[bool, _about("Cancel also what waits its turn in the session.")] = False


class AgentRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `cut`: its response is not whole."""

    session_id: str
    run_id: str
    status: Status
    response: str
    stop_reason: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    output: Any = UNSET
    steps: int | UnsetType = UNSET
    tool_calls: int | UnsetType = UNSET
    usage: Usage | UnsetType = UNSET
    cost: float | UnsetType = UNSET
    error: RunFailure | UnsetType = UNSET
    cut: bool | UnsetType = UNSET


class ShownSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session, as a list has it."""

    session_id: str
    title: str | UnsetType
    agent: str | UnsetType
    status: SessionStatus
    work_dir: str
    created_at: str
    updated_at: str
    usage: Usage


class Sessions(msgspec.Struct, frozen=True):
    """Some sessions, newest first."""

    sessions: tuple[ShownSession, ...]
    next_cursor: int | UnsetType = UNSET


class ShownCall(msgspec.Struct, frozen=True):
    """A tool call of the model. `input` is JSON, and may be cut."""

    id: str
    name: str
    input: str


class ShownResult(msgspec.Struct, frozen=True):
    """What a tool call gave."""

    id: str
    content: str
    is_error: bool


class ShownMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the history. `cut`: some of it was left out."""

    role: Literal["user", "assistant"]
    text: str
    calls: tuple[ShownCall, ...] | UnsetType = UNSET
    results: tuple[ShownResult, ...] | UnsetType = UNSET
    images: int | UnsetType = UNSET
    cut: bool | UnsetType = UNSET


class ShownProgress(msgspec.Struct, frozen=True):
    """The step under way: what the model has said, and the calls that have not ended."""

    run_id: str
    step: int
    text: str
    calls: tuple[str, ...]


class Question(msgspec.Struct, frozen=True):
    """A tool call that waits for a person's permission, and where it is answered."""

    permission_id: str
    tool: str
    resources: tuple[str, ...]
    answer_at: str


class ShownWhole(ShownSession, frozen=True, kw_only=True):
    """A session with some of its messages, in order, and how it stands."""

    messages: tuple[ShownMessage, ...]
    next_cursor: int | UnsetType = UNSET
    last_run: AgentRun | UnsetType = UNSET
    in_progress: ShownProgress | UnsetType = UNSET
    waits_for: tuple[Question, ...] | UnsetType = UNSET


@overload
def given(value: T | UnsetType) -> T | None: ...
@overload
def given(value: T | UnsetType, otherwise: T) -> T: ...
def given(value: T | UnsetType, otherwise: T | None = None) -> T | None:
    """A value, or another where there is none."""
    return otherwise if value is UNSET else value
