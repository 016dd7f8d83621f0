"""Sessions as the contract has them."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wingman.conversation import Message, Usage

__all__ = [
    "Deleted",
    "EventsQuery",
    "NewSession",
    "PageQuery",
    "SessionFields",
    "SessionStatus",
    "SessionView",
]

SessionStatus = Literal["idle", "queued", "running", "cancelling"]

Limit = Annotated[int, msgspec.Meta(ge=1, le=1000, description="How many at most.")]


class NewSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said of a session at its creation."""

    work_dir: str = "."
    title: str | None = None
    agent_id: str | None = None


class SessionFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of a session; what is not given stays."""

    work_dir: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    agent_id: str | UnsetType | None = UNSET


class SessionView(msgspec.Struct, frozen=True):
    """A session; in lists without its history.

    `status` is `idle`, or that of the run in flight. `last_event_id`: where a reader of the history
    goes on with the events.
    """

    id: str
    work_dir: str
    title: str | None
    agent_id: str | None
    status: SessionStatus
    last_event_id: int
    created_at: datetime
    updated_at: datetime
    usage: Usage
    history: tuple[Message, ...] | UnsetType = UNSET


class Deleted(msgspec.Struct, frozen=True):
    """Something is gone."""

    status: Literal["deleted"] = "deleted"


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list: `cursor` is that of the page before, from its `Link` header."""

    limit: Limit = 100
    cursor: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a reader begins, and which events it wants beside the usual ones.

    `after` is an event's id, as `Last-Event-ID` is. `include` is any of `thinking`, `step` and
    `progress`, with commas.
    """

    after: str | None = None
    include: str | None = None
