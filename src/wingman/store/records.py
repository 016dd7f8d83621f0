"""Records: what the store keeps, and gives back whole."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from wingman.api import AgentRecord, OnAsk, PermissionForm, PermissionRequest, RunFailure
from wingman.conversation import NO_USAGE, ImageBlock, Message, ToolResultBlock, Usage
from wingman.events import Result

__all__ = [
    "Compacted",
    "CutRun",
    "HistoryPage",
    "ListedRun",
    "MessagePage",
    "Pass",
    "PendingStep",
    "PermissionPage",
    "RunPage",
    "RunRecord",
    "RunStatus",
    "SessionPage",
    "SessionRecord",
]

RunStatus: TypeAlias = Literal[
    "queued",
    "running",
    "waiting",
    "steered",
    "completed",
    "failed",
    "cancelled",
    "interrupted",
]
"""What the store knows of a run's status; `cancelling` is only ever seen in the live runtime.

`waiting`: the run has begun, and a person has not answered about one of its calls. `steered`: its
message was read by another run, and it has no end of its own."""


class Pass(msgspec.Struct, frozen=True):
    """What is kept of a secret: until when it opens something, and who has used it up."""

    ends_at: datetime
    taken_by: str | None = None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One message, from its admission to its end.

    `agent` is the agent as it was at admission; it is None for one that a program defines in code,
    which is found again by `agent_id`, its name. `body_hash` tells whether a request id comes
    again with the same body. `cost` is what the run has cost up to here, None where nobody knows.
    `permissions` are the message's own rules, `on_ask` and `ask_timeout` (seconds) say what becomes
    of a call that needs an answer. `steers` is the run in flight that is to read the message.
    One that `compacts` asks for no answer: it compacts the history, as its message says.
    """

    id: str
    session_id: str
    message: str
    agent_id: str
    agent: AgentRecord | None
    created_at: datetime
    request_id: str | None = None
    body_hash: str | None = None
    max_steps: int | None = None
    status: RunStatus = "queued"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: Result | None = None
    usage: Usage = NO_USAGE
    steps: int = 0
    error: RunFailure | None = None
    images: tuple[ImageBlock, ...] | None = None
    cost: float | None = None
    permissions: PermissionForm | None = None
    on_ask: OnAsk | None = None
    ask_timeout: float | None = None
    steers: str | None = None
    compacts: bool = False

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.status not in ("queued", "running", "waiting")


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What the models of a session are shown of its history: `summary` in place of the first `upto`
    messages, and of those before `shortened` no long tool results. Tokens are estimates."""

    upto: int = 0
    shortened: int = 0
    summary: str = ""
    tokens_before: int = 0
    tokens_after: int = 0


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A session without its history.

    `last_event_id`: the history contains all up to this event. `event_ceiling`: no event above it
    has been published, so that ids only grow, whatever happens. `usage` sums over all its runs.
    `compacted` is the last compaction of its history. With a `label`, only nodes that have it may
    own the session.
    """

    id: str
    work_dir: str
    title: str | None
    agent_id: str | None
    created_at: datetime
    updated_at: datetime
    last_event_id: int = 0
    event_ceiling: int = 0
    usage: Usage = NO_USAGE
    permissions: PermissionForm | None = None
    compacted: Compacted | None = None
    label: str | None = None


class PermissionPage(msgspec.Struct, frozen=True):
    """Some requests, newest first; `next` is the cursor of the next page, None at the end."""

    requests: tuple[PermissionRequest, ...]
    next: int | None


class PendingStep(msgspec.Struct, frozen=True):
    """A step that is under way, as recorded: the assistant's message, and the results so far.

    What recovery needs to complete it after a crash. `results` are in the order they came.
    `usage` and `cost` are the run's, up to and with this step's inference.
    """

    step: int
    message: Message
    usage: Usage
    results: tuple[ToolResultBlock, ...]
    cost: float | None = None


class CutRun(msgspec.Struct, frozen=True):
    """A run that is `running`, as it lies in the store: what its end is made from.

    `messages` is what it has added to the history; `pending` is its step under way.
    """

    session: SessionRecord
    run: RunRecord
    pending: PendingStep | None
    messages: tuple[Message, ...]


class SessionPage(msgspec.Struct, frozen=True):
    """Some sessions, newest first; `next` is the cursor of the next page, None at the end."""

    sessions: tuple[SessionRecord, ...]
    next: int | None


class ListedRun(msgspec.Struct, frozen=True):
    """A run in a list: its record without images, agent and rules, and with its texts cut short.

    `cut` says that something of its message, its result or its error was left out.
    """

    record: RunRecord
    cut: bool = False


class RunPage(msgspec.Struct, frozen=True):
    """Some runs, newest first; `next` is the cursor of the next page, None at the end."""

    runs: tuple[ListedRun, ...]
    next: int | None


class MessagePage(msgspec.Struct, frozen=True):
    """The last messages of a history, or of what comes before a cursor, in order.

    `next` is the cursor of the messages before these, None at the history's beginning.
    """

    messages: tuple[Message, ...]
    next: int | None


class HistoryPage(msgspec.Struct, frozen=True):
    """Some messages of a session's history, in order, and the session as of the same moment.

    `next` is where the page after them begins, None at the end; `last` is where the history ended.
    """

    session: SessionRecord
    messages: tuple[Message, ...]
    next: int | None
    last: int
