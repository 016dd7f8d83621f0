"""Runs, and what a cancel did, as the contract has them."""

from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec

from wingman.api.route import LINK, STORE, Answer, Body, Cursor, Limit, Route, Time
from wingman.conversation import Usage
from wingman.events import Result

__all__ = [
    "ROUTES",
    "STATUSES",
    "CallOutcome",
    "CancelBody",
    "CancelledRun",
    "CancelledTool",
    "Empty",
    "Receipt",
    "RunFailure",
    "RunQuery",
    "RunView",
    "RunsQuery",
    "Status",
]

Status: TypeAlias = Literal[
    "queued",
    "running",
    "waiting",
    "cancelling",
    "steered",
    "completed",
    "failed",
    "cancelled",
    "interrupted",
]
"""What is shown of a run. The store knows all of these but `cancelling`."""

STATUSES: tuple[Status, ...] = get_args(Status)

CallOutcome: TypeAlias = Literal["completed", "stopped", "still_running"]
"""What became of a tool call that was cancelled: `completed` is one that ended by itself."""


class RunFailure(msgspec.Struct, frozen=True):
    """Why a run failed: the error's stable code, and its text."""

    code: str
    message: str


class RunView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run. `cost` is what it has cost, where the prices are known.

    `waiting_for` says why one that is queued does not start although its turn has come. `cut` says
    that its message, its result or its error is not whole, as it may be in a list.

    `steers` is the run that was to read the message while it was in flight. With the status
    `steered` it has, and its result is what came of the message.
    """

    id: str
    session_id: str
    message: str
    agent_id: str
    status: Status
    result: Result | None
    error: RunFailure | None
    steps: int
    usage: Usage
    created_at: Time
    started_at: Time | None
    ended_at: Time | None
    cost: float | None = None
    waiting_for: RunFailure | None = None
    cut: bool = False
    steers: str | None = None


class CancelledTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool call that was in flight when its run, or it alone, was cancelled.

    `stopped` means that the call has ended and that no process is left which it, or a process of
    it, had started. What it handed to a service that ran before (tmux's server, Docker, systemd,
    at, cron) or to another machine (ssh) is not among these, and goes on: `note` says so where the
    call names a client of one.
    """

    id: str
    outcome: CallOutcome
    note: str | None = None


class CancelledRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a cancel did to one run. `outcome` is given where that was not to stop it: it still
    runs, or it was about to end by itself, and has. `unread` are the words that were to steer the
    run that was cancelled, and that it had not read."""

    run_id: str
    was: Status
    stopped_in_ms: float
    tools: tuple[CancelledTool, ...] = ()
    outcome: Literal["still_running", "completed", "failed"] | None = None
    unread: str | None = None


class Receipt(msgspec.Struct, frozen=True):
    """What a cancel did. Empty if there was nothing to cancel."""

    cancelled: tuple[CancelledRun, ...]


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to cancel beside the run in flight, and which run that is."""

    queued: bool = False
    run_id: Annotated[str, msgspec.Meta(min_length=1)] | None = None


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body that has nothing to say."""


class RunsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs: of these statuses, with commas; all if none is given. And which part of them."""

    status: str | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class RunQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how many seconds the answer is held until the run has ended."""

    wait: Annotated[int, msgspec.Meta(ge=0, le=300)] = 0


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="list_runs",
        method="GET",
        path="/runs",
        section="runs",
        summary="List runs of all sessions, newest first",
        query=RunsQuery,
        answers=(Answer(200, "Some runs.", tuple[RunView, ...], headers=(LINK,)),),
        errors=STORE,
    ),
    Route(
        name="find_run",
        method="GET",
        path="/runs/{run_id}",
        section="runs",
        summary="Read a run of any session, or wait for its end",
        query=RunQuery,
        answers=(Answer(200, "The run, with the id of its session.", RunView),),
        errors=("run_not_found", "session_deleted", *STORE),
    ),
    Route(
        name="list_session_runs",
        method="GET",
        path="/sessions/{session_id}/runs",
        section="runs",
        summary="List a session's runs, newest first",
        query=RunsQuery,
        answers=(Answer(200, "Some of its runs.", tuple[RunView, ...], headers=(LINK,)),),
        errors=("session_not_found", *STORE),
    ),
    Route(
        name="read_run",
        method="GET",
        path="/sessions/{session_id}/runs/{run_id}",
        section="runs",
        summary="Read a run, or wait for its end",
        query=RunQuery,
        answers=(Answer(200, "The run.", RunView),),
        errors=("session_not_found", "run_not_found", "session_deleted", *STORE),
    ),
    Route(
        name="cancel_session",
        method="POST",
        path="/sessions/{session_id}/cancel",
        section="runs",
        summary="Cancel what runs in a session",
        description="It is answered when the work has really stopped, or after 5 s.",
        body=Body(CancelBody, {"queued": True}, optional=True),
        answers=(Answer(200, "What was cancelled.", Receipt),),
        errors=("session_not_found", "run_not_found", "run_ended", "run_queued", *STORE),
    ),
    Route(
        name="cancel_run",
        method="POST",
        path="/sessions/{session_id}/runs/{run_id}/cancel",
        section="runs",
        summary="Cancel one run",
        body=Body(Empty, optional=True),
        answers=(Answer(200, "What was cancelled.", Receipt),),
        errors=("session_not_found", "run_not_found", *STORE),
    ),
    Route(
        name="cancel_tool",
        method="POST",
        path="/sessions/{session_id}/runs/{run_id}/tools/{tool_use_id}/cancel",
        section="runs",
        summary="Cancel one tool call",
        description="The model is told, and the run goes on.",
        body=Body(Empty, optional=True),
        answers=(Answer(200, "What was cancelled.", Receipt),),
        errors=("session_not_found", "run_not_found", "tool_call_not_found", *STORE),
    ),
)
