"""What is kept of a session, of a run, and of a permission request."""

from collections.abc import Iterable
from datetime import datetime

import attrs
import msgspec

from wingman.api import PermissionRequest, PermissionStatus, RunFailure
from wingman.conversation import Message, ToolResultBlock, Usage
from wingman.events import Result
from wingman.store.changes import StepRecorded
from wingman.store.listing import listed_request
from wingman.store.records import Compacted, RunRecord, RunStatus, SessionRecord

__all__ = ["Request", "Run", "Session"]


@attrs.define(eq=False)
class Session:
    """A session's own fields, as they stand, and what hangs on it. `seq` is its place in pages."""

    seq: int
    saved: SessionRecord
    updated_at: datetime
    last_event_id: int
    event_ceiling: int
    usage: Usage
    deleting: bool = False
    history: list[Message] = attrs.Factory(list)
    runs: dict[str, "Run"] = attrs.Factory(dict)
    requests: dict[str, "Run"] = attrs.Factory(dict)
    compacted: Compacted | None = None
    grants: set[tuple[str, str]] = attrs.Factory(set)

    def record(self) -> SessionRecord:
        return msgspec.structs.replace(
            self.saved,
            updated_at=self.updated_at,
            last_event_id=self.last_event_id,
            event_ceiling=self.event_ceiling,
            usage=self.usage,
            compacted=self.compacted,
        )


@attrs.define(eq=False)
class Run:
    """What has become of a run since its admission. `seq` is its place in pages."""

    seq: int
    admitted: RunRecord
    session: Session
    status: RunStatus
    started_at: datetime | None
    ended_at: datetime | None
    result: Result | None
    error: RunFailure | None
    usage: Usage
    steps: int
    cost: float | None
    messages: list[Message] = attrs.Factory(list)
    pending: StepRecorded | None = None
    results: list[ToolResultBlock] = attrs.Factory(list)
    permissions: "list[Request]" = attrs.Factory(list)

    def record(self) -> RunRecord:
        return msgspec.structs.replace(
            self.admitted,
            status=self.status,
            started_at=self.started_at,
            ended_at=self.ended_at,
            result=self.result,
            error=self.error,
            usage=self.usage,
            steps=self.steps,
            cost=self.cost,
        )

    def extend(self, messages: Iterable[Message]) -> None:
        self.session.history.extend(messages)
        self.messages.extend(messages)


@attrs.define(eq=False)
class Request:
    """A permission request, as it stands. `seq` is its place in pages."""

    seq: int
    run: Run
    whole: PermissionRequest
    listed: PermissionRequest = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.listed = listed_request(self.whole)

    @property
    def session(self) -> Session:
        return self.run.session

    @property
    def status(self) -> PermissionStatus:
        return self.whole.status

    def become(self, request: PermissionRequest) -> None:
        self.whole = request
        self.listed = listed_request(request)
