"""SessionHost: sessions by id over one store: create, change, delete them, send them messages.

It brings back what an earlier process left, and drains.
"""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import trio

from wingman.api import PermissionForm
from wingman.errors import (
    InvalidRequest,
    NotFound,
    ProviderNotConfigured,
    StoreError,
    StoreUnavailable,
)
from wingman.ids import new_id
from wingman.run import CALLERS, Reader, now
from wingman.session.active import ActiveSessions
from wingman.session.admission import (
    RunRequest,
    check_label,
    check_rules,
    check_same_body,
    check_title,
    weight_of,
)
from wingman.session.live import LiveSession
from wingman.session.permissions import SessionPermissions
from wingman.session.reading import SessionReader
from wingman.session.recovery import settle_leftovers
from wingman.session.run import Run, check_not_itself
from wingman.session.runs import SessionRuns
from wingman.session.services import Services
from wingman.session.work_dir import check_work_dir
from wingman.store import (
    SessionDeleting,
    SessionErased,
    SessionRecord,
    SessionSaved,
)

__all__ = ["SessionHost"]

logger = logging.getLogger("wingman.session")

STOP_SECONDS: Final = 10.0
"""How long a run's end is waited for after it was cancelled: a tool that shields itself must not
keep a session that is being deleted, or a runtime that closes."""

# How long the store may take to record a change of a session.
_SAVE_SECONDS: Final = 30.0
# At the end, how long the store may take to record what has stopped, if it fails.
_RECORD_SECONDS: Final = 1.0


class SessionHost:
    """An async context manager; sessions live inside its block, and `services` are open around it.

    `idle_after` is how many seconds a session stays live without a message or a reader.
    """

    def __init__(self, services: Services, idle_after: float | None = 300.0) -> None:
        self._services = services
        self._store = services.store
        self._idle_after = idle_after
        self._sessions: ActiveSessions | None = None

    async def __aenter__(self) -> Self:
        shared = self._services.owners.shared
        if not shared:  # else others may be at it, and what nobody owns is adopted
            await settle_leftovers(self._store, self._services.model.metrics)
        self._sessions = ActiveSessions(self._services, self._idle_after)
        self._services.spawn(self._services.time_limit.watch, "time limit")
        if not shared:
            self._sessions.take_up(await self._store.sessions_with_queue())
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

    @property
    def active(self) -> ActiveSessions:
        """The live sessions. Raises `RuntimeError` outside the block."""
        if self._sessions is None:
            raise RuntimeError("the runtime is not open: use it with `async with`")
        return self._sessions

    @property
    def runs(self) -> SessionRuns:
        """Who finds runs by their ids, and cancels them."""
        return SessionRuns(self._services, self.active, self.admit)

    @property
    def permissions(self) -> SessionPermissions:
        """Who knows what people are asked, and takes their answers."""
        return SessionPermissions(self._services, self.active)

    @property
    def reader(self) -> SessionReader:
        """Who reads sessions and runs."""
        return SessionReader(self._store, self.active)

    # --- sessions ------------------------------------------------------------------------------

    async def create(
        self,
        work_dir: str | Path = ".",
        title: str | None = None,
        agent_id: str | None = None,
        permissions: PermissionForm | None = None,
        label: str | None = None,
    ) -> LiveSession:
        """Make a session; it is durable when this returns."""
        check_title(title)
        check_rules(permissions)
        check_label(label)
        await self._services.owners.check_room(label)
        self._services.room.check_open()
        moment = now()
        record = SessionRecord(
            id=new_id(),
            work_dir=await check_work_dir(work_dir),
            title=title,
            agent_id=agent_id,
            created_at=moment,
            updated_at=moment,
            permissions=permissions,
            label=label,
        )
        owners = self._services.owners
        life = owners.life
        await self._store.write(SessionSaved(record)).wait()
        await owners.made(record.id, life)
        return self.active.activate(record, [])

    async def update(self, session_id: str, fields: Mapping[str, Any]) -> None:
        """Change a session's title, work_dir, agent_id or permissions, for its next run."""
        check_title(fields.get("title"))
        check_rules(fields.get("permissions"))
        await self.active.present(session_id)
        await self.active.own(session_id)
        async with self.active.alone(session_id):
            stored = await self._store.session(session_id)
            if stored is None:
                raise NotFound("session", session_id)
            record = msgspec.structs.replace(stored, **fields, updated_at=now())
            saved = self._store.write(SessionSaved(record, is_new=False))
            saved.then(partial(self._updated, record))
            # Shielded: the next change begins from what this one has made of it.
            with trio.move_on_after(_SAVE_SECONDS, shield=True):
                await saved.wait()
                return
            raise StoreUnavailable(
                f"The change of session {session_id} is not recorded yet, after "
                f"{_SAVE_SECONDS:g} s: look at the session before you send it again."
            )

    def _updated(self, record: SessionRecord, failure: StoreError | None) -> None:
        live = self.active.find(record.id)
        if failure is None and live is not None:
            live.record = record

    async def delete(self, session_id: str) -> None:
        """Mark a session as deleted, end what it runs, and remove all of it.

        Raises `NotFound` if it is not there, or another delete is under way.
        """
        check_not_itself(session_id, CALLERS.get())
        # Shielded: once begun it is done, also when who asked for it goes away.
        with trio.move_on_after(2 * STOP_SECONDS, shield=True) as scope:
            await self._erase(session_id)
        if scope.cancelled_caught:
            raise StoreError(f"Session {session_id} could not be removed yet: try again later.")

    async def _erase(self, session_id: str) -> None:
        await self.active.decided(session_id)
        await self.active.own_to_erase(session_id)
        found = await self._store.session(session_id)
        if found is None or session_id in self.active.deleting:
            raise NotFound("session", session_id)
        marked = self.active.deleting[session_id] = trio.Event()
        try:
            await self._store.write(SessionDeleting(session_id)).wait()
            marked.set()
            self.active.backlog.take(session_id)
            live = self.active.find(session_id)
            if live is not None:
                live.mark_deleted()
                with trio.move_on_after(STOP_SECONDS):
                    await self.active.stop(session_id)
            try:
                await self._store.write(SessionErased(session_id)).wait()
                self._services.owners.erased(session_id)
            except StoreUnavailable as error:
                raise StoreUnavailable(
                    f"Session {session_id} is deleted, and its rows could not be removed yet: they "
                    f"are at the next start. {error.message}"
                ) from error
        finally:
            del self.active.deleting[session_id]
            marked.set()

    async def follow(self, session_id: str, after: int | None = None) -> Reader:
        """A reader of a session's events, from now on, or after the event `after`."""
        return (await self.active.live(session_id)).channel.reader(after)

    # --- runs ----------------------------------------------------------------------------------

    async def admit(self, session_id: str, request: RunRequest) -> Run:
        """Admit a run, or find the one that was admitted under the same request id.

        It is durable only when `run.admitted()` returns. Cancelled before it returns, it has
        admitted nothing. A request id is looked at before anything else of the request.
        """
        check_not_itself(session_id, request.callers)
        await (
            trio.lowlevel.checkpoint_if_cancelled()
        )  # the run might be over at the next checkpoint
        found = await self._find(session_id, request)
        if isinstance(found, LiveSession) and request.images:
            self._services.room.check(weight_of(request.message, request.images))
            request = await request.with_kept_images()
            found = await self._find(session_id, request)  # that took its time
        if isinstance(found, Run):
            return found
        live = found
        agent_id = live.record.agent_id if request.agent_id is None else request.agent_id
        if agent_id is None and request.on_busy == "steer" and live.in_flight is not None:
            agent_id = live.in_flight.record.agent_id  # that of the run that is to read it
        if agent_id is None:
            raise InvalidRequest(
                "No agent is named: give the message an agent_id, or the session - at `$.agent_id`"
            )
        try:
            chosen = self._services.agents.choose(agent_id)
        except (NotFound, ProviderNotConfigured):
            if not self._services.owners.shared:
                raise
            await self._services.agents.refresh()  # another node may have just made it
            found = await self._find(session_id, request)
            if isinstance(found, Run):
                return found
            live, chosen = found, self._services.agents.choose(agent_id)
        run = live.admit(request, chosen)
        return Run(run.record, run, partial(self.admit, session_id))

    async def _find(self, session_id: str, request: RunRequest) -> Run | LiveSession:
        """The run that was admitted under this request's id, or the session that may admit it."""
        key, stored, live = request.request_id, None, self.active.find(session_id)
        while True:
            if key is not None:
                stored = await self._store.run_by_request(session_id, key)
            before, live = live, await self.active.live(session_id, to_run=stored is None)
            if live is before or key is None or stored is not None:
                break
            # It was not live here when the store was read: its owner may have written one since.
        known = live.find_request(request)
        if known is not None:
            return Run(known.record, known, partial(self.admit, session_id))
        if stored is None:
            return live
        check_same_body(stored, request)
        if stored.status == "queued":
            await self.active.wake_queued(session_id, stored.id)
        return await self.runs.find(session_id, stored.id)

    # --- the whole -----------------------------------------------------------------------------

    async def drain(self, grace: float, patience: float = STOP_SECONDS) -> None:
        """Take no more runs, let those in flight have `grace` seconds, then interrupt them.

        Runs that have not started stay queued in the store, and those that wait for people stay
        there as they are; who waits for one is told so. What was
        interrupted is waited for `patience` seconds at most; then all streams end.
        """
        self._services.room.draining.set()
        for session_id in self.active.backlog.clear():
            self._services.owners.release(session_id)
        for live in self.active.all():
            live.release_queued()
        left = [run for live in self.active.all() for run in live.runs.values()]
        shared = self._services.owners.shared
        if shared:
            with trio.move_on_after(_RECORD_SECONDS):
                await self._services.owners.leave()
        with trio.move_on_after(grace):
            if shared:
                await self._hand_over()
            for run in left:
                await run.wait_at_rest()
        for run in left:
            run.request_cancel("interrupted")
        with trio.move_on_after(patience):
            for run in left:
                await run.wait_worked()
            # What a failing store cannot record now, the next start ends from what is stored.
            with trio.move_on_after(_RECORD_SECONDS):
                for run in left:
                    await run.wait()
        if shared:
            with trio.move_on_after(_RECORD_SECONDS):
                await self._hand_over()
        self._services.room.closing.set()
        self._services.toolsets.retire(lambda _: True)  # they end while the streams do
        for live in self.active.all():
            live.channel.close("shutting_down")

    async def _hand_over(self) -> None:
        """Let other processes have the sessions: each as soon as it has nothing to do here."""

        async def hand_over(live: LiveSession) -> None:
            for run in list(live.runs.values()):
                await run.wait_at_rest()
                run.request_cancel("interrupted")  # one that waits for people: it stays as it is
                await run.wait_worked()
            await self.active.hand_over(live)

        async with trio.open_nursery() as nursery:
            for live in self.active.all():
                nursery.start_soon(hand_over, live)
