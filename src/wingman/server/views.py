"""What the API shows of a session and a run: the shapes of the HTTP contract."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from wingman.conversation import Message, Usage
from wingman.events import Result
from wingman.session import LiveSession, Status
from wingman.store import RunFailure, RunRecord, SessionRecord

__all__ = ["RunView", "SessionView", "run_view", "session_view"]


class SessionView(msgspec.Struct, frozen=True):
    """A session; in lists without its history."""

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


class RunView(msgspec.Struct, frozen=True):
    """A run."""

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


def session_view(
    record: SessionRecord, live: LiveSession | None, history: Any = UNSET
) -> SessionView:
    """A session as it is stored, with the status that only the live runtime knows."""
    in_flight = None if live is None else live.in_flight
    return SessionView(
        id=record.id,
        work_dir=record.work_dir,
        title=record.title,
        agent_id=record.agent_id,
        status="idle" if in_flight is None else in_flight.status,
        last_event_id=record.last_event_id,
        created_at=record.created_at,
        updated_at=record.updated_at,
        usage=record.usage,
        history=UNSET if history is UNSET else tuple(history),
    )


def run_view(record: RunRecord, live: LiveSession | None) -> RunView:
    """A run as it is stored; one that is being cancelled says so."""
    status: Status = record.status
    run = None if live is None else live.runs.get(record.id)
    if run is not None and run.cut_by is not None:
        status = "cancelling"
    return RunView(
        id=record.id,
        session_id=record.session_id,
        message=record.message,
        agent_id=record.agent_id,
        status=status,
        result=record.result,
        error=record.error,
        steps=record.steps,
        usage=record.usage,
        created_at=record.created_at,
        started_at=record.started_at,
        ended_at=record.ended_at,
    )
