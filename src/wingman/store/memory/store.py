"""MemoryStore: the store in dicts, for tests and for programs that need nothing to last.

`write` applies its changes at once, and `Commit.wait` is a checkpoint. There is no thread in it,
so it works under trio's `autojump_clock`. What is written is not copied: the values are frozen.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import merge
from types import TracebackType
from typing import Self

import msgspec
import trio

from wingman.api import (
    AgentRecord,
    Credential,
    McpServer,
    PermissionRequest,
    PermissionStatus,
    Status,
)
from wingman.conversation import Message
from wingman.errors import StoreError, StoreUnavailable
from wingman.store.call import Call
from wingman.store.changes import Change
from wingman.store.listing import CUT_OFF_CHARS, PAGE_CHARS, listed
from wingman.store.memory.kept import Request, Run, Session
from wingman.store.memory.ledger import Ledger
from wingman.store.memory.order import age
from wingman.store.protocol import Chain, Commit
from wingman.store.records import (
    CutRun,
    HistoryPage,
    ListedRun,
    MessagePage,
    Pass,
    PendingStep,
    PermissionPage,
    RunPage,
    RunRecord,
    RunStatus,
    SessionPage,
    SessionRecord,
)
from wingman.store.results import WHOLE_RESULT
from wingman.under_trio import require_trio

__all__ = ["MemoryStore"]


class MemoryStore:
    """Sessions in memory, gone with the process. Opening and closing it does nothing."""

    name = "memory"

    def __init__(self) -> None:
        self._ledger = Ledger()

    async def __aenter__(self) -> Self:
        require_trio()
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    @property
    def nodes(self) -> None:
        """None: it is one process's own."""
        return None

    # --- writing ----------------------------------------------------------------------------------

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        """Apply these changes, in order; none of them if one of them cannot be."""
        call = Call(changes, chain)
        if chain is not None and chain.failure is not None:
            call.settle(chain.failure)
        else:
            reason = self._ledger.apply(changes)
            call.settle(None if reason is None else StoreError(reason))
        return call

    @property
    def failure(self) -> StoreUnavailable | None:
        """None: memory can always be written."""
        return None

    async def wait_until_well(self) -> None:
        await trio.lowlevel.checkpoint()

    # --- reading ----------------------------------------------------------------------------------

    async def agents(self) -> Sequence[AgentRecord]:
        await trio.lowlevel.checkpoint()
        return tuple(self._ledger.agents.values())

    async def agent(self, agent_id: str) -> AgentRecord | None:
        await trio.lowlevel.checkpoint()
        return self._ledger.agents.get(agent_id)

    async def credentials(self) -> Mapping[str, Credential]:
        await trio.lowlevel.checkpoint()
        return dict(self._ledger.credentials)

    async def mcp_servers(self) -> Mapping[str, McpServer]:
        await trio.lowlevel.checkpoint()
        return dict(self._ledger.mcp_servers)

    async def find_pass(self, hash: str) -> Pass | None:
        await trio.lowlevel.checkpoint()
        return self._ledger.passes.get(hash)

    async def sessions(self, limit: int, before: int | None = None) -> SessionPage:
        await trio.lowlevel.checkpoint()
        page: list[Session] = []
        for session in reversed(self._ledger.sessions.values()):
            if session.deleting or (before is not None and session.seq >= before):
                continue
            if len(page) == limit:
                return SessionPage(tuple(each.record() for each in page), page[-1].seq)
            page.append(session)
        return SessionPage(tuple(each.record() for each in page), None)

    async def session(self, session_id: str) -> SessionRecord | None:
        await trio.lowlevel.checkpoint()
        session = self._shown(session_id)
        return session.record() if session else None

    async def session_with_history(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[Message]] | None:
        await trio.lowlevel.checkpoint()
        session = self._shown(session_id)
        return (session.record(), tuple(session.history)) if session else None

    async def history_page(
        self, session_id: str, after: int = 0, until: int | None = None
    ) -> HistoryPage | None:
        await trio.lowlevel.checkpoint()
        session = self._shown(session_id)
        if session is None:
            return None
        until = len(session.history) if until is None else until
        place, size = after, 0
        while place < until and size < PAGE_CHARS:
            size += len(msgspec.json.encode(session.history[place]))
            place += 1
        messages = tuple(session.history[after:place])
        return HistoryPage(session.record(), messages, place if place < until else None, until)

    async def message_page(
        self, session_id: str, limit: int, before: int | None = None
    ) -> MessagePage | None:
        await trio.lowlevel.checkpoint()
        session = self._shown(session_id)
        if session is None:
            return None
        end = len(session.history) if before is None else min(before, len(session.history))
        begin, size = end, 0
        while begin and end - begin < limit and size < PAGE_CHARS:
            begin -= 1
            size += len(msgspec.json.encode(session.history[begin]))
        return MessagePage(tuple(session.history[begin:end]), begin or None)

    async def session_with_queue(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[RunRecord]] | None:
        return next(iter(await self.queues((session_id,))), None)

    async def queues(
        self, session_ids: Sequence[str]
    ) -> Sequence[tuple[SessionRecord, Sequence[RunRecord]]]:
        await trio.lowlevel.checkpoint()
        found = filter(None, map(self._shown, dict.fromkeys(session_ids)))
        return tuple(
            (
                session.record(),
                tuple(
                    run.record()
                    for run in session.runs.values()
                    if run.status in ("waiting", "queued")
                ),
            )
            for session in found
        )

    async def sessions_with_queue(self) -> Mapping[str, int]:
        await trio.lowlevel.checkpoint()
        return Counter(run.session.saved.id for run in self._runs(None, ("waiting", "queued")))

    async def cut_off(self, limit: int) -> Sequence[CutRun]:
        await trio.lowlevel.checkpoint()
        found: list[CutRun] = []
        size = 0
        for run in self._runs(None, ("running",))[:limit]:
            messages = tuple(run.messages)
            found.append(CutRun(run.session.record(), run.record(), _pending(run), messages))
            size += len(msgspec.json.encode(messages))
            if size >= CUT_OFF_CHARS:
                break
        return tuple(found)

    async def deleting(self) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return tuple(id for id, session in self._ledger.sessions.items() if session.deleting)

    async def run_messages(self, run_id: str) -> Sequence[Message]:
        await trio.lowlevel.checkpoint()
        run = self._shown_run(run_id)
        return tuple(run.messages) if run else ()

    async def runs(
        self,
        session_id: str | None = None,
        statuses: Sequence[RunStatus] = (),
        limit: int | None = None,
    ) -> Sequence[RunRecord]:
        await trio.lowlevel.checkpoint()
        found = self._runs(session_id, statuses)
        newest = found if limit is None else found[max(len(found) - limit, 0) :]
        return tuple(run.record() for run in newest)

    async def run_page(
        self,
        session_id: str | None,
        statuses: Sequence[Status],
        limit: int,
        before: int | None = None,
        cancelling: Collection[str] = (),
    ) -> RunPage:
        await trio.lowlevel.checkpoint()
        page: list[Run] = []
        for run in self._newest(session_id, statuses, before, cancelling):
            if len(page) == limit:
                return RunPage(tuple(_listed(each.record()) for each in page), page[-1].seq)
            page.append(run)
        return RunPage(tuple(_listed(each.record()) for each in page), None)

    async def run(self, session_id: str | None, run_id: str) -> RunRecord | None:
        await trio.lowlevel.checkpoint()
        run = self._shown_run(run_id)
        return run.record() if run and session_id in (None, run.session.saved.id) else None

    async def run_by_request(self, session_id: str, request_id: str) -> RunRecord | None:
        await trio.lowlevel.checkpoint()
        session = self._shown(session_id)
        run = session.requests.get(request_id) if session else None
        return run.record() if run else None

    async def pending_step(self, run_id: str) -> PendingStep | None:
        await trio.lowlevel.checkpoint()
        run = self._shown_run(run_id)
        return _pending(run) if run else None

    async def permissions(
        self,
        session_id: str | None,
        statuses: Sequence[PermissionStatus],
        limit: int,
        before: int | None = None,
    ) -> PermissionPage:
        await trio.lowlevel.checkpoint()
        page: list[Request] = []
        for request in self._ledger.asked.newest(session_id, statuses, before):
            if len(page) == limit:
                return PermissionPage(tuple(each.listed for each in page), page[-1].seq)
            page.append(request)
        return PermissionPage(tuple(each.listed for each in page), None)

    async def permission(self, session_id: str, permission_id: str) -> PermissionRequest | None:
        await trio.lowlevel.checkpoint()
        request = self._ledger.permissions.get(permission_id)
        shown = request and request.session is self._shown(session_id)
        return request.whole if request and shown else None

    async def run_permissions(self, run_id: str) -> Sequence[PermissionRequest]:
        await trio.lowlevel.checkpoint()
        run = self._shown_run(run_id)
        return tuple(request.whole for request in run.permissions) if run else ()

    async def grants(self, session_id: str) -> frozenset[tuple[str, str]]:
        await trio.lowlevel.checkpoint()
        session = self._shown(session_id)
        return frozenset(session.grants) if session else frozenset()

    def _runs(self, session_id: str | None, statuses: Sequence[RunStatus]) -> Sequence[Run]:
        """The runs that are shown, of one session or of all, in the order of their admission."""
        return [*self._ledger.order.newest(session_id, statuses)][::-1]

    def _newest(
        self,
        session_id: str | None,
        statuses: Sequence[Status],
        before: int | None,
        cancelling: Collection[str],
    ) -> Iterator[Run]:
        """The runs that are shown, newest first, where these are `cancelling` and nothing else."""
        order = self._ledger.order
        if not statuses:
            return order.newest(session_id, (), before)
        stored = [status for status in statuses if status != "cancelling"]
        runs = order.newest(session_id, stored, before) if stored else ()
        others = (run for run in runs if run.admitted.id not in cancelling)
        if "cancelling" not in statuses:
            return others
        asked = [
            run
            for run in filter(None, map(self._shown_run, cancelling))
            if session_id in (None, run.session.saved.id) and (before is None or run.seq < before)
        ]
        asked.sort(key=age)
        return merge(others, asked, key=age)

    def _shown(self, session_id: str) -> Session | None:
        session = self._ledger.sessions.get(session_id)
        return session if session and not session.deleting else None

    def _shown_run(self, run_id: str) -> Run | None:
        run = self._ledger.runs.get(run_id)
        return run if run and not run.session.deleting else None


def _pending(run: Run) -> PendingStep | None:
    step = run.pending
    if step is None:
        return None
    return PendingStep(step.step, step.message, step.usage, tuple(run.results), step.cost)


def _listed(record: RunRecord) -> ListedRun:
    result = msgspec.json.encode(record.result)
    return listed(record, None, result if len(result) > WHOLE_RESULT else None)
