"""Journal: what a session's runs change, and what they tell.

It is the only writer of a run's changes, the only publisher of its events, and it reserves their
ids. Here stands the rule of the house: make durable, then show. Every run ends in `RunJournal.end`,
whether its loop came to the end, it was cancelled in the queue, or it was cut off by a crash.

The changes of one run are a chain: once one of them could not be written, no later one is. Then
the run is ended from what is stored, on a chain that begins anew (`begin_again`).

A journal knows the store's protocol and the event channel. It knows no actor and no mailbox.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import attrs
import msgspec
import trio

from wingman.api import PermissionRequest, RunFailure
from wingman.conversation import Message, ToolResultBlock
from wingman.errors import RunFailed, StoreError, WingmanError
from wingman.events import Compacted as HistoryShortened
from wingman.events import Done, Error, Event, Result, Steered, ToolResult
from wingman.foreign import copy_of
from wingman.run.asks import Asks
from wingman.run.clock import now
from wingman.run.cost import Spent
from wingman.run.ending import Ending
from wingman.run.logbook import run_ended
from wingman.run.session_journal import Journal
from wingman.store import (
    CallEnded,
    Chain,
    Change,
    Commit,
    Compacted,
    HistoryCompacted,
    PermissionAsked,
    RunEnded,
    RunQueued,
    RunRecord,
    RunStarted,
    RunStatus,
    RunSteered,
    StepEnded,
    StepRecorded,
)

__all__ = ["Outcome", "RunJournal", "recorded_error"]

Outcome: TypeAlias = Result | WingmanError
"""What a run came to, or what whoever waits for it is told instead."""


@attrs.define(eq=False)
class RunJournal:
    """The journal of one run, from its admission to its end.

    `record` is the run as the store has it, as far as this process has written it. `on_end` is
    told, in one moment with the publishing of the run's last event, what the run came to. `asks`
    has what a person is asked in it, where that may be.
    """

    session: Journal = attrs.field(repr=False)
    record: RunRecord
    on_end: Callable[[Outcome], None] | None = attrs.field(default=None, repr=False)
    asks: Asks | None = attrs.field(default=None, repr=False)
    _chain: Chain = attrs.field(factory=Chain, repr=False)
    _told: bool = False

    @property
    def status(self) -> RunStatus:
        """Where the run stands, as it is stored."""
        if self.asks is None or self.record.status not in ("running", "waiting"):
            return self.record.status
        return "waiting" if self.asks.pending else "running"

    def queued(self) -> Commit:
        """The run is admitted."""
        return self._write(RunQueued(self.record))

    async def began(self, message: Message | None) -> None:
        """The run begins, and its message, if it has one, enters the history. Returns when that is
        safe."""
        session, record = self.session, self.record
        session.reserve(self._chain)
        started = now()
        change = RunStarted(session.session_id, record.id, started, message, session.ceiling)
        await self._write_and_wait(change)
        self.record = msgspec.structs.replace(record, status="running", started_at=started)

    async def step_recorded(
        self,
        step: int,
        message: Message,
        spent: Spent,
        requests: Sequence[PermissionRequest] = (),
    ) -> None:
        """The model asks for tools. Returns when that is safe, and they may be called: all but
        those that the `requests` are about."""
        session_id, run_id = self.session.session_id, self.record.id
        change = StepRecorded(session_id, run_id, step, message, spent.usage, spent.cost)
        await self._write_and_wait(change, *map(PermissionAsked, requests))
        if self.asks is not None:
            self.asks.begin(requests)

    def resumed(self) -> None:
        """A run that an earlier process has begun goes on."""
        self.record = msgspec.structs.replace(self.record, status="running")

    def read(self, moment: datetime) -> None:
        """The run in flight has read its message: it is no run of its own any more."""
        self.record = msgspec.structs.replace(self.record, status="steered", ended_at=moment)
        self._told = True
        self.on_end = None

    def call_ended(self, result: ToolResultBlock) -> None:
        """A tool call has its result."""
        ended = CallEnded(self.session.session_id, self.record.id, result)
        waited = () if self.asks is None else self.asks.cancel(result.tool_use_id)
        self._write(*waited, ended)
        self.session.metrics.tool_call_ended(result.is_error)
        self.publish(ToolResult.of(result))

    async def compacted(
        self, compacted: Compacted, spent: Spent, show: Callable[[Compacted], None]
    ) -> None:
        """The models are shown less of the history from now on. Returns when that is safe.

        `show` is called as soon as it is, also where who waits for that is cancelled meanwhile.
        """
        change = HistoryCompacted(
            self.session.session_id, self.record.id, compacted, now(), spent.usage, spent.cost
        )
        commit = self._write(change)
        commit.then(partial(self._compacted, compacted, show))
        await commit.wait()

    def _compacted(
        self,
        compacted: Compacted,
        show: Callable[[Compacted], None],
        failure: StoreError | None,
    ) -> None:
        if failure is not None:
            return
        show(compacted)
        self.publish(
            HistoryShortened(
                compacted.upto,
                compacted.shortened,
                compacted.tokens_before,
                compacted.tokens_after,
                compacted.summary,
            )
        )

    def step_ended(
        self,
        messages: tuple[Message, ...],
        steps: int,
        spent: Spent,
        read: Sequence[RunRecord] = (),
    ) -> Commit:
        """A whole step enters the history, and with it the messages of the runs that were `read`.

        Nobody waits for this commit: what is written later on the chain fails if this does.
        """
        last_id = self.session.channel.last_id
        change = StepEnded(
            self.session.session_id,
            self.record.id,
            messages,
            steps,
            spent.usage,
            last_id,
            spent.cost,
        )
        moment = now()
        steered = (RunSteered(self.session.session_id, each.id, moment) for each in read)
        commit = self._write(change, *steered)
        commit.then(partial(self._step_stored, last_id, read))
        return commit

    def check(self) -> None:
        """Raise `StoreError` if a change of this run could not be written: it is of no use to go
        on then."""
        if self._chain.failure is not None:
            raise copy_of(self._chain.failure)

    def publish(self, event: Event) -> Commit | None:
        """Publish an event of this run. Who may publish without end waits for what this returns."""
        return self.session.publish(self.record.id, event, self._chain)

    async def end(
        self,
        ending: Ending,
        spent: Spent,
        steps: int = 0,
        *,
        tail: tuple[Message, ...] = (),
        messages: Sequence[Message] = (),
        output: Any = None,
        within: float | None = None,
    ) -> None:
        """Record the run's end, then show it: to its readers, to who waits, to the metrics.

        `messages` is all that the run has added to the history, and `tail` what of it is not
        stored yet. `within` so many seconds it is waited for, whatever is cancelled; None: as long
        as it takes, unless that is cancelled. Raises `StoreError` where the end could not be
        recorded; then nothing is shown. Of a session that has moved nothing is recorded.
        """
        session, error = self.session, ending.error
        if session.moved and session.instead is not None:
            self.release(session.instead)  # its end is recorded by the node that owns it
            return
        begun = self.record.status != "queued"
        last_id = session.channel.last_id
        usage = session.usage + spent.usage
        result = ending.result(self.record.id, messages, steps, spent, output)
        ended = RunEnded(
            session_id=session.session_id,
            run_id=self.record.id,
            status=ending.status,
            ended_at=now(),
            steps=steps,
            usage=spent.usage,
            messages=tail,
            result=result,
            error=None if error is None else RunFailure(error.code, error.message),
            session_usage=usage if begun else None,
            last_event_id=last_id if begun else None,
            cost=spent.cost,
            from_messages=result is not None,
        )
        session.reserve(self._chain)
        if self.asks is not None:
            self.asks.close()
        await self._write_and_wait(ended, within=within)
        if self.asks is not None:
            self.asks.end(ended.ended_at)
        if begun:
            session.usage = usage
            session.channel.mark_stored(last_id)
        self._show(ended_record(self.record, ended), error)

    def ended_already(self, record: RunRecord) -> None:
        """Show an end that turns out to be in the store, although its commit had seemed to fail."""
        self._show(record, None)

    async def look_for_end(self) -> None:
        """Show the end that the store has, if it has one. Raises `StoreError`."""
        record = await self.session.store.run(self.session.session_id, self.record.id)
        if record is not None and record.ended:
            self.ended_already(record)

    def release(self, error: WingmanError) -> None:
        """Tell whoever waits for the run that it has no end in this process.

        In the store it stays as it is. Where it was told before, this does nothing.
        """
        self._tell(self.session.instead or error, None)

    def refuse(self, error: WingmanError) -> None:
        """Tell whoever sent the message that nothing of it is kept. Nobody else has heard of it."""
        self._told = True
        self._tell_waiters(error)

    async def begin_again(self) -> None:
        """Return when all that was written so far is safe or has failed, and begin a new chain."""
        await self._chain.settled()
        self._chain = Chain()

    def _write(self, *changes: Change) -> Commit:
        return self.session.store.write(*changes, chain=self._chain)

    async def _write_and_wait(self, *changes: Change, within: float | None = None) -> None:
        """Write, and return when that is safe: at once where it is, without a checkpoint."""
        commit = self._write(*changes)
        if commit.safe:
            return
        if within is None:
            await commit.wait()
            return
        with trio.move_on_after(within, shield=True):
            await commit.wait()
            return
        raise StoreError(f"The end of run {self.record.id} was not recorded within {within:g} s.")

    def _step_stored(
        self, last_id: int, read: Sequence[RunRecord], failure: StoreError | None
    ) -> None:
        if failure is None:
            self.session.channel.mark_stored(last_id)
            for each in read:
                self.publish(Steered(each.id, each.message))

    def _show(self, record: RunRecord, error: WingmanError | None) -> None:
        self.record = record
        self.session.metrics.run_ended(record.status)
        run_ended(record, error)
        outcome = self.session.instead or error or record.result or recorded_error(record)
        self._tell(outcome, self._chain)

    def _tell(self, outcome: Outcome, chain: Chain | None) -> None:
        if self._told:
            return
        self._told = True
        run_id = self.record.id
        if isinstance(outcome, Result):
            last: Event = Done(outcome)
        else:
            last = Error(outcome.code, outcome.message, run_id)
        self.session.publish_end(run_id, last, chain)
        self._tell_waiters(outcome)

    def _tell_waiters(self, outcome: Outcome) -> None:
        # Told once, and let go of: else the run and its journal would hold each other.
        told, self.on_end = self.on_end, None
        if told is not None:
            told(outcome)


def ended_record(record: RunRecord, ended: RunEnded) -> RunRecord:
    """The record of a run as its end leaves it."""
    return msgspec.structs.replace(
        record,
        status=ended.status,
        ended_at=ended.ended_at,
        steps=ended.steps,
        usage=ended.usage,
        cost=ended.cost,
        result=ended.result,
        error=ended.error,
    )


def recorded_error(record: RunRecord) -> RunFailed:
    """The error of a run that failed, as it was recorded."""
    failure = record.error or RunFailure("run_failed", "The run failed.")
    return RunFailed(failure.message, failure.code, record.id)
