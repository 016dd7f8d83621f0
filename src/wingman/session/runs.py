"""SessionRuns: the runs of sessions, found by their ids, live or in the store; and their cancel."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeAlias

import trio

from wingman.api import CancelledRun, Receipt
from wingman.errors import MessageRead, NotFound, NotInFlight, StoreError
from wingman.run import Journal, RunJournal, cut
from wingman.session.active import ActiveSessions
from wingman.session.admission import RunRequest, queued_error
from wingman.session.cancelling import (
    cancel_runs,
    cancel_tool,
    log_receipt,
    milliseconds,
    not_recorded,
)
from wingman.session.live_run import LiveRun
from wingman.session.recovery import end_before_start
from wingman.session.run import Run
from wingman.session.services import Services
from wingman.store import RunRecord
from wingman.telemetry import log_event

__all__ = ["SessionRuns"]

logger = logging.getLogger("wingman.session")

Admit: TypeAlias = Callable[[str, RunRequest], Awaitable[Run]]
"""How a session, by its id, takes a message."""


class SessionRuns:
    """Finds runs, and cancels them. Made when it is needed; it holds nothing of its own."""

    def __init__(self, services: Services, active: ActiveSessions, admit: Admit) -> None:
        self._services = services
        self._admit = admit
        self._store = services.store
        self._active = active

    async def find(self, session_id: str, run_id: str) -> Run:
        """A run by its id: the live one, or as the store has it; where another one has read its
        message, that one. Raises `NotFound`."""
        await self._active.present(session_id)
        run = self._live_run(session_id, run_id)
        if run is None:
            record = await self._record(session_id, run_id)
            run = self._live_run(session_id, run_id)
            if record.status == "steered" and record.steers is not None:
                return await self.find(session_id, record.steers)  # what came of its message
            if run is None and not record.ended:
                # It ended while we were reading, or waits for the next start.
                record = await self._record(session_id, run_id)
                if not record.ended:
                    raise queued_error(run_id)
            if run is None:
                return Run(record)
        return Run(run.record, run, partial(self._admit, session_id))

    async def find_anywhere(self, run_id: str) -> Run:
        """A run by its id alone, as `find` has it."""
        record = await self._store.run(None, run_id)
        if record is not None:
            with suppress(NotFound):  # its session is deleted meanwhile
                return await self.find(record.session_id, run_id)
        raise NotFound("run", run_id)

    def _live_run(self, session_id: str, run_id: str) -> LiveRun | None:
        live = self._active.find(session_id)
        if live is not None and live.deleted:
            raise NotFound("session", session_id)
        return None if live is None else live.runs.get(run_id)

    async def _record(self, session_id: str, run_id: str) -> RunRecord:
        record = await self._store.run(session_id, run_id)
        if record is None:
            # Of a session that is being deleted the store shows no run.
            gone = await self._store.session(session_id) is None
            raise NotFound("session", session_id) if gone else NotFound("run", run_id)
        return record

    async def cancel(
        self, session_id: str, *, queued: bool = False, run_id: str | None = None
    ) -> Receipt:
        """Cancel what is in flight in a session when this is processed, and what waits if asked.

        What waits is found in the store as well: also where the session is not live, or drains.
        With a `run_id`, nothing is cancelled unless that run is in flight: `NotInFlight`.
        """
        live = await self._active.present(session_id)
        there = await self._store.session(session_id) is not None if live is None else True
        if not there or (live is not None and live.deleted):
            raise NotFound("session", session_id)
        if run_id is not None:
            await self._check_in_flight(session_id, run_id)
            live = self._active.find(session_id)
        runs: list[LiveRun] = []
        if live is not None and queued:
            runs = list(live.runs.values())
        elif live is not None and live.in_flight is not None:
            runs = [live.in_flight]
        if not runs and not queued:
            log_event(logger, logging.INFO, "nothing to cancel", session_id=session_id)
        receipt = await cancel_runs(runs)
        if not queued:
            return receipt
        return Receipt((*receipt.cancelled, *await self._cancel_stored(session_id)))

    async def _check_in_flight(self, session_id: str, run_id: str) -> None:
        """Raise `NotInFlight` where this run is queued or has ended, `NotFound` for none.

        Where the run is in flight, it still is when this returns.
        """
        run = self._live_run(session_id, run_id)
        if run is None:
            record = await self._record(session_id, run_id)
            run = self._live_run(session_id, run_id)  # taken up, or its end recorded, meanwhile
            if run is None:
                raise NotInFlight(run_id, record.status)
        live = self._active.find(session_id)
        if live is None or live.in_flight is not run:
            raise NotInFlight(run_id, run.status)

    async def cancel_run(self, session_id: str, run_id: str) -> Receipt:
        """Cancel one run, queued or in flight, and never another. Raises `NotFound`."""
        await self._active.present(session_id)
        run = self._live_run(session_id, run_id)
        if run is not None:
            return await cancel_runs((run,))
        record = await self._record(session_id, run_id)
        if record.status in ("queued", "waiting"):
            return Receipt(tuple(await self._cancel_stored(session_id, run_id)))
        run = self._live_run(session_id, run_id)
        return Receipt(()) if run is None else await cancel_runs((run,))

    async def take_back(self, session_id: str, run_id: str) -> Receipt:
        """Take back a message that nobody has read; one that was is taken back already. Raises
        `NotFound`, `MessageRead`."""
        await self._active.present(session_id)
        run = self._live_run(session_id, run_id)
        if run is None:
            record = await self._record(session_id, run_id)
            run = self._live_run(session_id, run_id)
            if run is None and record.status == "queued":
                return Receipt(tuple(await self._cancel_stored(session_id, run_id)))
            if run is None and record.status == "cancelled" and record.started_at is None:
                return Receipt(())  # it was taken back before
        if run is not None and run.being_read:
            receipt = await cancel_runs((run,))  # where that cannot be recorded, nobody has read it
            if receipt.cancelled:
                return receipt
        if run is None or run.state.phase not in ("admitting", "queued"):
            raise MessageRead(run_id)
        if run.record.status != "queued":  # an earlier process has begun it
            raise MessageRead(run_id)
        return await cancel_runs((run,))

    async def cancel_tool(self, session_id: str, run_id: str, tool_use_id: str) -> Receipt:
        """Cancel one tool call: the model is told, its siblings and the run go on.

        Raises `NotFound`, also where the run has no such call.
        """
        await self._active.present(session_id)
        run = self._live_run(session_id, run_id)
        if run is None:
            await self._record(session_id, run_id)
        else:
            receipt = await cancel_tool(run, tool_use_id)
            if receipt.cancelled:
                return receipt
        if not await self._has_called(session_id, run_id, tool_use_id):
            raise NotFound("tool_call", tool_use_id)
        return Receipt(())

    async def _has_called(self, session_id: str, run_id: str, tool_use_id: str) -> bool:
        """Whether a run has such a tool call, announced, under way or ended."""
        live = self._active.find(session_id)
        announced = live is not None and live.has_announced(run_id, tool_use_id)
        # The step first: as it ends, it is in the history.
        step = await self._store.pending_step(run_id)
        messages = [
            *await self._store.run_messages(run_id),
            *([] if step is None else [step.message]),
        ]
        calls = (use.id for message in messages for use in message.tool_uses)
        return announced or tool_use_id in calls

    async def _cancel_stored(
        self, session_id: str, run_id: str | None = None
    ) -> Sequence[CancelledRun]:
        """Cancel runs that only the store knows, which wait: nothing can start them meanwhile."""
        async with self._active.alone(session_id):
            found = await self._store.session_with_queue(session_id)
            if found is None:
                return ()
            session, queue = found
            journal = Journal.of(session, self._store, self._services.model.metrics)
            live = self._active.find(session_id)
            receipts: list[CancelledRun] = []
            failures: list[str] = []

            async def end(record: RunRecord) -> None:
                start = trio.current_time()
                try:
                    await end_before_start(RunJournal(journal, record), cut("cancelled"))
                except StoreError as error:
                    failures.append(f"run {record.id} is still {record.status} ({error.message})")
                else:
                    receipts.append(CancelledRun(record.id, record.status, milliseconds(start)))
                    log_receipt(session_id, receipts[-1])

            # At once: they share a commit, and where that fails, one wait for it.
            async with trio.open_nursery() as nursery:
                for record in queue:
                    if run_id in (None, record.id) and not (live and record.id in live.runs):
                        nursery.start_soon(end, record)
            if failures:
                raise not_recorded(failures, receipts)
            return receipts
