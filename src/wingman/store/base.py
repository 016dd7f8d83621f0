"""The store: what must last, behind a narrow protocol.

Writes are values. `store.write(*changes)` takes them in order and returns at once with a `Commit`;
`await commit.wait()` returns when they are safe, and raises `StoreError` if they are not. The
changes of one call are committed together or not at all, and calls are committed in the order
they were made; how many share one commit is the store's own affair.

Reads see what is committed. They return whole values, never rows. A change of a session or a run
that is not there (any more) does nothing, and is no error.

The store knows values (`conversation`, `events`, `agent`), and nothing of actors or the loop.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

import msgspec
import trio

from wingman.agent import AgentRecord
from wingman.conversation import NO_USAGE, ImageBlock, Message, ToolResultBlock, Usage
from wingman.errors import StoreError, StoreUnavailable
from wingman.events import Result

__all__ = [
    "AgentDeleted",
    "AgentSaved",
    "CallEnded",
    "CeilingRaised",
    "Chain",
    "Change",
    "Commit",
    "Credential",
    "CredentialDeleted",
    "CredentialSaved",
    "PendingStep",
    "RunEnded",
    "RunFailure",
    "RunQueued",
    "RunRecord",
    "RunStarted",
    "RunStatus",
    "SessionDeleting",
    "SessionErased",
    "SessionPage",
    "SessionRecord",
    "SessionSaved",
    "StepEnded",
    "StepRecorded",
    "Store",
]

RunStatus: TypeAlias = Literal[
    "queued", "running", "completed", "failed", "cancelled", "interrupted"
]
"""What the store knows of a run's status; `cancelling` is only ever seen in the live runtime."""


class RunFailure(msgspec.Struct, frozen=True):
    """Why a run failed: the error's stable code, and its text."""

    code: str
    message: str


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One message, from its admission to its end.

    `agent` is the agent as it was at admission; it is None for one that a program defines in code,
    which is found again by `agent_id`, its name. `body_hash` tells whether a request id comes
    again with the same body. `cost` is what the run has cost up to here, None where nobody knows.
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


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A session without its history.

    `last_event_id`: the history contains all up to this event. `event_ceiling`: no event above it
    has been published, so that ids only grow, whatever happens. `usage` sums over all its runs.
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


class SessionPage(msgspec.Struct, frozen=True):
    """Some sessions, newest first; `next` is the cursor of the next page, None at the end."""

    sessions: tuple[SessionRecord, ...]
    next: int | None


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to reach a provider. Its `repr` shows no key."""

    type: Literal["api_key"] = "api_key"
    key: str | None = None
    base_url: str | None = None

    def __repr__(self) -> str:
        key = "None" if self.key is None else "'…'"
        return f"Credential(type={self.type!r}, key={key}, base_url={self.base_url!r})"


# --- changes: what can be written -----------------------------------------------------------------


class AgentSaved(msgspec.Struct, frozen=True):
    """An agent is new, or has changed."""

    agent: AgentRecord


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


class SessionSaved(msgspec.Struct, frozen=True):
    """A session is new, or its title, work_dir, agent_id or updated_at changed.

    Of a session that exists nothing else is written: its counters belong to its runs.
    """

    session: SessionRecord


class SessionDeleting(msgspec.Struct, frozen=True):
    """A session is marked as deleted: from here on no read shows it or its runs."""

    session_id: str


class SessionErased(msgspec.Struct, frozen=True):
    """A session's rows are removed: history, runs, pending steps, and itself."""

    session_id: str


class RunQueued(msgspec.Struct, frozen=True):
    """A run is admitted. Its place in the session's queue is the order of these.

    Its id, and its request id within the session, must be new: else nothing of the call is written.
    """

    run: RunRecord


class RunStarted(msgspec.Struct, frozen=True):
    """A run begins: it is `running`, and its message enters the history."""

    session_id: str
    run_id: str
    started_at: datetime
    message: Message
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


class RunEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A run is over, whatever it was before; the messages of its last step enter the history.

    Exactly one of `result` and `error` is given. `session_usage` is the session's new sum. The
    history now contains all that was published up to `last_event_id` (both None: the run had not
    started, and the session's counters are not its matter). The `event_ceiling` stays: the run's
    last event is published after this, and whoever is told an id never sees it given again.
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


Change: TypeAlias = (
    AgentSaved
    | AgentDeleted
    | CredentialSaved
    | CredentialDeleted
    | SessionSaved
    | SessionDeleting
    | SessionErased
    | RunQueued
    | RunStarted
    | CeilingRaised
    | StepRecorded
    | CallEnded
    | StepEnded
    | RunEnded
)


class Commit(Protocol):
    """The promise that some changes will be safe."""

    async def wait(self) -> None:
        """Return when the changes are safe; raise `StoreError` if they could not be made so.

        `StoreUnavailable` is the storage's doing: the same changes may be written later. Any other
        `StoreError` is the changes' own fault.
        """

    def then(self, callback: Callable[[StoreError | None], None]) -> None:
        """Have `callback` called once: with None when the changes are safe, or with the failure.

        It is called in the event loop's thread, synchronously, before any task that waits for this
        commit runs; at once, if the matter is settled already. What it raises is logged.
        """


class Chain:
    """Changes that build on each other: once one of them fails, the later ones fail, too.

    Give it to `Store.write`. `failure` is why the chain has ended, and None as long as all is well.
    """

    __slots__ = ("failure", "last")

    def __init__(self) -> None:
        self.failure: StoreError | None = None
        self.last: Commit | None = None
        """What was written last; the store keeps it here, until it is settled."""

    async def settled(self) -> None:
        """Return when everything written on this chain so far is safe, or has failed."""
        if self.last is None:
            await trio.lowlevel.checkpoint()
        else:
            with suppress(StoreError):
                await self.last.wait()


class Store(Protocol):
    """Where sessions live when no process does. An async context manager: it opens and closes.

    Closing commits what was written. `async with` raises `StoreLocked` or `StoreTooNew`.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        """Take these changes, in order, to be committed together. Never blocks.

        With a `chain`: if an earlier change of it has failed, or fails, these are not applied and
        fail with the same reason. Writes without a chain depend on nothing, and writes of
        different chains do not touch each other.
        """

    @property
    def failure(self) -> StoreUnavailable | None:
        """Why the store cannot be written just now; None: it is well."""

    async def wait_until_well(self) -> None:
        """Return when `failure` is None. The store finds that out by itself."""

    async def agents(self) -> Sequence[AgentRecord]:
        """All agents, oldest first."""

    async def agent(self, agent_id: str) -> AgentRecord | None:
        """One agent."""

    async def credentials(self) -> Mapping[str, Credential]:
        """All credentials, by provider."""

    async def sessions(self, limit: int, before: int | None = None) -> SessionPage:
        """Up to `limit` (≥ 1) sessions, newest first, after the page whose `next` is `before`."""

    async def session(self, session_id: str) -> SessionRecord | None:
        """One session; None also for one that is being deleted."""

    async def session_with_history(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[Message]] | None:
        """One session and its history, as of one moment."""

    async def session_with_queue(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[RunRecord]] | None:
        """One session and its runs that are `queued`, in order of admission, as of one moment."""

    async def sessions_with_queue(self) -> Sequence[str]:
        """The ids of the sessions that have queued runs, in the order of their oldest such run.

        Sessions that are being deleted are not among them.
        """

    async def deleting(self) -> Sequence[str]:
        """The ids of the sessions that are marked as deleted and not yet erased."""

    async def run_messages(self, run_id: str) -> Sequence[Message]:
        """What one run added to the history, in order; its user's message is the first."""

    async def runs(
        self,
        session_id: str | None = None,
        statuses: Sequence[RunStatus] = (),
        limit: int | None = None,
    ) -> Sequence[RunRecord]:
        """Runs, in the order of their admission; with `limit`, only the newest so many of them."""

    async def run(self, session_id: str, run_id: str) -> RunRecord | None:
        """One run of one session."""

    async def run_by_request(self, session_id: str, request_id: str) -> RunRecord | None:
        """The run that was admitted under this request id."""

    async def pending_step(self, run_id: str) -> PendingStep | None:
        """The step of this run that is recorded and not ended; None if there is none."""
