"""SessionHost: sessions by id, live only while they are needed, over one store.

It opens and closes what they share, brings back what an earlier process left, and drains.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import trio
from ulid import ULID

from wingman.actor import ActorSystem, Instrument
from wingman.agent import Agent
from wingman.conversation import Message
from wingman.errors import NotFound, StoreError, WingmanError
from wingman.metrics import Metrics
from wingman.providers import Transport, WindowOf, catalogued_window
from wingman.session.active import ActiveSessions
from wingman.session.admission import RunRequest, check_same_body, queued_error
from wingman.session.cancelling import Receipt, cancel_runs
from wingman.session.draining import STOP_SECONDS, drain
from wingman.session.limits import Limits
from wingman.session.live import LiveSession
from wingman.session.prices import Prices
from wingman.session.recovery import end_failed, settle_leftovers
from wingman.session.run import Run
from wingman.session.services import Services, now
from wingman.session.work_dir import check_work_dir
from wingman.store.base import (
    RunRecord,
    SessionRecord,
    SessionSaved,
    Store,
)

__all__ = ["SessionHost"]


class SessionHost:
    """An async context manager; sessions live inside its block.

    `resolve` finds the agent of a run that is read from the store; `prepare` is awaited once the
    store is open, before it is asked. `window_of` knows models' context windows. `idle_after` is
    how many seconds a session stays live without a message or a reader.
    """

    def __init__(
        self,
        store: Store,
        *,
        resolve: Callable[[RunRecord], Agent],
        prepare: Callable[[], Awaitable[None]] | None = None,
        limits: Limits | None = None,
        prices: Prices | None = None,
        window_of: WindowOf = catalogued_window,
        idle_after: float | None = 300.0,
        instruments: tuple[Instrument, ...] = (),
    ) -> None:
        self.store = store
        self.limits = Limits() if limits is None else limits
        self._prices = prices or {}
        self._window_of = window_of
        self._resolve = resolve
        self._prepare = prepare
        self._idle_after = idle_after
        self._system = ActorSystem(instruments=instruments)
        self.metrics = Metrics()
        self._transport = Transport(on_retry=self.metrics.retried)
        self._sessions: ActiveSessions | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.store)
            await stack.enter_async_context(self._transport)
            if self._prepare is not None:
                await self._prepare()
            await settle_leftovers(self.store)
            await stack.enter_async_context(self._system)
            self._sessions = ActiveSessions(
                self.store,
                self._transport,
                self.limits,
                self._system,
                self._idle_after,
                self._prices,
                self.metrics,
                self._window_of,
            )
            for record in await self.store.runs(statuses=("queued",)):
                await self._requeue(record)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Shielded, so that what runs is ended and recorded also when our own caller is cancelled.
        with trio.move_on_after(2 * STOP_SECONDS, shield=True):
            await self.drain(0)
        # What the block raised goes on its way alone: the actors' nursery would wrap it.
        await self._stack.aclose()
        self._sessions = None

    @property
    def _active(self) -> ActiveSessions:
        if self._sessions is None:
            raise RuntimeError("the runtime is not open: use it with `async with`")
        return self._sessions

    @property
    def services(self) -> Services:
        """What the sessions share. Raises `RuntimeError` outside the block."""
        return self._active.services

    @property
    def system(self) -> ActorSystem:
        """The actor system, for its snapshot."""
        return self._system

    @property
    def transport(self) -> Transport:
        """The door to the network."""
        return self._transport

    # --- sessions ------------------------------------------------------------------------------

    async def create(
        self, work_dir: str | Path = ".", title: str | None = None, agent_id: str | None = None
    ) -> LiveSession:
        """Make a session; it is durable when this returns."""
        services = self.services
        if services.draining:
            services.check_room()
        resolved = await check_work_dir(work_dir)
        moment = now()
        record = SessionRecord(
            id=str(ULID()),
            work_dir=resolved,
            title=title,
            agent_id=agent_id,
            created_at=moment,
            updated_at=moment,
        )
        await self.store.write(SessionSaved(record)).wait()
        return self._active.activate(record, [])

    async def live(self, session_id: str) -> LiveSession:
        """The live session with this id, activated from the store if need be.

        Raises `NotFound`, or `SessionQuarantined` for one whose actor keeps crashing.
        """
        return await self._active.wake(session_id)

    def find(self, session_id: str) -> LiveSession | None:
        """The live session with this id, if it is live."""
        return self._active.find(session_id)

    def shown(self, record: SessionRecord) -> SessionRecord:
        """A stored session as readers see it: its `last_event_id` is where they go on.

        A live one's channel holds what came after its activation; of one that is not live every
        event that ever was is in the history.
        """
        return _shown(record, self._active.find(record.id))

    async def describe(self, session_id: str) -> tuple[SessionRecord, Sequence[Message]]:
        """A session as readers see it, with its history. Raises `NotFound`."""
        # One that passivates while its history is read: the resync of its next life helps.
        before = self._active.find(session_id)
        found = await self.store.session_with_history(session_id)
        if found is None:
            raise NotFound("session", session_id)
        record, history = found
        return _shown(record, before or self._active.find(session_id)), history

    async def update(self, session_id: str, fields: Mapping[str, str | None]) -> None:
        """Change a session's title, work_dir or agent_id, for the next run to start."""
        stored = await self.store.session(session_id)
        live = self._active.find(session_id)
        if stored is None:
            raise NotFound("session", session_id)
        record = msgspec.structs.replace(
            stored if live is None else live.record, **fields, updated_at=now()
        )
        saved = self.store.write(SessionSaved(record))
        if live is not None:
            live.record = record
        await saved.wait()

    async def delete(self, session_id: str) -> None:
        """Mark a session as deleted, end what it runs, and remove all of it."""
        # Shielded: once begun it is done, also when who asked for it goes away.
        with trio.move_on_after(2 * STOP_SECONDS, shield=True) as scope:
            await self._active.erase(session_id)
        if scope.cancelled_caught:
            raise StoreError(f"Session {session_id} could not be removed yet: try again later.")

    # --- runs ----------------------------------------------------------------------------------

    async def submit(self, session_id: str, request: RunRequest) -> Run:
        """Admit a run, durably; or find the one that was admitted under the same request id."""
        run = await self.admit(session_id, request)
        await run.admitted()
        return run

    async def admit(self, session_id: str, request: RunRequest) -> Run:
        """The same, but it is durable only when `run.admitted()` returns.

        Cancelled before it returns, it has admitted nothing.
        """
        stored = None
        if request.request_id is not None:
            stored = await self.store.run_by_request(session_id, request.request_id)
        live = await self.live(session_id)
        if request.request_id is not None:
            known = live.find_request(request.request_id, request.body_hash)
            if known is not None:
                return known
        if stored is not None:
            check_same_body(stored, request.body_hash)
            return await self.run(session_id, stored.id)
        return live.admit(request)

    async def run(self, session_id: str, run_id: str) -> Run:
        """A run by its id: the live one, or as the store has it. Raises `NotFound`."""
        live = self._active.find(session_id)
        if live is not None and live.deleted:
            raise NotFound("session", session_id)
        if live is not None and run_id in live.runs:
            return live.runs[run_id]
        record = await self._run_record(session_id, run_id)
        if live is not None and run_id in live.runs:
            return live.runs[run_id]
        if record.status in ("queued", "running"):
            # It ended while we were reading, or waits for the next start.
            record = await self._run_record(session_id, run_id)
        if record.status in ("queued", "running"):
            raise queued_error(run_id)
        return Run.from_record(record)

    async def _run_record(self, session_id: str, run_id: str) -> RunRecord:
        record = await self.store.run(session_id, run_id)
        if record is None:
            # Of a session that is being deleted the store shows no run.
            gone = await self.store.session(session_id) is None
            raise NotFound("session", session_id) if gone else NotFound("run", run_id)
        return record

    async def cancel(self, session_id: str, *, queued: bool = False) -> Receipt:
        """Cancel what is in flight in a session when this is processed, and what waits if asked."""
        live = self._active.find(session_id)
        if live is None:
            if await self.store.session(session_id) is None:
                raise NotFound("session", session_id)
            return Receipt(())
        if live.deleted:
            raise NotFound("session", session_id)
        in_flight = live.in_flight
        runs = list(live.runs.values()) if queued else [r for r in (in_flight,) if r is not None]
        return await cancel_runs(runs)

    # --- the beginning and the end -------------------------------------------------------------

    async def _requeue(self, record: RunRecord) -> None:
        try:
            agent = self._resolve(record)
            live = await self.live(record.session_id)
            live.readmit(record, agent)
        except WingmanError as error:
            await self.store.write(end_failed(record, error)).wait()

    async def drain(self, grace: float, patience: float = STOP_SECONDS) -> None:
        """Take no more runs, let those in flight have `grace` seconds, then interrupt them.

        Runs that have not started stay queued in the store; who waits for one is told so. What was
        interrupted is waited for `patience` seconds at most.
        """
        await drain(self.services, self._active.all(), grace, patience)


def _shown(record: SessionRecord, live: LiveSession | None) -> SessionRecord:
    stored = record.event_ceiling
    after = stored if live is None else max(record.last_event_id, live.channel.start)
    return msgspec.structs.replace(record, last_event_id=after)
