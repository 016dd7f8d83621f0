"""LiveSession: what the process knows of a session while it is live.

It outlives the actor object: it is there when an actor that has crashed begins again. A run is
admitted here, in one block without a checkpoint, and leaves here; neither waits for the actor.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import attrs
import trio

from wingman.actor import Delivery
from wingman.agent import Agent, ChosenAgent, weight_of_agent
from wingman.conversation import Message, Usage
from wingman.errors import (
    MailboxFull,
    NotFound,
    NotInFlight,
    SessionBusy,
    SessionMoved,
    StoreError,
    WingmanError,
)
from wingman.ids import new_id
from wingman.run import EventChannel, Journal, Outcome, RunJournal, Shown, View, now, repair
from wingman.session.admission import (
    RunRequest,
    check_same_body,
    deleted_error,
    moved_error,
    refused_error,
    stays_error,
    weight_of,
)
from wingman.session.live_run import LiveRun
from wingman.session.services import Services
from wingman.session.steering import unread
from wingman.store import Compacted, RunRecord, SessionRecord

__all__ = ["LiveSession"]

_REMEMBERED_REQUESTS = 1024

_A_SLICE = 256  # messages of a history, after which others have their turn


@attrs.define(eq=False)
class LiveSession:
    """One session, live. `history` is None until the actor has read it, and again after a failure:
    then memory may be ahead of the store, and the actor begins again from what is stored.

    `runs` are those queued and in flight, in the order they were admitted; `requests` the runs of
    this activation by request id, as many as are remembered. `submit` puts a message into the
    actor's mailbox. `lost` is the run whose end is not recorded, and why. `steered`: a message has
    come that was to steer a run, once at least. `granted` is what answers
    `always` have granted in it, None until it has been read.
    """

    services: Services = attrs.field(repr=False)
    record: SessionRecord
    submit: Callable[[Any], Delivery[None]] = attrs.field(repr=False)
    history: list[Message] | None = attrs.field(default=None, repr=False)
    runs: dict[str, LiveRun] = attrs.field(factory=dict, repr=False)
    requests: dict[str, LiveRun] = attrs.field(factory=dict, repr=False)
    current: LiveRun | None = attrs.field(default=None, repr=False)
    lost: tuple[LiveRun, WingmanError] | None = attrs.field(default=None, repr=False)
    tool_ids: set[str] = attrs.field(factory=set, repr=False)
    steered: bool = False
    granted: set[tuple[str, str]] | None = attrs.field(default=None, repr=False)
    journal: Journal = attrs.field(init=False, repr=False)
    shown: Shown = attrs.field(init=False, repr=False)
    view: View = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        services = self.services
        metrics, events = services.model.metrics, services.events
        self.journal = Journal.of(self.record, services.store, metrics, events)
        self.shown = Shown(services.model.shelf)
        self.view = View(self.record.compacted)

    @property
    def id(self) -> str:
        """The session's ULID."""
        return self.record.id

    @property
    def channel(self) -> EventChannel:
        """What the session publishes."""
        return self.journal.channel

    @property
    def deleted(self) -> bool:
        """Whether it takes no more, since it was deleted."""
        return self.journal.instead is not None and not self.journal.moved

    @property
    def moved(self) -> bool:
        """Whether it takes no more, since another node may own it."""
        return self.journal.moved

    @property
    def in_flight(self) -> LiveRun | None:
        """The run in flight: the one that runs, or that is about to."""
        if self.current is not None:
            return self.current
        return next((run for run in self.runs.values() if run.state.cut_by is None), None)

    async def load(
        self, usage: Usage, stored: Iterable[Message], compacted: Compacted | None = None
    ) -> None:
        """Take the usage, the history, and its last compaction, as the store has them.

        Others have their turn while a long one is taken.
        """
        history: list[Message] = []
        tool_ids: set[str] = set()
        for message in repair(stored):
            history.append(message)
            tool_ids.update(use.id for use in message.tool_uses)
            if len(history) % _A_SLICE == 0:
                await trio.lowlevel.checkpoint()
        self.journal.usage = usage
        self.history, self.tool_ids = history, tool_ids
        self.view.become(compacted)

    def has_announced(self, run_id: str, tool_use_id: str) -> bool:
        """Whether this run is in flight, and has such a call that is not in the history yet."""
        if self.current is None or self.current.id != run_id:
            return False
        return tool_use_id in self.tool_ids and not any(
            tool_use_id == use.id for message in self.history or () for use in message.tool_uses
        )

    # --- admission -----------------------------------------------------------------------------

    def find_request(self, request: RunRequest) -> LiveRun | None:
        """The run of this activation with this request's id; `RequestIdConflict` where its body
        was another one."""
        run = self.requests.get(request.request_id or "")
        if run is not None:
            check_same_body(run.record, request)
        return run

    def admit(self, request: RunRequest, chosen: ChosenAgent) -> LiveRun:
        """Admit a run, without a checkpoint; it is durable once `run.admitted()` returns.

        Raises `SessionBusy`, `MailboxFull`, `Overloaded`, `ShuttingDown`: then nothing was kept.
        Where it cannot be recorded it leaves again, and has interrupted nothing.
        """
        if request.images and request.kept_images is None:
            raise RuntimeError("the images of a message are looked at before it is admitted")
        if self.deleted:
            raise NotFound("session", self.id)
        if self.moved:
            raise moved_error(self.id)
        weight = weight_of(request.message, request.kept_images or (), chosen.weight)
        self.services.room.check(weight)
        if request.on_busy == "reject" and self.in_flight is not None:
            raise SessionBusy(
                f"Session {self.id} has a run in flight: wait for it, cancel it, "
                'or send the message with on_busy "queue" or "interrupt".'
            )
        target = self.in_flight if request.on_busy == "steer" else None
        if target is not None and not (target.steerable and self._may_steer(target, request)):
            target = None
        if request.expect_run is not None and (target is None or target.id != request.expect_run):
            expected = self.runs.get(request.expect_run)
            queued = expected is not None and not expected.state.begun
            raise NotInFlight(
                request.expect_run, "queued" if queued else "ended", "Nothing was sent."
            )
        self._check_room()
        record = RunRecord(
            id=new_id(),
            session_id=self.id,
            message=request.message,
            images=request.kept_images or None,
            agent_id=chosen.id,
            agent=chosen.record,
            created_at=now(),
            request_id=request.request_id,
            body_hash=request.body_hash,
            max_steps=request.max_steps,
            permissions=request.permissions,
            on_ask=request.on_ask,
            ask_timeout=request.ask_timeout,
            steers=None if target is None else target.id,
            compacts=request.compacts,
        )
        self.steered = self.steered or target is not None
        run = self._run(record, chosen.agent, request.callers, weight)
        run.to_steer = request.on_busy == "steer"
        run.state.phase = "admitting"
        run.admitting = run.journal.queued()
        self._enqueue(run)
        run.admitting.then(partial(self._admitted, run, request.on_busy == "interrupt"))
        return run

    def readmit(self, record: RunRecord) -> LiveRun:
        """Put a run that the store has as queued back into the mailbox."""
        weight = weight_of(record.message, record.images or (), weight_of_agent(record.agent))
        self.steered = self.steered or record.steers is not None
        run = self._run(record, None, frozenset(), weight)
        self._enqueue(run)
        return run

    def _may_steer(self, target: LiveRun, request: RunRequest) -> bool:
        """Whether a message may be read by this run: it overtakes none that came before it to steer
        as well, and waits as a run of its own. Where the run was named, it is for that one."""
        return request.expect_run is not None or not any(
            run.to_steer and run is not target and run.record.steers != target.id
            for run in self.runs.values()
            if not run.state.begun and run.state.cut_by is None
        )

    def _check_room(self) -> None:
        """One run may be in flight, and as many wait as the limit says."""
        limit = self.services.limits.queued
        if len(self.runs) > limit:
            raise MailboxFull(
                f"{limit} messages are waiting in session {self.id}, "
                "which is the limit: send this one again later."
            )

    def _run(
        self, record: RunRecord, agent: Agent | None, callers: frozenset[str], weight: int
    ) -> LiveRun:
        run = LiveRun(
            RunJournal(self.journal, record),
            self.services.spawn,
            agent,
            callers | {self.id},
            weight,
            self.channel.last_id,
            was_behind=bool(self.runs),
            to_steer=record.steers is not None,
        )
        run.journal.on_end = partial(self._leave, run)
        run.unread = partial(unread, self, run.id)
        return run

    def _enqueue(self, run: LiveRun) -> None:
        self.runs[run.id] = run
        if run.record.request_id is not None:
            self.requests[run.record.request_id] = run
            if len(self.requests) > _REMEMBERED_REQUESTS:
                # Its row was committed long ago: from now on the store answers for it.
                del self.requests[next(iter(self.requests))]
        self.services.room.waiting += 1
        self.services.room.held += run.weight
        run.delivery = self.submit(run)

    def _admitted(self, run: LiveRun, interrupts: bool, failure: StoreError | None) -> None:
        """A run's row is safe, or could not be written: then nothing of the message is kept."""
        run.settle(failure)
        if failure is not None:
            self._refuse(run, failure)
            if isinstance(failure, SessionMoved):
                self.services.owners.lost(self.id)
            return
        if run.state.phase == "admitting":
            run.state.phase = "queued"
        if interrupts:
            self._interrupt(run)

    def _refuse(self, run: LiveRun, failure: StoreError) -> None:
        request_id = run.record.request_id
        if request_id is not None and self.requests.get(request_id) is run:
            del self.requests[request_id]
        # If it has begun, its start was written on the same chain, and fails as well.
        run.journal.refuse(refused_error(failure))

    def _interrupt(self, newcomer: LiveRun) -> None:
        """Cancel the run in flight, if it is not the newcomer itself."""
        in_flight = self.in_flight
        if in_flight is not None and in_flight is not newcomer:
            in_flight.request_cancel()

    def hand_over(self, run: LiveRun, reader: LiveRun) -> None:
        """The run in flight has read a queued run's message: that one leaves the queue."""
        if self.runs.pop(run.id, None) is None:
            return
        self.services.room.held -= run.weight
        self.services.room.waiting -= 1
        run.journal.read(now())
        run.read_by(reader)

    # --- leaving -------------------------------------------------------------------------------

    def begin(self, run: LiveRun) -> None:
        """The run has its place among those in flight."""
        self.current = run
        self.services.room.waiting -= 1
        run.begin()

    def put_back(self, run: LiveRun) -> None:
        """A run's start could not be recorded: it is queued as before, and is read anew."""
        self.history = None
        self.current = None
        self.services.room.waiting += 1
        run.state.phase = "queued"

    def lose(self, run: LiveRun, error: WingmanError) -> None:
        """A run's end could not be recorded: what memory has may be ahead of the store."""
        self.history = None
        self.lost = run, error
        run.lost()

    def _leave(self, run: LiveRun, outcome: Outcome) -> None:
        """A run has ended, or is released: it has told the world, and now those who wait."""
        if self.runs.pop(run.id, None) is not None:
            self.services.room.held -= run.weight
            if not run.state.begun:
                self.services.room.waiting -= 1
        if self.current is run:
            self.current = None
        if self.lost is not None and self.lost[0] is run:
            self.lost = None
        run.end(outcome)

    def mark_deleted(self) -> None:
        """Take nothing more, and ask what runs to end; who waits gets `SessionDeleted`."""
        error = self.journal.instead = deleted_error(self.id)
        for run in list(self.runs.values()):
            if run.state.begun:
                run.request_cancel()
            else:
                run.journal.release(error)

    def mark_moved(self) -> None:
        """Take nothing more, and record nothing more: another node may own the session."""
        error = self.journal.instead = moved_error(self.id)
        self.journal.moved = True
        for run in list(self.runs.values()):
            if not run.state.begun:
                run.journal.release(error)

    def release_queued(self) -> None:
        """Free who waits for what has not started: it stays queued in the store. Who waits for a
        message that is just being read waits for the run that reads it."""
        for run in list(self.runs.values()):
            if not run.state.begun and run.state.cut_by is None and not run.being_read:
                run.journal.release(stays_error(run.record))

    def release_all(self, error: WingmanError) -> None:
        """Free who waits for anything here: the actor has ended, and nobody ends their runs."""
        for run in list(self.runs.values()):
            run.journal.release(error)
