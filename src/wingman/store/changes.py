"""Changes: what can be written. Each is a value, and says what has happened.

A change of a session or a run that is not there (any more) does nothing, and is no error.
"""

from datetime import datetime
from typing import Final, TypeAlias

import msgspec

from wingman.api import AgentRecord, Credential, McpServer, PermissionRequest, RunFailure
from wingman.conversation import Message, ToolResultBlock, Usage
from wingman.events import Result
from wingman.store.records import Compacted, RunRecord, RunStatus, SessionRecord

__all__ = [
    "MOST_PASSES",
    "AgentDeleted",
    "AgentSaved",
    "CallEnded",
    "CeilingRaised",
    "Change",
    "CredentialDeleted",
    "CredentialSaved",
    "HistoryCompacted",
    "McpServerDeleted",
    "McpServerSaved",
    "PassIssued",
    "PassTaken",
    "PermissionAsked",
    "PermissionResolved",
    "RunEnded",
    "RunQueued",
    "RunStarted",
    "RunSteered",
    "SessionClaimed",
    "SessionDeleting",
    "SessionErased",
    "SessionReleased",
    "SessionSaved",
    "StepEnded",
    "StepRecorded",
]

MOST_PASSES: Final = 256
"""Passes that are kept: a new one takes the place of the oldest."""


class AgentSaved(msgspec.Struct, frozen=True):
    """An agent is new, or has changed.

    `before` is the `updated_at` of the record from which a change was made: where another process
    has changed the agent since, or removed it, nothing is written. Who needs to know reads it.
    """

    agent: AgentRecord
    before: datetime | None = None


class AgentDeleted(msgspec.Struct, frozen=True):
    """An agent is gone; runs that were admitted with it keep their copy."""

    agent_id: str


class CredentialSaved(msgspec.Struct, frozen=True):
    """A provider's credential is new, or has changed."""

    provider: str
    credential: Credential


class CredentialDeleted(msgspec.Struct, frozen=True):
    """A provider's credential is gone."""

    provider: str


class McpServerSaved(msgspec.Struct, frozen=True):
    """An MCP server is new, or is reached in another way."""

    name: str
    server: McpServer


class McpServerDeleted(msgspec.Struct, frozen=True):
    """An MCP server is gone."""

    name: str


class PassIssued(msgspec.Struct, frozen=True):
    """A secret opens something until `ends_at`. What is kept of it is its `hash`.

    Those that have ended by `issued_at` go, and all but the newest `MOST_PASSES`.
    """

    hash: str
    issued_at: datetime
    ends_at: datetime


class PassTaken(msgspec.Struct, frozen=True):
    """A secret opens nothing any more. `taken_by` is kept of the first of these, and no other's:
    so whoever reads it knows whose it was."""

    hash: str
    taken_by: str


class SessionSaved(msgspec.Struct, frozen=True):
    """A session is new, or its title, work_dir, agent_id, permissions or updated_at
    changed.

    Of a session that exists nothing else is written: its counters belong to its runs. One that
    `is_new` is made where it is not there; another one may have been erased by another node.
    """

    session: SessionRecord
    is_new: bool = True


class SessionClaimed(msgspec.Struct, frozen=True):
    """A node makes a session its own, if nobody owns it, or `former` does: a node that was found
    dead. Whether it has become so is read from the store afterwards.

    Where a store has one owner, all sessions are that one's, and this does nothing.
    """

    session_id: str
    former: int | None = None


class SessionReleased(msgspec.Struct, frozen=True):
    """A node lets go of a session, if it owns it: from now on nobody does."""

    session_id: str


class SessionDeleting(msgspec.Struct, frozen=True):
    """A session is marked as deleted: from here on no read shows it or its runs."""

    session_id: str


class SessionErased(msgspec.Struct, frozen=True):
    """A session's rows are removed: history, runs, pending steps, permission
    requests, and itself. So are the agents, as
    they were at admission, that no run of another session has."""

    session_id: str


class RunQueued(msgspec.Struct, frozen=True):
    """A run is admitted. Its place in the session's queue is the order of these.

    Its id, and its request id within the session, must be new: else nothing of the call is written.
    """

    run: RunRecord


class RunStarted(msgspec.Struct, frozen=True):
    """A run begins: it is `running`, and its message enters the history, if it has one."""

    session_id: str
    run_id: str
    started_at: datetime
    message: Message | None
    event_ceiling: int


class CeilingRaised(msgspec.Struct, frozen=True):
    """Events up to `event_ceiling` may be published from now on."""

    session_id: str
    event_ceiling: int


class StepRecorded(msgspec.Struct, frozen=True):
    """The assistant's message of a step that asks for tools, before any of its calls runs.

    `usage` and `cost` are the run's, up to here.
    """

    session_id: str
    run_id: str
    step: int
    message: Message
    usage: Usage
    cost: float | None = None


class PermissionAsked(msgspec.Struct, frozen=True):
    """A call of the step under way needs a person's answer: its run is `waiting`.

    One whose id is there already stays as it is.
    """

    request: PermissionRequest


class PermissionResolved(msgspec.Struct, frozen=True):
    """A request that was `pending` is not any more; one that was not stays as it is.

    `request` is all of it, as it is now. Where nothing of the run waits any more, the run is
    `running`.
    """

    request: PermissionRequest


class CallEnded(msgspec.Struct, frozen=True):
    """A call of the step under way has its result."""

    session_id: str
    run_id: str
    result: ToolResultBlock


class StepEnded(msgspec.Struct, frozen=True):
    """A whole step enters the history, and what was pending of it goes; the run goes on.

    `steps`, `usage` and `cost` are the run's, up to here. The history now contains all that was
    published up to `last_event_id`.
    """

    session_id: str
    run_id: str
    messages: tuple[Message, ...]
    steps: int
    usage: Usage
    last_event_id: int
    cost: float | None = None


class HistoryCompacted(msgspec.Struct, frozen=True):
    """From now on the session's models are shown this of its history, which stays as it is.

    `usage` and `cost` are the run's, up to here.
    """

    session_id: str
    run_id: str
    compacted: Compacted
    created_at: datetime
    usage: Usage
    cost: float | None = None


class RunSteered(msgspec.Struct, frozen=True):
    """The message of a queued run was read by the run in flight: it is in the history as one of
    that run's, and is no run of its own any more. One that is not queued stays as it is."""

    session_id: str
    run_id: str
    ended_at: datetime


class RunEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A run is over, whatever it was before; the messages of its last step enter the history.

    What of it waits for an answer is `cancelled`, at the same time.

    Exactly one of `result` and `error` is given. `session_usage` is the session's new sum. The
    history now contains all that was published up to `last_event_id` (both None: the run had not
    started, and the session's counters are not its matter). The `event_ceiling` stays: the run's
    last event is published after this, and whoever is told an id never sees it given again.

    `from_messages`: the result is what `summarize` makes of all messages that this run has in the
    history, so that a store need not keep them twice.
    """

    session_id: str
    run_id: str
    status: RunStatus
    ended_at: datetime
    steps: int
    usage: Usage
    messages: tuple[Message, ...] = ()
    result: Result | None = None
    error: RunFailure | None = None
    session_usage: Usage | None = None
    last_event_id: int | None = None
    cost: float | None = None
    from_messages: bool = False


Change: TypeAlias = (
    AgentSaved
    | AgentDeleted
    | CredentialSaved
    | CredentialDeleted
    | McpServerSaved
    | McpServerDeleted
    | PassIssued
    | PassTaken
    | SessionSaved
    | SessionClaimed
    | SessionReleased
    | SessionDeleting
    | SessionErased
    | RunQueued
    | RunStarted
    | CeilingRaised
    | StepRecorded
    | PermissionAsked
    | PermissionResolved
    | CallEnded
    | StepEnded
    | HistoryCompacted
    | RunSteered
    | RunEnded
)
