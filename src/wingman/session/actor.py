"""SessionActor: takes a session's runs from its mailbox, one at a time, in order."""

from types import TracebackType
from typing import Self

from wingman.session.history import repair
from wingman.session.live import LiveSession, queued_error
from wingman.session.loop import RunLoop
from wingman.session.recovery import interrupt
from wingman.session.run import Job

__all__ = ["SessionActor"]


class SessionActor:
    """One life of a session's actor. What outlives it is its `LiveSession`.

    Entered, it loads the history, if it is not the one that was just created; where the life
    before it crashed in the middle of a run, that run is ended from what the store has.
    """

    def __init__(self, live: LiveSession) -> None:
        self.live = live

    async def __aenter__(self) -> Self:
        live = self.live
        if live.current is not None:
            await self._end_crashed_run()
        if live.history is None:
            found = await live.services.store.session_with_history(live.id)
            live.load([] if found is None else repair(found[1]))
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
            self.live.history = None

    async def receive(self, job: Job) -> None:
        """Run one message to its end."""
        live, run = self.live, job.run
        if live.services.draining:
            # It stays queued in the store, and runs after the next start.
            live.release_run(run, queued_error(run.id))
            return
        if live.history is None:
            raise RuntimeError("a session's actor received a run before it was entered")
        live.current = run
        await RunLoop(live, job, live.history).execute()

    async def _end_crashed_run(self) -> None:
        live = self.live
        run = live.current
        live.current = None
        store = live.services.store
        session = await store.session(live.id)
        record = None if run is None else await store.run(live.id, run.id)
        if run is None or session is None or record is None:
            return
        if record.status in ("running", "queued"):
            ended = await interrupt(store, session, record)
            await store.write(ended).wait()
            if not run.ended:
                live.finish(run, ended)
