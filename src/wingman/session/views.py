"""What is shown of a session and of a run: as they are stored, and as the live runtime knows them.

These are the shapes of the HTTP contract, and what the runtime gives to programs.
"""

from collections.abc import Iterable, Sequence
from typing import Self, TypeVar

import msgspec
from msgspec import UNSET

from wingman.api import PermissionRequest, RunView, SessionStatus, SessionView
from wingman.conversation import Message
from wingman.session.live import LiveSession
from wingman.session.live_run import LiveRun
from wingman.store import ListedRun, RunRecord, RunStatus, SessionRecord

__all__ = [
    "PermissionList",
    "RunList",
    "SessionList",
    "listed_view",
    "run_view",
    "session_view",
]


T = TypeVar("T")


class SessionList(msgspec.Struct, frozen=True):
    """Some sessions, newest first; `next` is the cursor of the next page, None at the end."""

    sessions: tuple[SessionView, ...]
    next: int | None


class Page(tuple[T, ...]):
    """Some of a list, newest first; `next` is the cursor of the next page, None at the end."""

    next: int | None = None

    @classmethod
    def of(cls, entries: Iterable[T], next: int | None) -> Self:
        """These, and the cursor."""
        page = cls(entries)
        page.next = next
        return page


class RunList(Page[RunView]):
    """Some runs."""


class PermissionList(Page[PermissionRequest]):
    """Some requests for permissions."""


def session_view(
    record: SessionRecord,
    live: LiveSession | None,
    history: Sequence[Message] | None = None,
    *,
    idle: SessionStatus = "idle",
) -> SessionView:
    """A session as it is stored, with what only the live runtime knows.

    A live one's channel holds what came after its activation; of one that is not live every event
    that ever was is in the history. `idle` is the status where no run of it is live.
    """
    after = record.event_ceiling
    status = idle
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
        permissions=record.permissions,
        label=record.label,
        history=UNSET if history is None else tuple(history),
    )


def run_view(record: RunRecord, live: LiveSession | None) -> RunView:
    """A run as it is stored; one that is being cancelled says so, and one that waits why."""
    run = None if live is None else live.runs.get(record.id)
    waiting_for = None
    if run is not None and record.status in ("queued", "waiting"):
        waiting_for = run.state.waiting_for
    return RunView(
        id=record.id,
        session_id=record.session_id,
        message=record.message,
        agent_id=record.agent_id,
        status=record.status if run is None else run.state.shown(_stored(record, run)),
        result=record.result,
        error=record.error,
        steps=record.steps,
        usage=record.usage,
        created_at=record.created_at,
        started_at=record.started_at,
        ended_at=record.ended_at,
        cost=record.cost,
        waiting_for=waiting_for,
        steers=record.steers,
    )


def _stored(record: RunRecord, run: LiveRun) -> RunStatus:
    """The status in the store: of what was read from it, or of what has been written since."""
    return record.status if record.ended else run.journal.status


def listed_view(run: ListedRun, live: LiveSession | None) -> RunView:
    """A run as a list shows it."""
    view = run_view(run.record, live)
    return msgspec.structs.replace(view, cut=True) if run.cut else view
