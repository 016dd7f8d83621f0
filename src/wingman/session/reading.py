"""SessionReader: sessions and runs for those who look at them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import attrs
import msgspec
import trio

from wingman.api import RunView, SessionStatus, SessionView, Status
from wingman.conversation import HistoryPart, Message
from wingman.errors import NotFound, SessionDeleted, StoreError
from wingman.foreign import copy_of
from wingman.run import repair, view_of
from wingman.session.active import ActiveSessions
from wingman.session.live import LiveSession
from wingman.session.progress import in_progress
from wingman.session.views import RunList, SessionList, listed_view, run_view, session_view
from wingman.store import SessionRecord, Store

__all__ = ["SessionPages", "SessionReader"]

T = TypeVar("T")

# How often a history is read that changes meanwhile, so that it ends where the events go on.
_TRIES: Final = 3


@attrs.define
class SessionPages:
    """A session without its history (`view`), the `beginning` of that, and what comes after it.

    A long history need not be in memory as a whole then. It is the history as of one moment.
    """

    view: SessionView
    beginning: Sequence[Message]
    _store: Store
    _next: int | None
    _last: int

    async def more(self) -> Sequence[Message] | None:
        """The next messages; None after the last.

        Raises `NotFound` where the session was deleted meanwhile.
        """
        if self._next is None:
            return None
        page = await self._store.history_page(self.view.id, self._next, self._last)
        if page is None:
            raise NotFound("session", self.view.id)
        self._next = page.next
        return page.messages


class SessionReader:
    """Reads what is stored, and adds what only the live runtime knows. It changes nothing."""

    def __init__(self, store: Store, active: ActiveSessions) -> None:
        self._store = store
        self._active = active

    async def sessions(self, limit: int, before: int | None) -> SessionList:
        """Sessions, newest first, without their histories."""
        page = await self._store.sessions(limit, before)
        elsewhere = await self._statuses(page.sessions)
        return SessionList(
            tuple(self._listed(record, elsewhere.get(record.id)) for record in page.sessions),
            page.next,
        )

    def _listed(self, record: SessionRecord, elsewhere: SessionStatus | None) -> SessionView:
        live = self._active.find(record.id)
        if elsewhere is None or live is not None:
            return self._view(record, live)
        # Its events go on, where it is live, after what is stored; not after all that ever may be.
        view = self._view(record, None, idle=elsewhere)
        return msgspec.structs.replace(view, last_event_id=record.last_event_id)

    async def _statuses(self, records: Sequence[SessionRecord]) -> Mapping[str, SessionStatus]:
        """The statuses of those that other nodes may have live, as they are stored."""
        nodes = self._store.nodes if self._active.owners.shared else None
        if nodes is None:
            return {}
        ids = [record.id for record in records if self._active.find(record.id) is None]
        return await nodes.statuses(ids)

    async def session(self, session_id: str, *, as_model: bool = False) -> SessionView:
        """A session with its history, or with what models are shown of it. Raises `NotFound`."""
        read = partial(self._store.session_with_history, session_id)
        (record, history), live = await self._read(session_id, read, lambda found: found[0])
        if as_model and record.compacted is not None:
            history = view_of(list(repair(history)), record.compacted)
        return await self._with_progress(self._view(record, live, history), live)

    async def open(self, session_id: str) -> "SessionPages":
        """A session, to be read with its history in pieces. Raises `NotFound`."""
        read = partial(self._store.history_page, session_id)
        page, live = await self._read(session_id, read, lambda page: page.session)
        view = await self._with_progress(self._view(page.session, live), live)
        return SessionPages(view, page.messages, self._store, page.next, page.last)

    async def _read(
        self,
        session_id: str,
        read: Callable[[], Awaitable[T | None]],
        record_of: Callable[[T], SessionRecord],
    ) -> tuple[T, LiveSession | None]:
        """A session as it is stored, and as it is live. Raises `NotFound`.

        It is read again, a few times, where more was stored meanwhile: the events go on where the
        history ends.
        """
        await self._active.check_here(session_id)
        tries = 0
        while True:
            tries += 1
            # One that passivates while its history is read: the resync of its next life helps.
            before = self._active.find(session_id)
            found = await read()
            if found is None:
                raise NotFound("session", session_id)
            live = before or self._active.find(session_id)
            if live is not None:
                live = await self._confirmed(live, record_of(found))
            behind = live and live.channel.stored_id > record_of(found).last_event_id
            if not behind or tries == _TRIES:
                return found, live

    async def _confirmed(self, live: LiveSession, record: SessionRecord) -> LiveSession | None:
        """The same live session, unless the record shows that another process went on with it.

        Raises `SessionElsewhere` where that one lives. A live session reserves event ids before the
        store has them: where the store has more, they are another process's.
        """
        owners = self._active.owners
        if owners.shared and record.event_ceiling > live.journal.ceiling:
            await owners.confirm(live.id)
        return None if live.moved else live

    async def _with_progress(self, view: SessionView, live: LiveSession | None) -> SessionView:
        """The view with what comes after its history, where a run is in flight."""
        run = None if live is None else live.in_flight
        if live is None or run is None:
            return view
        progress = in_progress(live, view.last_event_id)
        if progress is not None and not progress.step and run.record.status != "queued":
            # The events of its step may be those of an earlier process.
            recorded = await self._store.pending_step(run.id)
            progress = in_progress(live, view.last_event_id)
            if progress is not None and not progress.step:  # else its events have come meanwhile
                progress = in_progress(live, view.last_event_id, recorded)
        return msgspec.structs.replace(view, in_progress=progress)

    def _view(
        self,
        record: SessionRecord,
        live: LiveSession | None,
        history: Sequence[Message] | None = None,
        idle: SessionStatus = "idle",
    ) -> SessionView:
        if record.id in self._active.backlog:
            idle = "queued"
        return session_view(record, live, history, idle=idle)

    async def history(self, session_id: str) -> Sequence[Message]:
        """A session's history as it is stored: whole steps only. Raises `NotFound`."""
        found = await self._store.session_with_history(session_id)
        if found is None:
            raise NotFound("session", session_id)
        return found[1]

    async def messages(self, session_id: str, limit: int, before: int | None) -> HistoryPart:
        """The last messages of a history, or those before a cursor. Raises `NotFound`."""
        page = await self._store.message_page(session_id, limit, before)
        if page is None:
            raise NotFound("session", session_id)
        return HistoryPart.of(page.messages, page.next)

    async def runs(
        self,
        session_id: str | None,
        statuses: Sequence[Status],
        limit: int,
        before: int | None = None,
    ) -> RunList:
        """Runs, of one session or of all, newest first."""
        if session_id is not None and await self._store.session(session_id) is None:
            raise NotFound("session", session_id)
        cancelling = self._cancelling() if statuses else ()
        page = await self._store.run_page(session_id, statuses, limit, before, cancelling)
        views = (listed_view(run, self._active.find(run.record.session_id)) for run in page.runs)
        # The status of one may have changed since the store was asked.
        return RunList.of(
            (view for view in views if not statuses or view.status in statuses), page.next
        )

    def _cancelling(self) -> Collection[str]:
        """The ids of the runs whose end was asked for and has not come. All of them are live."""
        return {
            run.id
            for live in self._active.all()
            for run in live.runs.values()
            if run.status == "cancelling"
        }

    async def find_run(self, run_id: str, wait: float = 0) -> RunView:
        """One run of whichever session, as `run` has it. Raises `NotFound`."""
        record = await self._store.run(None, run_id)
        if record is None:
            raise NotFound("run", run_id)
        return await self.run(record.session_id, run_id, wait)

    async def run(self, session_id: str, run_id: str, wait: float = 0) -> RunView:
        """One run, after its end or after `wait` seconds, whichever comes first.

        Raises `NotFound`, and `SessionDeleted` where its session is deleted meanwhile.
        """
        live = await self._active.present(session_id)
        run = None if live is None else live.runs.get(run_id)
        if run is not None and wait:
            with trio.move_on_after(wait):
                await run.wait()
        record = await self._store.run(session_id, run_id)
        if record is None:
            if run is not None and isinstance(run.outcome, SessionDeleted | StoreError):
                raise copy_of(
                    run.outcome
                )  # its session was deleted meanwhile, or it was not admitted
            raise NotFound("run", run_id)
        return run_view(record, self._active.find(session_id))

    async def run_messages(self, run_id: str) -> Sequence[Message]:
        """What one run added to the history, in order; its user's message is the first."""
        return await self._store.run_messages(run_id)
