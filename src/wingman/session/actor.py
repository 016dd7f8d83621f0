"""SessionActor: takes a session's runs from its mailbox, one at a time, in order."""

from types import TracebackType
from typing import Self

from wingman.errors import NotFound, RunFailed, StoreError, WingmanError
from wingman.session.admission import queued_error
from wingman.session.history import repair
from wingman.session.live import LiveSession
from wingman.session.loop import RunLoop
from wingman.session.recovery import end_cut_off
from wingman.session.run import Job, Run, ended_record
from wingman.store import RunRecord

__all__ = ["SessionActor"]


class SessionActor:
    """One life of a session's actor. What outlives it is its `LiveSession`.

    Entered, it loads the history, if it is not the one that was just created; where the life
    before it crashed in the middle of a run, that run is ended from what the store has.
    """

    def __init__(self, live: LiveSession) -> None:
        self.live = live

    async def __aenter__(self) -> Self:
        if self.live.history is None:
            await self._load()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to save: what must last was written as it happened.

        After a crash memory may be ahead of the store: the next life believes the store.
        """
        if value is not None:
            self.live.crash = value
            self.live.history = None

    async def receive(self, job: Job) -> None:
        """Run one message to its end."""
        live, run = self.live, job.run
        if live.services.draining:
            # It stays queued in the store, and runs after the next start.
            live.release(run, queued_error(run.id))
            return
        if live.history is None:
            raise RuntimeError("a session's actor received a run before it was entered")
        live.current = run
        await RunLoop(live, job, live.history).execute()

    async def _load(self) -> None:
        """Take the session as the store has it, once no run of it is cut off there."""
        live = self.live
        store = live.services.store
        if live.current is not None:
            await self._end_crashed(live.current)
        for record in await store.runs(live.id, ("running",)):
            await self._end(record, None)
        live.channel.mark_stored(live.channel.last_id)
        found = await store.session_with_history(live.id)
        if found is not None:
            live.load(found[0].usage, repair(found[1]))
        elif live.deleted or live.id in live.services.deleting:
            live.load(live.usage, [])
        else:
            raise NotFound("session", live.id)
        live.crash = None

    async def _end_crashed(self, run: Run) -> None:
        """End the run in whose midst the last life crashed, and tell who waits for it."""
        live = self.live
        error = _crash_error(live.crash, run.id)
        record = await live.services.store.run(live.id, run.id)
        if record is None:
            # It could not be recorded as queued either: nothing of it was kept.
            live.requests.pop(run.record.request_id or "", None)
            live.release(run, error)
        elif record.status in ("queued", "running"):
            live.finish(run, await self._end(record, error), error)
        else:
            # Its end was recorded after all.
            live.finish(run, record)

    async def _end(self, record: RunRecord, error: WingmanError | None) -> RunRecord:
        store = self.live.services.store
        session = await store.session(self.live.id)
        if session is None:
            return record
        ended = await end_cut_off(store, session, record, self.live.channel.last_id, error)
        await store.write(ended).wait()
        return ended_record(record, ended)


def _crash_error(crash: BaseException | None, run_id: str) -> WingmanError:
    if isinstance(crash, StoreError):
        return StoreError(
            f"{crash.message} Run {run_id} was cut off; its session goes on from what is stored."
        )
    return RunFailed(
        f"Run {run_id} was cut off by an error inside the server; its log has the details. "
        "Its session goes on from what is stored.",
        "internal_error",
        run_id,
    )
