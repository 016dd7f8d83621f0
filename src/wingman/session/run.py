"""Run: one message, from its admission to its end; and the handle on it."""

from typing import TYPE_CHECKING, Literal

import attrs
import msgspec
import trio

from wingman.actor import Delivery
from wingman.agent import Agent
from wingman.errors import RunFailed, WingmanError
from wingman.events import Result
from wingman.session.calls import ToolCalls
from wingman.session.cancelling import Receipt, Status, cancel_runs, cancel_tool
from wingman.session.channel import EventChannel, Reader
from wingman.store import Commit, RunEnded, RunFailure, RunRecord

if TYPE_CHECKING:
    from wingman.session.live import LiveSession

__all__ = ["Job", "Run"]


@attrs.frozen
class Job:
    """What a session's mailbox holds: a run, and the agent as it was when it was admitted."""

    run: "Run"
    agent: Agent


@attrs.define(eq=False)
class Run:
    """A run: queued, in flight, or ended. It outlives whoever submitted it.

    `live` is its session while the run is the live runtime's; a run that is read from the store
    has none, and has ended. `first_event` is the last event before its admission.
    """

    record: RunRecord
    live: "LiveSession | None" = attrs.field(default=None, repr=False)
    commit: Commit | None = attrs.field(default=None, repr=False)
    first_event: int = 0
    delivery: Delivery | None = attrs.field(default=None, repr=False)
    started: bool = False
    cut_by: Literal["cancelled", "interrupted"] | None = None
    calls: ToolCalls | None = attrs.field(default=None, repr=False)
    _outcome: Result | WingmanError | None = attrs.field(default=None, repr=False)
    _ended: trio.Event = attrs.field(factory=trio.Event, repr=False)

    @classmethod
    def from_record(cls, record: RunRecord) -> "Run":
        """A run that has ended, as the store has it."""
        run = cls(record)
        if record.result is not None:
            run.end(record, record.result)
        else:
            run.end(record, record_error(record))
        return run

    @property
    def id(self) -> str:
        """The run's ULID."""
        return self.record.id

    @property
    def session_id(self) -> str:
        """The session that it belongs to."""
        return self.record.session_id

    @property
    def ended(self) -> bool:
        """Whether it is over, recorded and published."""
        return self._ended.is_set()

    @property
    def status(self) -> Status:
        """Where it stands."""
        if self.ended:
            return self.record.status
        if self.cut_by is not None:
            return "cancelling"
        return "running" if self.started else "queued"

    async def admitted(self) -> None:
        """Return when the run is durable. Raises `StoreError` if it could not be made so."""
        if self.commit is not None:
            await self.commit.wait()
            self.commit = None

    async def wait(self) -> None:
        """Wait for the run's end. Cancelling this wait does not touch the run."""
        await self._ended.wait()

    async def result(self) -> Result:
        """Wait for the run's end and return what it came to; raise what it failed with."""
        await self._ended.wait()
        return self.outcome()

    def outcome(self) -> Result:
        """What it came to, once it has ended; raise what it failed with."""
        if self._outcome is None:
            raise RunFailed("the run has not ended", "run_pending", self.id)
        if isinstance(self._outcome, Result):
            return self._outcome
        raise self._outcome

    def reader(self) -> Reader:
        """A reader of this run's events, from its admission on; `wait` tells when it is over.

        A run that is read from the store publishes nothing any more: its reader is at its end.
        """
        if self.live is None:
            channel = EventChannel(0)
            channel.close("ended")
            return channel.reader()
        return self.live.channel.reader(self.first_event, self.id)

    async def cancel(self) -> Receipt:
        """Cancel this run, queued or in flight, and no other; return when it has stopped."""
        return await cancel_runs([self])

    async def cancel_tool(self, tool_use_id: str) -> Receipt:
        """Cancel one of its tool calls: the model is told, the siblings and the run go on."""
        return await cancel_tool(self, tool_use_id)

    def request_cancel(self, cut_by: Literal["cancelled", "interrupted"] = "cancelled") -> None:
        """Ask for the run's end; `wait` says when it has come."""
        if self.live is not None:
            self.live.request_cancel(self, cut_by)

    def end(self, record: RunRecord, outcome: Result | WingmanError) -> None:
        """The run is over, for this process: tell whoever waits. Its last event is published."""
        self.record = record
        self._outcome = outcome
        self.calls = None
        self._ended.set()


def ended_record(record: RunRecord, ended: RunEnded) -> RunRecord:
    """The record of a run as its end leaves it."""
    return msgspec.structs.replace(
        record,
        status=ended.status,
        ended_at=ended.ended_at,
        steps=ended.steps,
        usage=ended.usage,
        result=ended.result,
        error=ended.error,
    )


def record_error(record: RunRecord) -> RunFailed:
    """The error of a run that failed, as it was recorded."""
    failure = record.error or RunFailure("run_failed", "The run failed.")
    return RunFailed(failure.message, failure.code, record.id)
