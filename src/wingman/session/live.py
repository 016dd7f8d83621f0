"""LiveSession: what the process knows of a session while it is live.

It outlives the actor object: it is there when an actor that has crashed begins again. A run is
admitted here, in one block without a checkpoint, and ended here; neither waits for the actor.
"""

from collections.abc import Iterable
from functools import partial
from typing import Literal

import attrs
from ulid import ULID

from wingman.actor import DeliveryState
from wingman.agent import Agent
from wingman.conversation import NO_USAGE, Message, ToolUseBlock, Usage
from wingman.errors import MailboxFull, NotFound, SessionBusy, WingmanError
from wingman.events import Done, Error, Event, Result
from wingman.session.admission import RunRequest, check_same_body, deleted_error, queued_error
from wingman.session.channel import EventChannel
from wingman.session.run import Job, Run, ended_record, record_error
from wingman.session.services import Services, now
from wingman.store import CeilingRaised, Commit, RunEnded, RunQueued, RunRecord, SessionRecord

__all__ = ["LiveSession"]

# Ids of events are reserved in the store so many at a time, and again when half are left.
_RESERVED = 8192

_REMEMBERED_REQUESTS = 1024


@attrs.define(eq=False)
class LiveSession:
    """See the module's docstring. `history` is None until the actor has loaded it.

    `runs` are those queued and in flight, in the order they were admitted; `requests` the runs of
    this activation by request id, as many as are remembered. `crash` is what ended the actor's
    last life, until the next one has put things right. Event ids up to `ceiling` are reserved.
    """

    services: Services = attrs.field(repr=False)
    record: SessionRecord
    history: list[Message] | None = attrs.field(default=None, repr=False)
    runs: dict[str, Run] = attrs.field(factory=dict, repr=False)
    requests: dict[str, Run] = attrs.field(factory=dict, repr=False)
    current: Run | None = attrs.field(default=None, repr=False)
    tool_ids: set[str] = attrs.field(factory=set, repr=False)
    deleted: bool = False
    crash: BaseException | None = None
    usage: Usage = attrs.field(init=False)
    channel: EventChannel = attrs.field(init=False, repr=False)
    ceiling: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.usage = self.record.usage
        self.ceiling = self.record.event_ceiling
        self.channel = EventChannel(self.ceiling)

    @property
    def id(self) -> str:
        """The session's ULID."""
        return self.record.id

    @property
    def in_flight(self) -> Run | None:
        """The run in flight: the one that runs, or that is about to."""
        if self.current is not None:
            return self.current
        return next((run for run in self.runs.values() if run.cut_by is None), None)

    def load(self, usage: Usage, history: list[Message]) -> None:
        """Take the history, and the usage with it, as the store has them."""
        self.usage = usage
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
        self.services.check_room()
        in_flight = self.in_flight
        if request.on_busy == "reject" and in_flight is not None:
            raise SessionBusy(
                f"Session {self.id} has a run in flight: wait for it, cancel it, "
                'or send the message with on_busy "queue" or "interrupt".'
            )
        self._check_room()
        if request.on_busy == "interrupt" and in_flight is not None:
            self.request_cancel(in_flight)
        record = RunRecord(
            id=str(ULID()),
            session_id=self.id,
            message=request.message,
            images=request.images or None,
            agent_id=request.chosen.id,
            agent=request.chosen.record,
            created_at=now(),
            request_id=request.request_id,
            body_hash=request.body_hash,
            max_steps=request.max_steps,
        )
        commit = self.services.store.write(RunQueued(record))
        return self._enqueue(record, request.chosen.agent, commit)

    def readmit(self, record: RunRecord, agent: Agent) -> Run:
        """Put a run that the store has as queued back into the mailbox, after a restart."""
        return self._enqueue(record, agent, None)

    def _check_room(self) -> None:
        """One run may be in flight, and as many wait as the limit says."""
        limit = self.services.limits.queued
        if len(self.runs) > limit:
            raise MailboxFull(
                f"{limit} messages are waiting in session {self.id}, "
                "which is the limit: send this one again later."
            )

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

    def publish(self, run: Run, event: Event) -> Commit | None:
        """Publish an event of a run. Who may publish without end waits for what this returns."""
        reserved = self.reserve()
        self.channel.publish(run.id, event)
        return reserved

    def reserve(self) -> Commit | None:
        """Reserve more event ids if they run low: none is ever given twice, whatever happens."""
        if self.ceiling - self.channel.last_id > _RESERVED // 2:
            return None
        self.ceiling = self.channel.last_id + _RESERVED
        return self.services.store.write(CeilingRaised(self.id, self.ceiling))

    def finish(self, run: Run, record: RunRecord, error: WingmanError | None = None) -> None:
        """A run's end is recorded: publish it, and free whoever waits for it."""
        if run.ended:
            return
        if self.runs.pop(run.id, None) is not None and not run.started:
            self.services.waiting -= 1
        if self.current is run:
            self.current = None
        if record.ended_at is not None:
            self.services.metrics.run_ended(record.status)
        if self.deleted:
            error = deleted_error(self.id)
        if error is None and record.result is not None:
            self.publish(run, Done(record.result))
            run.end(record, record.result)
        else:
            error = error or record_error(record)
            self.publish(run, Error(error.code, error.message, run.id))
            run.end(record, error)

    def release(self, run: Run, error: WingmanError) -> None:
        """Free whoever waits for a run, and end its streams; in the store it stays as it is."""
        self.finish(run, run.record, error)

    # --- ending runs from outside --------------------------------------------------------------

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

    async def _end_queued(self, run: Run) -> None:
        """Record the end of a run that never started; a task of the runtime, not of a request."""
        reason = run.cut_by or "cancelled"
        ended = RunEnded(
            session_id=self.id,
            run_id=run.id,
            status=reason,
            ended_at=now(),
            steps=0,
            usage=NO_USAGE,
            result=Result(run.id, "", reason, 0, (), NO_USAGE),
        )
        try:
            self.reserve()
            await self.services.store.write(ended).wait()
        except WingmanError as error:
            self.release(run, error)
        else:
            self.finish(run, ended_record(run.record, ended))

    def mark_deleted(self) -> None:
        """Take nothing more, and ask what runs to end; who waits gets `SessionDeleted`."""
        self.deleted = True
        for run in self._all():
            if run.started:
                self.request_cancel(run)
            else:
                self._drop(run, deleted_error(self.id))

    def release_queued(self) -> None:
        """Free who waits for what has not started: it stays queued in the store."""
        for run in self._all():
            if not run.started:
                self._drop(run, queued_error(run.id))

    def _drop(self, run: Run, error: WingmanError) -> None:
        """Take a run that has not started out of the mailbox, and leave the store as it is."""
        if run.delivery is not None and run.cut_by is None:
            self.release(run, error)
            run.delivery.cancel()

    def _all(self) -> Iterable[Run]:
        return list(self.runs.values())
