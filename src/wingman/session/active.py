"""ActiveSessions: the sessions that are live now, by id.

Activated when they are asked for, passivated when they are idle and nobody reads them, quarantined
when they keep crashing: the sessions' side of the actors' directory.
"""

import logging
import sys
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio

from wingman.actor import ActorStopped, Delivery, Directory, Quarantine, Restart, Termination
from wingman.conversation import Message
from wingman.errors import (
    NotFound,
    SessionQuarantined,
    ShuttingDown,
    StoreError,
    StoreUnavailable,
    WingmanError,
)
from wingman.run import Ending
from wingman.session.actor import BeginAgain, SessionActor
from wingman.session.admission import moved_error
from wingman.session.backlog import Backlog
from wingman.session.cut_offs import CutOffs
from wingman.session.live import LiveSession
from wingman.session.live_run import LiveRun
from wingman.session.owners import Owners
from wingman.session.recovery import end_before_start
from wingman.session.services import Services
from wingman.store import RunRecord, SessionRecord
from wingman.telemetry import log_event

__all__ = ["ActiveSessions"]

logger = logging.getLogger("wingman.session")

# So many sessions of the backlog are read at once.
_AT_ONCE: Final = 128
_UNFINISHED: Final = ("queued", "waiting", "running")
# So many sessions are read one by one at the same time.
_READ_AT_ONCE: Final = 8
# Between two tries to read from a store that does not say that it fails.
_PAUSE: Final = 0.1


class ActiveSessions:
    """The live sessions of one process. Made within a running actor system.

    `deleting` are the sessions that are being deleted, each with an event that is set as soon as it
    is known whether the mark is recorded. `backlog` are those with queued runs of an earlier
    process that are not live yet: whoever looks for a run asks `present`, which makes such a one
    live.
    """

    def __init__(self, services: Services, idle_after: float | None) -> None:
        self.deleting: dict[str, trio.Event] = {}
        self.backlog = Backlog(services.room)
        self._cut_offs = CutOffs(services)
        self._services = services
        self._live: dict[str, LiveSession] = {}
        self._locks: dict[str, trio.Lock] = {}
        self._reading = trio.CapacityLimiter(_READ_AT_ONCE)
        self._directory: Directory[str, LiveRun | BeginAgain, None] = Directory(
            services.system,
            lambda id: SessionActor(self._live[id]),
            idle_after=idle_after,
            may_passivate=_may_passivate,
            on_ended=self._ended,
            # Room is checked at admission: all that was queued must fit in after a restart.
            mailbox=sys.maxsize,
            supervision=Restart(),
            name=lambda id: f"session {id}",
        )

    def all(self) -> Collection[LiveSession]:
        """Those that are live."""
        return list(self._live.values())

    def find(self, session_id: str) -> LiveSession | None:
        """The live session with this id, if it is live."""
        return self._live.get(session_id)

    async def present(self, session_id: str) -> LiveSession | None:
        """The live session with this id, if it is live, or is to be so, since it has a queue.

        Raises `SessionElsewhere` where another process owns it.
        """
        if session_id in self.backlog or await self._is_left(session_id):
            with suppress(NotFound):
                await self.live(session_id)
        return self.find(session_id)

    async def _is_left(self, session_id: str) -> bool:
        """Whether another process has left this session with something to be done."""
        owners = self._services.owners
        if not owners.shared or session_id in self._live:
            return False
        await owners.check(session_id)
        return bool(await self._services.store.runs(session_id, _UNFINISHED, 1))

    @property
    def owners(self) -> Owners:
        """Who knows which sessions are this process's own."""
        return self._services.owners

    async def check_here(self, session_id: str) -> None:
        """Raise `SessionElsewhere` where another process owns the session."""
        if session_id not in self._live:
            await self._services.owners.check(session_id)

    async def own_to_erase(self, session_id: str) -> None:
        """Have the session be this process's own, live or not, if there is one.

        Raises `SessionElsewhere` where another process owns it.
        """
        if self._services.owners.shared and session_id not in self._live:
            async with self.alone(session_id):
                if session_id not in self._live:
                    await self._services.owners.claim(session_id, to_erase=True)

    async def own(self, session_id: str) -> None:
        """Have the session be this process's own: what is written of it may be written.

        Raises `NotFound`, and `SessionElsewhere` where another process owns it.
        """
        if self._services.owners.shared:
            await self.live(session_id)

    async def live(self, session_id: str, *, to_run: bool = False) -> LiveSession:
        """The live session with this id, activated from the store if need be, its queue with it;
        `to_run` something in it.

        Raises `NotFound`, or `SessionQuarantined` for one whose actor keeps crashing, and
        `SessionElsewhere` where another process owns it.
        """
        await self.decided(session_id)
        live = self._live.get(session_id)
        if live is None:
            async with self.alone(session_id):
                live = self._live.get(session_id)
                if live is None:
                    await self._services.owners.claim(session_id, to_run=to_run)
                    live = self._live.get(session_id) or await self._wake(session_id)
        if live.moved:
            raise moved_error(session_id)
        if live.deleted or session_id in self.deleting:
            # From the moment that it is being marked, the store may not show its runs any more.
            raise NotFound("session", session_id)
        return live

    async def decided(self, session_id: str) -> None:
        """Return when it is known whether this session is deleted: a mark may fail."""
        marked = self.deleting.get(session_id)
        if marked is not None:
            await marked.wait()

    async def _wake(self, session_id: str) -> LiveSession:
        if self._services.owners.shared:
            # The node that had it may have gone away: what it ran is ended before anything begins.
            await self._cut_offs.end(session_id)
        found = await self._services.store.session_with_queue(session_id)
        live = self._live.get(session_id)
        if live is not None:
            return live  # it was in the backlog, and its turn has come meanwhile
        if found is None or session_id in self.deleting:
            self.backlog.take(session_id)
            raise NotFound("session", session_id)
        return self._take_up(*found)

    def _take_up(self, record: SessionRecord, queue: Sequence[RunRecord]) -> LiveSession:
        live = self.activate(record, None)
        self.backlog.take(record.id)
        for run in queue:
            live.readmit(run)
        return live

    def take_up(self, runs: Mapping[str, int]) -> None:
        """Make these sessions live, each with so many queued runs, when there is room for them."""
        begins = not self.backlog.first(1)
        self.backlog.add({id: count for id, count in runs.items() if id not in self._live})
        if begins and self.backlog.first(1):
            self._services.spawn(self._take_up_backlog, "take up queued runs")

    async def _take_up_backlog(self) -> None:
        """Make the sessions of the backlog live, until the runtime drains."""
        room, store = self._services.room, self._services.store
        while self.backlog.first(1):
            # In line behind those that were made live before: so they are not all in memory.
            await room.take_slot()
            room.slots.release()
            ids = self.backlog.first(_AT_ONCE)
            if self._services.owners.shared:
                await self._take_up_each(ids)
                continue
            try:
                found = await store.queues(ids)
            except StoreUnavailable:
                await store.wait_until_well()
                await trio.sleep(_PAUSE)
                continue
            except StoreError:  # one of them is damaged: it alone stays where it is
                await self._take_up_each(ids)
                continue
            for record, queue in found:
                # Unless somebody has asked for it, or deletes it, or the runtime drains.
                if record.id in self.backlog:
                    self._take_up(record, queue)
                await trio.lowlevel.checkpoint()
            for session_id in ids:
                self.backlog.take(session_id)

    async def _take_up_each(self, session_ids: Collection[str]) -> None:
        async with trio.open_nursery() as nursery:
            for session_id in session_ids:
                nursery.start_soon(self._take_up_one, session_id)

    async def _take_up_one(self, session_id: str) -> None:
        async with self._reading:
            try:
                await self.present(session_id)
            except StoreUnavailable:
                await self._services.store.wait_until_well()
                await trio.sleep(_PAUSE)
                return
            except WingmanError as error:
                self.backlog.take(session_id)
                text = "the session's queue cannot be taken up"
                log_event(logger, logging.ERROR, text, session_id=session_id, reason=error.message)
            else:
                self.backlog.take(session_id)

    async def wake_queued(self, session_id: str, run_id: str) -> None:
        """Take up a run of a live session that the store has as queued, and memory not at all.

        That is one whose message was refused, since its commit had failed, and which was written
        all the same. Once the runtime drains, what is queued stays where it is.
        """
        async with self.alone(session_id):
            record = await self._services.store.run(session_id, run_id)
            live = self._live.get(session_id)
            if record is None or live is None or live.deleted or run_id in live.runs:
                return
            if record.status == "queued" and not self._services.room.draining.is_set():
                live.readmit(record)

    def activate(self, record: SessionRecord, history: list[Message] | None) -> LiveSession:
        """Make a session live. Without its `history`, its actor reads it."""
        directory = self._directory

        def submit(message: LiveRun | BeginAgain) -> Delivery[None]:
            return directory.ref(record.id).submit(message)

        live = LiveSession(self._services, record, submit, history)
        self._live[record.id] = live
        try:
            directory.ref(record.id)
        except ActorStopped as error:
            del self._live[record.id]
            raise SessionQuarantined(
                f"Session {record.id} crashed too often and is set aside for a while: {error}"
            ) from error
        return live

    @asynccontextmanager
    async def alone(self, session_id: str) -> AsyncGenerator[None, None]:
        """One at a time for each session: what is read here is still true when it is acted on."""
        lock = self._locks.setdefault(session_id, trio.Lock())
        async with lock:
            try:
                yield
            finally:
                if not lock.statistics().tasks_waiting:
                    self._locks.pop(session_id, None)

    def quarantined(self) -> Mapping[str, Quarantine]:
        """The sessions that are set aside now, and why."""
        return self._directory.quarantined()

    async def stop(self, session_id: str) -> None:
        """End a live session's actor, once its run has ended."""
        await self._directory.ref(session_id).stop()

    async def hand_over(self, live: LiveSession) -> None:
        """Let another process have a live session that has nothing to do."""
        live.channel.close("shutting_down")
        if self._live.get(live.id) is live:
            await self.stop(live.id)

    async def abandon(self, sessions: Collection[LiveSession], patience: float) -> None:
        """Have nothing to do with these sessions any more, which another node may own: stop what
        they run, and record nothing. Returns when they have stopped, or after so many seconds."""
        for live in sessions:
            live.mark_moved()
        with trio.move_on_after(patience):
            async with trio.open_nursery() as nursery:
                for live in sessions:
                    if self._live.get(live.id) is live:
                        nursery.start_soon(self._directory.ref(live.id).kill)

    def _ended(self, session_id: str, termination: Termination) -> None:
        """A session's actor has ended for good: forget the session; nobody may wait for it."""
        live = self._live[session_id]
        if termination.cause == "passivated" and live.channel.readers:
            # A reader came as it was about to end: it begins anew.
            self._directory.ref(session_id)
            return
        del self._live[session_id]
        if live.moved:
            live.release_all(moved_error(session_id))
            live.channel.close("moved")
            return
        if termination.cause == "crashed" and not live.deleted:
            self._give_up(live, termination)
            return
        if not live.deleted:
            self._services.owners.release(session_id)
        live.release_all(ShuttingDown("The session was stopped before the run had ended."))
        live.channel.close("deleted" if live.deleted else termination.cause)

    def _give_up(self, live: LiveSession, termination: Termination) -> None:
        """End a quarantined session's runs; the next life there is interrupts the one in flight."""
        error = SessionQuarantined(
            f"Session {live.id} crashed too often and is set aside for a while ({termination})."
        )
        text = "the session is set aside"
        log_event(logger, logging.ERROR, text, session_id=live.id, reason=error.message)
        queued = []
        for run in list(live.runs.values()):
            if run.state.begun:
                run.journal.release(error)
            else:
                queued.append(run)
        self._services.spawn(partial(_fail_all, live, queued, error), f"give up {live.id}")


async def _fail_all(live: LiveSession, queued: Sequence[LiveRun], error: WingmanError) -> None:
    """End queued runs that nobody will start. Who waits for one is told when that is recorded.

    Where it cannot be, the run stays queued, and starts when the session is woken again.
    """
    for run in queued:
        await run.wait_decided()
        if run.ended:
            continue
        try:
            await end_before_start(run.journal, Ending("failed", error=error))
        except StoreError as failure:
            text = f"{error.message} Run {run.id} is still {run.record.status}: {failure.message}"
            run.journal.release(StoreUnavailable(text, run_id=run.id))
    live.channel.close("crashed")


def _may_passivate(actor: SessionActor | None) -> bool:
    return actor is not None and not actor.live.runs and not actor.live.channel.readers
