"""SessionActor: takes a session's runs from its mailbox, one at a time, in order."""

import logging
from types import TracebackType
from typing import Final, Self

import attrs
import trio

from wingman.agent import Agent
from wingman.api import RunFailure
from wingman.errors import (
    NotFound,
    SessionMoved,
    StoreError,
    StoreUnavailable,
    WingmanError,
)
from wingman.foreign import contained, copy_of, reason
from wingman.run import Meter, Place, RunJournal, RunLoop, RunState
from wingman.session.admission import stays_error, unrecorded_error
from wingman.session.asking import Prepared, prepare, toolbox_of, until_answered
from wingman.session.live import LiveSession
from wingman.session.live_run import LiveRun
from wingman.session.recovery import end_from_store, ending_after
from wingman.session.steering import Steering, unread
from wingman.session.work_dir import path_of
from wingman.telemetry import log_event

__all__ = ["BeginAgain", "SessionActor"]

logger = logging.getLogger("wingman.session")

# Whoever waits for a run that cannot be recorded is told so after as many seconds.
_PATIENCE: Final = 5.0
# Between two tries to read from a store that does not say that it fails.
_PAUSE: Final = 0.1


@attrs.frozen
class BeginAgain:
    """A message of the actor to itself: begin again from what is stored."""


class SessionActor:
    """One life of a session's actor. What outlives it is its `LiveSession`.

    It reads the history when the first run needs it. After a failed write, or a crash of the life
    before, memory may be ahead of the store: then it ends the run that was cut off from what is
    stored, and reads everything again, before it takes the next run.
    """

    def __init__(self, live: LiveSession) -> None:
        self.live = live
        self._taken: LiveRun | None = None

    async def __aenter__(self) -> Self:
        if self.live.lost is not None:
            self.live.submit(BeginAgain())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to save: what must last was written as it happened.

        After a crash the next life ends the run that was taken, and begins again.
        """
        if value is None:
            return
        live, run = self.live, self._taken
        if run is None or run.id not in live.runs:  # another run may have read its message
            run = live.current
        live.history = None
        if run is not None and not run.ended and live.lost is None:
            if not run.state.begun:
                live.begin(run)
            ending = ending_after(value, None, run.id)
            live.lose(run, ending.error or WingmanError(reason(value)))

    async def receive(self, message: LiveRun | BeginAgain) -> None:
        """Run one message to its end, or begin again."""
        if isinstance(message, BeginAgain):
            if not await self._ready() and self.live.lost is not None:
                lost, _ = self.live.lost
                lost.journal.release(unrecorded_error(lost.id))
            return
        run, room = message, self.live.services.room
        self._taken = run
        if run.record.status == "waiting":
            await until_answered(self.live, run)
        # Again, where a cancel is being recorded, or the start could not be.
        while not run.state.begun:
            await run.wait_decided()
            if room.draining.is_set() or not await self._ready(run):
                # If it was not just cancelled, it stays in the store as it is until the next start.
                await run.wait_decided()
                run.journal.release(stays_error(run.record))
                return
            agent = run.agent or await self._agent(run)
            prepared = await prepare(self.live, run, agent)
            place = run.place = await self._place(run)
            try:
                if not run.undecided and not run.ended:
                    await self._execute(run, prepared, place)
            finally:
                run.place = None
                place.close()
        self._taken = None  # where this is left by an error, it stays
        if self.live.runs:
            # A run may have waited for nothing: it is the others' turn before the next one.
            await trio.lowlevel.checkpoint()

    async def _place(self, run: LiveRun) -> Place:
        """A place among the runs in flight; one that waits for people needs none for now."""
        services = self.live.services
        waits = run.record.status == "waiting"
        if not waits:
            await services.room.take_slot()
        limit = services.time_limit
        return Place(services.room, limit, run.expire, run.moved, held=not waits)

    async def _execute(self, run: LiveRun, prepared: Prepared, place: Place) -> None:
        """Run to the end; or, where the start could not be recorded, leave the run queued."""
        live, services = self.live, self.live.services
        if live.history is None:
            raise RuntimeError("a session's actor began a run before it had read the history")
        live.begin(run)
        toolbox = toolbox_of(live, prepared.agent)
        loop = RunLoop(
            journal=run.journal,
            state=run.state,
            agent=prepared.agent,
            work_dir=path_of(live.record.work_dir),
            history=live.history,
            shown=live.shown,
            tool_ids=live.tool_ids,
            model=services.model,
            limits=services.limits,
            meter=Meter(services.terms.prices),
            callers=run.callers,
            place=place,
            permits=prepared.permits,
            words=Steering(live, run),
            toolbox=toolbox,
            view=live.view,
        )
        try:
            await loop.execute(prepared.left)
        except StoreError as error:
            if run.ended:
                return  # its admission had failed, and nothing of it was written
            self._log(logging.ERROR, "the run cannot be recorded", run, error)
            if isinstance(error, SessionMoved):
                services.owners.lost(live.id)  # which ends this actor
            if run.record.status == "queued" and run.state.cut_by is None:
                live.put_back(run)
                await run.journal.begin_again()
            else:
                live.lose(run, error)
                live.submit(BeginAgain())
        finally:
            if toolbox is not None:
                toolbox.close()

    async def _agent(self, run: LiveRun) -> Agent:
        """The agent of a run that an earlier process admitted. It waits until it is there."""
        agents = self.live.services.agents
        while True:
            try:
                agent = agents.resolve(run.record)
            except BaseException as raised:  # noqa: ASYNC103 contained lets a cancellation through
                lacking = _what_lacks(contained(raised))  # a provider's factory may be the user's
            else:
                run.state.waiting_for = None
                return agent
            if run.state.waiting_for is None:
                self._log(logging.WARNING, "the run stays queued", run, lacking)
            run.state.waiting_for = lacking
            await agents.changed()

    def _log(self, level: int, event: str, run: LiveRun, why: StoreError | RunFailure) -> None:
        ids = {"session_id": self.live.id, "run_id": run.id}
        log_event(logger, level, event, **ids, error=why.code, reason=why.message)

    # --- beginning, and beginning again --------------------------------------------------------

    async def _ready(self, run: LiveRun | None = None) -> bool:
        """Have the history in memory, as it is stored; False where the runtime closes first.

        A store that fails is waited for, while `run`, if it is given, stays queued.
        """
        live, closing = self.live, self.live.services.room.closing
        if live.history is not None and live.services.store.failure is None:
            return True
        async with trio.open_nursery() as nursery:

            async def stop_at_the_end() -> None:
                await closing.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop_at_the_end)
            nursery.start_soon(self._put_off)
            await self._begin_again(None if run is None else run.state)
            nursery.cancel_scope.cancel()
        return not closing.is_set()

    async def _begin_again(self, state: RunState | None) -> None:
        """Read everything from the store, as soon as that can be."""
        live, store = self.live, self.live.services.store
        while live.history is None or store.failure is not None:
            try:
                if store.failure is not None:
                    raise copy_of(store.failure)
                await self._read()
            except StoreUnavailable as error:
                if state is not None:
                    state.waiting_for = RunFailure(error.code, error.message)
                await store.wait_until_well()
                await trio.sleep(_PAUSE)
            except SessionMoved:
                live.services.owners.lost(live.id)
                await trio.sleep_forever()  # until this actor is ended
        if state is not None:
            state.waiting_for = None

    async def _read(self) -> None:
        """Take the session as the store has it, once no run of it is cut off there."""
        live = self.live
        store = live.services.store
        if live.lost is not None:
            run, error = live.lost
            await self._hand_over_read(run)
            await end_from_store(run.journal, ending_after(error, run.state.cut_by, run.id))
            live.lost = None
        for record in await store.runs(live.id, ("running",)):
            known = live.runs.get(record.id)  # its start was recorded after all
            if known is not None and known.record.status == "waiting":
                continue  # it has been answered since, and goes on
            journal = RunJournal(live.journal, record) if known is None else known.journal
            await end_from_store(journal, ending_after(None, "interrupted", record.id))
        live.channel.mark_stored(live.channel.last_id)
        found = await store.session_with_history(live.id)
        if found is not None:
            session, history = found
            await live.load(session.usage, history, session.compacted)
            return
        with trio.move_on_after(_PATIENCE):
            # The mark is stored, and memory is about to hear of it.
            while not live.deleted:  # noqa: ASYNC110 it is no event
                await trio.sleep(_PAUSE)
        if not live.deleted:
            raise NotFound("session", live.id)
        await live.load(live.journal.usage, ())

    async def _hand_over_read(self, reader: LiveRun) -> None:
        """A commit that failed may have been written: what the run has read is no run any more."""
        await reader.journal.begin_again()
        read: list[LiveRun] = []
        for run in unread(self.live, reader.id):
            record = await self.live.services.store.run(self.live.id, run.id)
            if record is not None and record.status == "steered":
                read.append(run)
        # In one block: if it is the actor's turn to run one of them, that is cancelled by this.
        for run in read:
            self.live.hand_over(run, reader)

    async def _put_off(self) -> None:
        """After a while, tell whoever waits for the lost run how it stands."""
        await trio.sleep(_PATIENCE)
        if self.live.lost is not None:
            run, error = self.live.lost
            text = error.message if isinstance(error, StoreError) else "It could not be recorded."
            run.put_off(
                StoreUnavailable(
                    f"{text} Run {run.id} has stopped, and its end is not recorded yet: "
                    "it is ended from what is stored as soon as that can be written.",
                    run_id=run.id,
                )
            )


def _what_lacks(error: Exception) -> RunFailure:
    if isinstance(error, WingmanError):
        return RunFailure(error.code, error.message)
    return RunFailure("internal_error", reason(error))
