"""LiveRun: a run of a live session, from its admission to its end."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import attrs
from trio.lowlevel import ParkingLot, checkpoint

from wingman.actor import Delivery
from wingman.agent import Agent
from wingman.api import Status
from wingman.errors import StoreError, StoreUnavailable
from wingman.run import (
    Asks,
    CutBy,
    Outcome,
    Place,
    Reader,
    RunJournal,
    RunState,
    cut,
)
from wingman.session.admission import refused_error, unknown_error
from wingman.session.recovery import end_before_start
from wingman.store import Commit, RunRecord

__all__ = ["LiveRun"]


@attrs.define(eq=False)
class LiveRun:
    """One run, in memory. What it is now stands in its `state`, and nowhere else.

    `agent` is None for a run of an earlier process, until its turn comes. `first_event` is the last
    event before its admission. `callers` are the sessions that wait for it. `weight` is how many
    bytes its message takes in memory. `was_behind`: others were there before it. `to_steer`: it was
    sent to steer a run. `spawn` starts a task of the runtime. `admitting` is the commit of its row,
    until it is known what came of that; `not_admitted` is why it failed. `outcome` is what whoever
    waits is told: at the end, or before, where the end cannot be recorded for some time.
    `not_cancelled` is why the last cancel was not recorded. `place` is its place among those in
    flight, once it has begun. `unread` gives the runs whose messages are to steer it, and that it
    has not read; `followers` are those whose messages it has read: who waits for one of them, waits
    for this one.
    """

    journal: RunJournal
    spawn: Callable[[Callable[[], Any], str], None] = attrs.field(repr=False)
    agent: Agent | None = attrs.field(default=None, repr=False)
    callers: frozenset[str] = frozenset()
    weight: int = 0
    first_event: int = 0
    was_behind: bool = False
    to_steer: bool = False
    state: RunState = attrs.field(factory=RunState)
    admitting: Commit | None = attrs.field(default=None, repr=False)
    not_admitted: StoreError | None = attrs.field(default=None, repr=False)
    delivery: Delivery[None] | None = attrs.field(default=None, repr=False)
    outcome: Outcome | None = attrs.field(default=None, repr=False)
    not_cancelled: StoreError | None = attrs.field(default=None, repr=False)
    place: Place | None = attrs.field(default=None, repr=False)
    unread: Callable[[], list["LiveRun"]] = attrs.field(default=list, repr=False)
    followers: list["LiveRun"] = attrs.field(factory=list, repr=False)
    _asked: CutBy | None = None  # who has asked for its end while it is being read
    _changed: ParkingLot = attrs.field(factory=ParkingLot, repr=False)

    @property
    def id(self) -> str:
        """The run's ULID."""
        return self.journal.record.id

    @property
    def record(self) -> RunRecord:
        """The run as this process has written it."""
        return self.journal.record

    @property
    def ended(self) -> bool:
        """Whether it is over for this process, and whoever waits for it was told."""
        return self.state.phase == "ended"

    @property
    def status(self) -> Status:
        """Where it stands."""
        return self.state.shown(self.journal.status)

    @property
    def steerable(self) -> bool:
        """Whether it may still read a message that is sent to steer it."""
        return self.state.cut_by is None and self.state.phase in ("admitting", "queued", "running")

    @property
    def being_read(self) -> bool:
        """Whether the run in flight reads its message, and that is just being recorded."""
        return self.state.phase == "reading"

    @property
    def undecided(self) -> bool:
        """Whether it is just being recorded that it is cancelled while it is queued, or that its
        message is read."""
        if self.state.cut_by is None:
            return self.being_read
        return self.state.phase in ("admitting", "queued")

    @property
    def asks(self) -> Asks | None:
        """What a person is asked in it, as far as it is known."""
        return self.journal.asks

    @property
    def only_waits(self) -> bool:
        """Whether it has begun, and does nothing but wait for people."""
        return self.place is not None and not self.place.held

    def reader(self) -> Reader:
        """A reader of this run's events, from its admission on."""
        return self.journal.session.channel.reader(self.first_event, self.id)

    # --- waiting -------------------------------------------------------------------------------

    async def admitted(self) -> None:
        """Return when the run is durable. Raises `StoreError` if it could not be made so, and
        `NodeLost` where another node may own the session before that is known."""
        if self.admitting is None:
            await checkpoint()
        while self.admitting is not None and not self.journal.session.moved:
            await self._changed.park()
        if self.not_admitted is not None:
            raise refused_error(self.not_admitted) from self.not_admitted
        if self.admitting is not None:
            raise unknown_error(self.record.session_id)

    async def wait(self) -> None:
        """Wait for the run's end."""
        if self.ended:
            await checkpoint()
        while not self.ended:
            await self._changed.park()

    async def wait_told(self) -> None:
        """Wait until there is something to tell: what it came to, or that this is not recorded."""
        if self.outcome is not None:
            await checkpoint()
        while self.outcome is None:
            await self._changed.park()

    async def wait_asks(self) -> Asks | None:
        """Wait until it is known what a person is asked in it; None: it has ended before."""
        while self.journal.asks is None and not self.ended:
            await self._changed.park()
        return None if self.ended else self.journal.asks

    async def wait_decided(self) -> None:
        """Wait until a cancel, or a reading, that is being recorded is, or has failed."""
        while self.undecided:
            await self._changed.park()

    async def wait_read(self) -> None:
        """Wait until it is known whether its message is read."""
        while self.being_read:
            await self._changed.park()

    async def wait_stopped(self) -> None:
        """Wait until the run has ended, or its work has and that is not recorded, or a cancel of it
        could not be recorded."""
        while not self.ended and self.state.phase != "unrecorded" and self.state.cut_by is not None:
            await self._changed.park()

    async def wait_worked(self) -> None:
        """Wait until the run has ended, or its work has and that is not recorded."""
        while not self.ended and self.state.phase != "unrecorded":
            await self._changed.park()

    async def wait_at_rest(self) -> None:
        """As `wait_worked`, or until it does nothing but wait for people."""
        while not self.ended and self.state.phase != "unrecorded" and not self.only_waits:
            await self._changed.park()

    # --- what becomes of it --------------------------------------------------------------------

    def settle(self, failure: StoreError | None) -> None:
        """Its row is safe, or could not be written."""
        self.admitting, self.not_admitted = None, failure
        self._changed.unpark_all()

    def moved(self) -> None:
        """It has left its place, or taken it again."""
        self._changed.unpark_all()

    def ask(self, asks: Asks) -> None:
        """From now on people may be asked in it."""
        self.journal.asks = asks
        self._changed.unpark_all()

    def begin(self) -> None:
        """The run has its place among those in flight, or waits for people."""
        self.state.phase = "running"
        self.state.waiting_for = None

    def lost(self) -> None:
        """Its work has stopped, and its end could not be recorded."""
        self.state.phase = "unrecorded"
        self.state.calls = None
        self.state.announced = {}
        self._changed.unpark_all()

    def read_by(self, reader: "LiveRun") -> None:
        """The run in flight has read its message: it waits for that one's end, and no more."""
        self.state.phase = "read"
        delivery, self.delivery = self.delivery, None
        if delivery is not None:
            delivery.cancel()
        if reader.ended and reader.outcome is not None:
            self._end_as(reader, reader.outcome)
            return
        reader.followers.append(self)
        if isinstance(reader.outcome, StoreUnavailable):
            self.put_off(reader.outcome)
        self._changed.unpark_all()

    def not_read(self) -> None:
        """That its message was read could not be recorded: nobody has read it."""
        if self.being_read:
            self.state.phase = "queued"
            asked, self._asked = self._asked, None
            if asked is not None:
                self.request_cancel(asked)
            self._changed.unpark_all()

    def put_off(self, error: StoreUnavailable) -> None:
        """Tell whoever waits that the end is not recorded; it is told again when it is."""
        self.outcome = error
        for run in self.followers:
            run.put_off(error)
        self._changed.unpark_all()

    def end(self, outcome: Outcome) -> None:
        """The run is over, for this process: tell whoever waits."""
        begun, self.state.phase = self.state.begun, "ended"
        self.state.calls = None
        self.state.announced = {}
        self.state.waiting_for = None
        self.outcome = outcome
        self.unread = list
        followers, self.followers = self.followers, []
        for run in followers:
            run._end_as(self, outcome)
        delivery, self.delivery = self.delivery, None  # they would hold each other
        if delivery is not None and not begun:
            delivery.cancel()
        self._changed.unpark_all()

    def _end_as(self, reader: "LiveRun", outcome: Outcome) -> None:
        self.state.output = reader.state.output
        self.end(outcome)

    def request_cancel(self, cut_by: CutBy = "cancelled") -> None:
        """Ask for the run's end. Asking again changes nothing."""
        if self.state.cut_by is not None or self.ended or self.state.phase == "read":
            return
        if self.being_read:
            self._asked = cut_by  # it goes where that cannot be recorded
            return
        self.state.cut_by = cut_by
        self.not_cancelled = None
        if self.state.phase == "unrecorded":
            return  # its work has stopped, and its end is on its way
        if self.state.phase != "running":
            # A task of the runtime, not of a request. The run keeps its place until it is recorded.
            self.spawn(self._end_before_start, f"cancel {self.id}")
        elif self.delivery is not None:
            self.delivery.cancel()

    def expire(self) -> None:
        """Its time limit is reached: cancel what it does."""
        if self.state.phase == "running" and self.state.cut_by is None and self.delivery:
            self.state.timed_out = True
            self.delivery.cancel()

    async def _end_before_start(self) -> None:
        try:
            await end_before_start(self.journal, cut(self.state.cut_by))
        except StoreError as error:
            await self.journal.begin_again()
            with suppress(StoreError):
                await self.journal.look_for_end()
            if not self.ended:  # else it was refused: its admission could not be recorded either
                self.state.cut_by = None
                if self.asks is not None:
                    self.asks.open()
                self.not_cancelled = error
                self._changed.unpark_all()
