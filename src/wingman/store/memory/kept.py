"""What is kept of a session and of a run, and which runs there are, in the order of admission."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from heapq import merge

import attrs
import msgspec

from wingman.api import RunFailure
from wingman.conversation import Message, ToolResultBlock, Usage
from wingman.events import Result
from wingman.store.changes import StepRecorded
from wingman.store.records import RunRecord, RunStatus, SessionRecord

__all__ = ["Run", "RunOrder", "Session", "age"]


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

    def record(self) -> SessionRecord:
        return msgspec.structs.replace(
            self.saved,
            updated_at=self.updated_at,
            last_event_id=self.last_event_id,
            event_ceiling=self.event_ceiling,
            usage=self.usage,
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


class RunOrder:
    """The runs that are shown, by session and by status, in the order of their admission.

    A page of them is found without looking at the others, wherever it begins.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str | None, RunStatus | None], list[Run]] = {}

    def add(self, run: Run) -> None:
        for key in _places(run):
            insort(self._runs.setdefault(key, []), run, key=_seq)

    def remove(self, run: Run) -> None:
        for key in _places(run):
            runs = self._runs[key]
            del runs[bisect_left(runs, run.seq, key=_seq)]
            if not runs:
                del self._runs[key]

    def newest(
        self,
        session_id: str | None,
        statuses: Iterable[RunStatus] = (),
        before: int | None = None,
    ) -> Iterator[Run]:
        """The runs of one session or of all, newest first, those before a `seq`.

        With `statuses`, only those that have one of them.
        """
        kinds: Iterable[RunStatus | None] = dict.fromkeys(statuses) or (None,)
        found = (_backwards(self._runs.get((session_id, kind), ()), before) for kind in kinds)
        return merge(*found, key=age)


def _places(run: Run) -> Iterable[tuple[str | None, RunStatus | None]]:
    session_id = run.session.saved.id
    return (None, None), (session_id, None), (None, run.status), (session_id, run.status)


def _backwards(runs: Sequence[Run], before: int | None) -> Iterator[Run]:
    end = len(runs) if before is None else bisect_left(runs, before, key=_seq)
    return (runs[place] for place in range(end - 1, -1, -1))


def _seq(run: Run) -> int:
    return run.seq


def age(run: Run) -> int:
    """What sorts runs newest first."""
    return -run.seq
