"""ActiveSessions: the sessions that are live now, by id.

Activated when they are asked for, passivated when they are idle and nobody reads them, quarantined
when they keep crashing: the sessions' side of the actors' directory.
"""

import logging
import sys
from collections.abc import Collection

import trio

from wingman.actor import ActorStopped, ActorSystem, Directory, Restart, Termination
from wingman.conversation import Message
from wingman.errors import NotFound, SessionQuarantined, ShuttingDown
from wingman.metrics import Metrics
from wingman.providers import Transport, WindowOf
from wingman.session.actor import SessionActor
from wingman.session.draining import STOP_SECONDS
from wingman.session.limits import Limits
from wingman.session.live import LiveSession
from wingman.session.prices import Prices
from wingman.session.recovery import end_failed
from wingman.session.services import Services
from wingman.store.base import SessionDeleting, SessionErased, SessionRecord, Store

__all__ = ["ActiveSessions"]

logger = logging.getLogger("wingman.session")


class ActiveSessions:
    """See the module's docstring. Made within a running actor system."""

    def __init__(
        self,
        store: Store,
        transport: Transport,
        limits: Limits,
        system: ActorSystem,
        idle_after: float | None,
        prices: Prices,
        metrics: Metrics,
        window_of: WindowOf,
    ) -> None:
        self._live: dict[str, LiveSession] = {}
        self._store = store
        self.services = Services(
            store=store,
            transport=transport,
            limits=limits,
            system=system,
            directory=Directory(
                system,
                lambda id: SessionActor(self._live[id]),
                idle_after=idle_after,
                may_passivate=_may_passivate,
                on_ended=self._ended,
                # Room is checked at admission: all that was queued must fit in after a restart.
                mailbox=sys.maxsize,
                supervision=Restart(),
                name=lambda id: f"session {id}",
            ),
            slots=trio.Semaphore(limits.runs),
            prices=prices,
            metrics=metrics,
            window_of=window_of,
        )

    def all(self) -> Collection[LiveSession]:
        """Those that are live, as a view."""
        return self._live.values()

    def find(self, session_id: str) -> LiveSession | None:
        """The live session with this id, if it is live."""
        return self._live.get(session_id)

    async def wake(self, session_id: str) -> LiveSession:
        """The live session with this id, activated from the store if need be.

        Raises `NotFound`, or `SessionQuarantined` for one whose actor keeps crashing.
        """
        live = self._live.get(session_id)
        if live is None:
            record = await self._store.session(session_id)
            # Somebody else may have activated it, or begun to delete it, while we were reading.
            live = self._live.get(session_id)
            if live is None and record is not None and session_id not in self.services.deleting:
                return self.activate(record, None)
        # From the moment that it is being marked, the store may not show its runs any more.
        if live is None or live.deleted or session_id in self.services.deleting:
            raise NotFound("session", session_id)
        return live

    def activate(self, record: SessionRecord, history: list[Message] | None) -> LiveSession:
        """Make a stored session live. Without its `history`, its actor loads it."""
        live = LiveSession(self.services, record, history)
        self._live[record.id] = live
        try:
            self.services.directory.ref(record.id)
        except ActorStopped as error:
            del self._live[record.id]
            raise SessionQuarantined(
                f"Session {record.id} crashed too often and is set aside for a while: {error}"
            ) from error
        return live

    async def erase(self, session_id: str) -> None:
        """Mark a session as deleted, end what it runs, and remove all of it.

        Raises `NotFound` if it is not there, or somebody else is at it.
        """
        found = await self._store.session(session_id)
        if found is None or session_id in self.services.deleting:
            raise NotFound("session", session_id)
        self.services.deleting.add(session_id)
        try:
            await self._store.write(SessionDeleting(session_id)).wait()
            live = self._live.get(session_id)
            if live is not None:
                live.mark_deleted()
                with trio.move_on_after(STOP_SECONDS):
                    await self.services.directory.ref(session_id).stop()
            await self._store.write(SessionErased(session_id)).wait()
        finally:
            self.services.deleting.discard(session_id)

    def _ended(self, session_id: str, termination: Termination) -> None:
        """A session's actor has ended for good: forget the session; nobody may wait for it."""
        live = self._live[session_id]
        if termination.cause == "passivated" and live.channel.readers:
            # A reader came as it was about to end: it begins anew.
            self.services.directory.ref(session_id)
            return
        del self._live[session_id]
        if termination.cause == "crashed":
            self._give_up_runs(live, termination)
        for run in list(live.runs.values()):
            live.release(run, ShuttingDown("The session was stopped before the run had ended."))
        live.channel.close("deleted" if live.deleted else termination.cause)

    def _give_up_runs(self, live: LiveSession, termination: Termination) -> None:
        """End a quarantined session's runs; the next life there is interrupts the one in flight."""
        error = SessionQuarantined(
            f"Session {live.id} crashed too often and is set aside for a while ({termination})."
        )
        logger.error("%s", error.message)
        for run in list(live.runs.values()):
            if not run.started:
                self._store.write(end_failed(run.record, error))
            live.release(run, error)


def _may_passivate(actor: SessionActor | None) -> bool:
    return actor is not None and not actor.live.runs and not actor.live.channel.readers
