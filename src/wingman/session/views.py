"""What is shown of a session and of a run: as they are stored, and as the live runtime knows them.

These are the shapes of the HTTP contract, and what the runtime gives to programs.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self

import msgspec
from msgspec import UNSET, UnsetType

from wingman.conversation import Message, Usage
from wingman.events import Result
from wingman.run import Status
from wingman.session.live import LiveSession
from wingman.store import ListedRun, RunFailure, RunRecord, SessionRecord

__all__ = [
    "RunList",
    "RunView",
    "SessionList",
    "SessionView",
    "listed_view",
    "run_view",
    "session_view",
]


class SessionView(msgspec.Struct, frozen=True):
    """A session; in lists without its history.

    `status` is `idle`, or that of the run in flight. `last_event_id`: where a reader of the history
    goes on with the events.
    """

    id: str
    work_dir: str
    title: str | None
    agent_id: str | None
    status: str
    last_event_id: int
    created_at: datetime
    updated_at: datetime
    usage: Usage
    history: tuple[Message, ...] | UnsetType = UNSET


class SessionList(msgspec.Struct, frozen=True):
    """Some sessions, newest first; `next` is the cursor of the next page, None at the end."""

    sessions: tuple[SessionView, ...]
    next: int | None


class RunView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run. `cost` is what it has cost, where the prices are known.

    `waiting_for` says why one that is queued does not start although its turn has come. `cut` says
    that its message, its result or its error is not whole, as it may be in a list.
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
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cost: float | None = None
    waiting_for: RunFailure | None = None
    cut: bool = False


class RunList(tuple[RunView, ...]):
    """Some runs, in the order of their admission; `next` is the cursor of those before them."""

    next: int | None = None

    @classmethod
    def of(cls, runs: Iterable[RunView], next: int | None) -> Self:
        """These runs, and the cursor."""
        page = cls(runs)
        page.next = next
        return page


def session_view(
    record: SessionRecord, live: LiveSession | None, history: Sequence[Message] | None = None
) -> SessionView:
    """A session as it is stored, with what only the live runtime knows.

    A live one's channel holds what came after its activation; of one that is not live every event
    that ever was is in the history.
    """
    after, status = record.event_ceiling, "idle"
    if live is not None:
        after = max(record.last_event_id, live.channel.start)
        if live.in_flight is not None:
            status = live.in_flight.status
    return SessionView(
        id=record.id,
        work_dir=record.work_dir,
        title=record.title,
        agent_id=record.agent_id,
        status=status,
        last_event_id=after,
        created_at=record.created_at,
        updated_at=record.updated_at,
        usage=record.usage,
        history=UNSET if history is None else tuple(history),
    )


def run_view(record: RunRecord, live: LiveSession | None) -> RunView:
    """A run as it is stored; one that is being cancelled says so, and one that waits why."""
    run = None if live is None else live.runs.get(record.id)
    waiting_for = None
    if run is not None and record.status == "queued":
        waiting_for = run.state.waiting_for
    return RunView(
        id=record.id,
        session_id=record.session_id,
        message=record.message,
        agent_id=record.agent_id,
        status=record.status if run is None else run.state.shown(record.status),
        result=record.result,
        error=record.error,
        steps=record.steps,
        usage=record.usage,
        created_at=record.created_at,
        started_at=record.started_at,
        ended_at=record.ended_at,
        cost=record.cost,
        waiting_for=waiting_for,
    )


def listed_view(run: ListedRun, live: LiveSession | None) -> RunView:
    """A run as a list shows it."""
    view = run_view(run.record, live)
    return msgspec.structs.replace(view, cut=True) if run.cut else view
