"""LiveSession: what the process knows of a session while it is live.

It outlives the actor object: it is there when an actor that has crashed begins again. A run is
admitted here, in one block without a checkpoint, and cancelled here; neither waits for the actor.
"""

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Literal, TypeAlias

import attrs
import msgspec
import trio
from ulid import ULID

from wingman.actor import DeliveryState
from wingman.agent import Agent, ChosenAgent
from wingman.conversation import NO_USAGE, Message, ToolUseBlock
from wingman.errors import (
    MailboxFull,
    NotFound,
    RequestIdConflict,
    SessionBusy,
    SessionDeleted,
    ShuttingDown,
    WingmanError,
)
from wingman.events import Done, Error, Event, Result
from wingman.session.channel import EventChannel
from wingman.session.run import (
    CancelledRun,
    CancelledTool,
    Job,
    Receipt,
    Run,
    Status,
    ended_record,
    record_error,
)
from wingman.session.services import Services, now
from wingman.store.base import (
    CeilingRaised,
    Commit,
    RunEnded,
    RunQueued,
    RunRecord,
    SessionRecord,
)

__all__ = ["LiveSession", "OnBusy", "RunRequest"]

OnBusy: TypeAlias = Literal["queue", "reject", "interrupt"]

# How long a cancel waits before it answers with what has not stopped.
CANCEL_SECONDS = 5.0

# Ids of events are reserved in the store so many at a time, and again when half are left.
_CEILING_STEP = 8192

_REMEMBERED_REQUESTS = 1024


@attrs.frozen(kw_only=True)
class RunRequest:
    """What one message asks for."""

    chosen: ChosenAgent
    message: str
    max_steps: int | None = None
    request_id: str | None = None
    on_busy: OnBusy = "queue"

    @property
    def body_hash(self) -> str | None:
        """What tells two messages apart that come with the same request id."""
        if self.request_id is None:
            return None
        body = msgspec.json.encode((self.chosen.id, self.message, self.max_steps, self.on_busy))
        return hashlib.sha256(body).hexdigest()


@attrs.define(eq=False)
class LiveSession:
    """See the module's docstring. `history` is None until the actor has loaded it.

    `runs` are those queued and in flight, in the order they were admitted; `requests` the runs of
    this activation by request id, as many as are remembered.
    """

    services: Services = attrs.field(repr=False)
    record: SessionRecord
    history: list[Message] | None = attrs.field(default=None, repr=False)
    runs: dict[str, Run] = attrs.field(factory=dict, repr=False)
    requests: dict[str, Run] = attrs.field(factory=dict, repr=False)
    current: Run | None = attrs.field(default=None, repr=False)
    tool_ids: set[str] = attrs.field(factory=set, repr=False)
    deleted: bool = False
    channel: EventChannel = attrs.field(init=False, repr=False)
    ceiling: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.ceiling = self.record.event_ceiling
        self.channel = EventChannel(self.ceiling)

    @property
    def id(self) -> str:
        """The session's ULID."""
        return self.record.id

    @property
    def in_flight(self) -> Run | None:
        """The run in flight: the one that runs, or that is about to."""
        return self.current or next(iter(self.runs.values()), None)

    @property
    def last_event_id(self) -> int:
        """Where a reader goes on who has read the session as it is stored."""
        return self.channel.stored_id

    def load(self, history: list[Message]) -> None:
        """Take the history as the store has it."""
        self.history = history
        self.tool_ids = {
            block.id
            for message in history
            for block in message.content
            if isinstance(block, ToolUseBlock)
        }

    # --- admission -----------------------------------------------------------------------------

    def find_request(self, request_id: str, body_hash: str | None) -> Run | None:
        """The run of this activation with this request id; `RequestIdConflict` for another body."""
        run = self.requests.get(request_id)
        if run is not None:
            check_same_body(run.record, body_hash)
        return run

    def admit(self, request: RunRequest) -> Run:
        """Admit a run, without a checkpoint; it is durable once `run.admitted()` returns.

        Raises `SessionBusy`, `MailboxFull`, `Overloaded`, `ShuttingDown`: then nothing was kept.
        """
        if self.deleted:
            raise NotFound("session", self.id)
        services = self.services
        services.check_room()
        if request.on_busy == "reject" and self.runs:
            raise SessionBusy(
                f"Session {self.id} has a run in flight: wait for it, cancel it, "
                'or send the message with on_busy "queue" or "interrupt".'
            )
        ref = services.directory.ref(self.id)
        if not ref.room:
            raise MailboxFull(
                f"{services.limits.queued} messages are waiting in session {self.id}, "
                "which is the limit: send this one again later."
            )
        if request.on_busy == "interrupt" and self.in_flight is not None:
            self.request_cancel(self.in_flight)
        record = RunRecord(
            id=str(ULID()),
            session_id=self.id,
            message=request.message,
            agent_id=request.chosen.id,
            agent=request.chosen.record,
            created_at=now(),
            request_id=request.request_id,
            body_hash=request.body_hash,
            max_steps=request.max_steps,
        )
        return self._enqueue(record, request.chosen.agent, services.store.write(RunQueued(record)))

    def readmit(self, record: RunRecord, agent: Agent) -> Run:
        """Put a run that the store has as queued back into the mailbox, after a restart."""
        return self._enqueue(record, agent, None)

    def _enqueue(self, record: RunRecord, agent: Agent, commit: Commit | None) -> Run:
        run = Run(record, self, commit, self.channel.last_id)
        self.runs[run.id] = run
        if record.request_id is not None:
            self.requests[record.request_id] = run
            if len(self.requests) > _REMEMBERED_REQUESTS:
                # Its row was committed long ago: from now on the store answers for it.
                del self.requests[next(iter(self.requests))]
        self.services.waiting += 1
        run.delivery = self.services.directory.ref(self.id).submit(Job(run, agent))
        return run

    # --- what a run does -----------------------------------------------------------------------

    def begin(self, run: Run) -> None:
        """The run has its place among those in flight."""
        run.started = True
        self.services.waiting -= 1

    def publish(self, run: Run, event: Event) -> None:
        """Publish an event of a run."""
        self.channel.publish(run.id, event)

    def raise_ceiling(self) -> Commit | None:
        """Reserve more event ids if they run low; to be awaited before they are used."""
        if self.ceiling - self.channel.last_id > _CEILING_STEP // 2:
            return None
        self.ceiling = self.channel.last_id + _CEILING_STEP
        return self.services.store.write(CeilingRaised(self.id, self.ceiling))

    def finish(self, run: Run, ended: RunEnded, error: WingmanError | None = None) -> None:
        """A run's end is recorded: publish it, and free whoever waits for it."""
        record = ended_record(run.record, ended)
        self._forget(run)
        if ended.session_usage is not None:
            self.record = msgspec.structs.replace(self.record, usage=ended.session_usage)
        if self.deleted:
            self.release_run(run, deleted_error(self.id))
        elif ended.result is not None:
            self.publish(run, Done(ended.result))
            run.end(record, ended.result)
        else:
            self.fail(run, record, error or record_error(record))

    def fail(self, run: Run, record: RunRecord, error: WingmanError) -> None:
        """A run's end in an error, as its waiters and its readers see it."""
        self._forget(run)
        self.publish(run, Error(error.code, error.message, run.id))
        run.end(record, error)

    def _forget(self, run: Run) -> None:
        if self.runs.pop(run.id, None) is not None and not run.started:
            self.services.waiting -= 1
        if self.current is run:
            self.current = None

    # --- cancelling ----------------------------------------------------------------------------

    def request_cancel(
        self, run: Run, cut_by: Literal["cancelled", "interrupted"] = "cancelled"
    ) -> None:
        """Ask for the end of one run, queued or in flight. Asking again changes nothing."""
        if run.ended or run.cut_by is not None or run.delivery is None:
            return
        run.cut_by = cut_by
        queued = run.delivery.state is DeliveryState.QUEUED
        run.delivery.cancel()
        if queued:
            self.services.spawn(partial(self._end_queued, run), name=f"cancel {run.id}")

    async def cancel(self, runs: Iterable[Run]) -> Receipt:
        """Cancel these runs; return when they have stopped, or after 5 s with what has not."""
        start = trio.current_time()
        found: list[tuple[Run, Status, list[str]]] = []
        for run in runs:
            if not run.ended:
                calls = run.calls.calls.values() if run.calls is not None else ()
                found.append((run, run.status, [c.block.id for c in calls if not c.ended.is_set()]))
                self.request_cancel(run)
        cancelled = []
        deadline = start + CANCEL_SECONDS
        for run, was, in_flight in found:
            calls_then = run.calls
            with trio.move_on_at(deadline):
                await run.wait()
            tools = tuple(
                CancelledTool(id, calls_then.calls[id].outcome)
                for id in in_flight
                if calls_then is not None
            )
            elapsed = round((trio.current_time() - start) * 1000, 1)
            outcome: Literal["still_running"] | None = None if run.ended else "still_running"
            cancelled.append(CancelledRun(run.id, was, elapsed, tools, outcome))
        return Receipt(tuple(cancelled))

    async def cancel_tool(self, run: Run, tool_use_id: str) -> Receipt:
        """Cancel one tool call of a run; its siblings and the run go on."""
        call = run.calls.calls.get(tool_use_id) if run.calls is not None else None
        if call is None or call.ended.is_set():
            await trio.lowlevel.checkpoint()
            return Receipt(())
        start = trio.current_time()
        was = run.status
        call.cancel()
        with trio.move_on_after(CANCEL_SECONDS):
            await call.ended.wait()
        elapsed = round((trio.current_time() - start) * 1000, 1)
        return Receipt(
            (CancelledRun(run.id, was, elapsed, (CancelledTool(tool_use_id, call.outcome),)),)
        )

    async def _end_queued(self, run: Run) -> None:
        """Record the end of a run that never started; a task of the runtime, not of a request."""
        reason = run.cut_by or "cancelled"
        result = Result(run.id, "", reason, 0, (), NO_USAGE)
        ended = RunEnded(
            session_id=self.id,
            run_id=run.id,
            status=reason,
            ended_at=now(),
            steps=0,
            usage=NO_USAGE,
            result=result,
        )
        try:
            await self.services.store.write(ended).wait()
        except WingmanError as error:
            self.fail(run, run.record, error)
        else:
            self.finish(run, ended)

    # --- the end -------------------------------------------------------------------------------

    def mark_deleted(self) -> None:
        """Take nothing more, and ask what runs to end; who waits gets `SessionDeleted`."""
        self.deleted = True
        error = deleted_error(self.id)
        for run in list(self.runs.values()):
            if run is self.current:
                self.request_cancel(run)
            else:
                self._drop(run, error)

    def release_queued(self) -> None:
        """Free who waits for what has not started: it stays queued in the store."""
        for run in list(self.runs.values()):
            if run is not self.current:
                self._drop(run, queued_error(run.id))

    def _drop(self, run: Run, error: WingmanError) -> None:
        """Take a queued run out of the mailbox, and leave the store as it is."""
        if run.delivery is not None and run.cut_by is None:
            run.delivery.cancel()
            self.release_run(run, error)

    def release(self, error: WingmanError) -> None:
        """Free whoever waits for a run that has not ended, without an end of the run itself."""
        for run in list(self.runs.values()):
            self.release_run(run, error)

    def release_run(self, run: Run, error: WingmanError) -> None:
        """Free whoever waits for this run, and end the streams of it."""
        self._forget(run)
        self.publish(run, Error(error.code, error.message, run.id))
        run.abandon(error)


def check_same_body(record: RunRecord, body_hash: str | None) -> None:
    """Raise `RequestIdConflict` if a request id comes again with a different body."""
    if record.body_hash != body_hash:
        raise RequestIdConflict(
            f"request_id {record.request_id!r} was used before with a different body "
            f"(run {record.id}): use a new one for a new message."
        )


def deleted_error(session_id: str) -> SessionDeleted:
    """What those get who wait for a run of a session that is being deleted."""
    return SessionDeleted(f"Session {session_id} was deleted.")


def queued_error(run_id: str) -> ShuttingDown:
    """What those get who wait for a run that will start only after the next start."""
    return ShuttingDown(
        f"The server is shutting down; run {run_id} is queued and starts when it is up again.",
        run_id=run_id,
    )
