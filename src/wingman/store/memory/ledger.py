"""Ledger: what a store keeps, as plain objects, and what each change does to it.

`MemoryStore` is its face.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from wingman.api import AgentRecord, Credential, McpServer, PermissionRequest
from wingman.store.changes import (
    MOST_PASSES,
    AgentDeleted,
    AgentSaved,
    CallEnded,
    CeilingRaised,
    Change,
    CredentialDeleted,
    CredentialSaved,
    HistoryCompacted,
    McpServerDeleted,
    McpServerSaved,
    PassIssued,
    PassTaken,
    PermissionAsked,
    PermissionResolved,
    RunEnded,
    RunQueued,
    RunStarted,
    RunSteered,
    SessionClaimed,
    SessionDeleting,
    SessionErased,
    SessionReleased,
    SessionSaved,
    StepEnded,
    StepRecorded,
)
from wingman.store.memory.kept import Request, Run, Session
from wingman.store.memory.order import Order
from wingman.store.records import Pass, RunRecord, RunStatus

__all__ = ["Ledger"]


class Ledger:
    """All that is kept, in the order in which it came."""

    def __init__(self) -> None:
        self.agents: dict[str, AgentRecord] = {}
        self.credentials: dict[str, Credential] = {}
        self.passes: dict[str, Pass] = {}
        self.mcp_servers: dict[str, McpServer] = {}
        self.sessions: dict[str, Session] = {}
        self.runs: dict[str, Run] = {}
        self.permissions: dict[str, Request] = {}
        self.order: Order[Run] = Order()
        self.asked: Order[Request] = Order()
        self._last_seq = 0

    def apply(self, changes: Sequence[Change]) -> str | None:
        """Apply these changes, in order; or none of them, and say why."""
        for change in changes:
            if type(change) is RunQueued and (reason := self._why_not(changes)):
                return reason
        for change in changes:
            _APPLY[type(change)](self, change)
        return None

    def _why_not(self, changes: Sequence[Change]) -> str | None:
        """Why this call cannot be applied: a run's id is taken, or its request's.

        What stands before a run in its call may make its session, or erase what is in its way.
        """
        saved: set[str] = set()
        erased: set[str] = set()
        admitted: list[RunRecord] = []
        for change in changes:
            match change:
                case SessionSaved(session=session):
                    saved.add(session.id)
                case SessionErased(session_id=gone):
                    saved.discard(gone)
                    erased.add(gone)
                    admitted = [run for run in admitted if run.session_id != gone]
                case RunQueued(run=run) if run.session_id in saved or (
                    run.session_id in self.sessions and run.session_id not in erased
                ):
                    kept = [other for other in self._like(run) if other.session_id not in erased]
                    if any(_collide(run, other) for other in [*kept, *admitted]):
                        return "a run of this id, or of this request, is there already"
                    admitted.append(run)
                case _:
                    pass
        return None

    def _like(self, run: RunRecord) -> Iterable[RunRecord]:
        """The runs that might be in the way of this one."""
        if other := self.runs.get(run.id):
            yield other.admitted
        session = self.sessions.get(run.session_id)
        if (
            session
            and run.request_id is not None
            and (other := session.requests.get(run.request_id))
        ):
            yield other.admitted

    def _save_agent(self, change: AgentSaved) -> None:
        known = self.agents.get(change.agent.id)
        if change.before is None or (known is not None and known.updated_at == change.before):
            self.agents[change.agent.id] = change.agent

    def _delete_agent(self, change: AgentDeleted) -> None:
        self.agents.pop(change.agent_id, None)

    def _save_credential(self, change: CredentialSaved) -> None:
        self.credentials[change.provider] = change.credential

    def _delete_credential(self, change: CredentialDeleted) -> None:
        self.credentials.pop(change.provider, None)

    def _save_mcp_server(self, change: McpServerSaved) -> None:
        self.mcp_servers[change.name] = change.server

    def _delete_mcp_server(self, change: McpServerDeleted) -> None:
        self.mcp_servers.pop(change.name, None)

    def _issue_pass(self, change: PassIssued) -> None:
        for hash, kept in tuple(self.passes.items()):
            if kept.ends_at <= change.issued_at:
                del self.passes[hash]
        self.passes[change.hash] = Pass(change.ends_at)
        if len(self.passes) > MOST_PASSES:
            del self.passes[next(iter(self.passes))]

    def _take_pass(self, change: PassTaken) -> None:
        kept = self.passes.get(change.hash)
        if kept is not None and kept.taken_by is None:
            self.passes[change.hash] = msgspec.structs.replace(kept, taken_by=change.taken_by)

    def _save_session(self, change: SessionSaved) -> None:
        new = change.session
        if session := self.sessions.get(new.id):
            session.saved = msgspec.structs.replace(new, created_at=session.saved.created_at)
            session.updated_at = new.updated_at
        if session or not change.is_new:
            return
        self._last_seq += 1
        self.sessions[new.id] = Session(
            self._last_seq, new, new.updated_at, new.last_event_id, new.event_ceiling, new.usage
        )

    def _leave(self, change: SessionClaimed | SessionReleased) -> None:
        """All sessions here are the one process's."""

    def _mark_session(self, change: SessionDeleting) -> None:
        if session := self.sessions.get(change.session_id):
            self._hide(session)

    def _erase_session(self, change: SessionErased) -> None:
        if session := self.sessions.pop(change.session_id, None):
            self._hide(session)
            for run_id, run in session.runs.items():
                del self.runs[run_id]
                for request in run.permissions:
                    del self.permissions[request.whole.id]

    def _hide(self, session: Session) -> None:
        """From here on no read shows the session or its runs."""
        if not session.deleting:
            session.deleting = True
            for run in session.runs.values():
                self.order.remove(run)
                for request in run.permissions:
                    self.asked.remove(request)

    def _queue_run(self, change: RunQueued) -> None:
        new = change.run
        if session := self.sessions.get(new.session_id):
            self._last_seq += 1
            run = Run(
                self._last_seq,
                new,
                session,
                new.status,
                new.started_at,
                new.ended_at,
                new.result,
                new.error,
                new.usage,
                new.steps,
                new.cost,
            )
            self.runs[new.id] = session.runs[new.id] = run
            if new.request_id is not None:
                session.requests[new.request_id] = run
            if not session.deleting:
                self.order.add(run)

    def _start_run(self, change: RunStarted) -> None:
        if run := self._run_of(change.session_id, change.run_id):
            self._set_status(run, "running")
            run.started_at = change.started_at
            run.extend(() if change.message is None else (change.message,))
            run.session.event_ceiling = change.event_ceiling

    def _raise_ceiling(self, change: CeilingRaised) -> None:
        if session := self.sessions.get(change.session_id):
            session.event_ceiling = change.event_ceiling

    def _record_step(self, change: StepRecorded) -> None:
        if run := self._run_of(change.session_id, change.run_id):
            run.pending = change
            run.results = []

    def _ask_permission(self, change: PermissionAsked) -> None:
        new = change.request
        run = self._run_of(new.session_id, new.run_id)
        if run is None:
            return
        request = self.permissions.get(new.id)
        if request is None:
            self._last_seq += 1
            request = self.permissions[new.id] = Request(self._last_seq, run, new)
            run.permissions.append(request)
            self._note_grants(request)
            if not run.session.deleting:
                self.asked.add(request)
        if request.run is run and request.status == "pending":
            self._set_status(run, "waiting")

    def _resolve_permission(self, change: PermissionResolved) -> None:
        new = change.request
        run = self._run_of(new.session_id, new.run_id)
        if run is None:
            return
        request = self.permissions.get(new.id)
        if request and request.run is run and request.status == "pending":
            self._change_request(request, new)
            self._note_grants(request)
        if run.status == "waiting" and not _pending(run):
            self._set_status(run, "running")

    def _end_call(self, change: CallEnded) -> None:
        if (run := self._run_of(change.session_id, change.run_id)) and run.pending:
            run.results.append(change.result)

    def _end_step(self, change: StepEnded) -> None:
        if run := self._run_of(change.session_id, change.run_id):
            run.extend(change.messages)
            run.pending = None
            run.steps = change.steps
            run.usage = change.usage
            run.cost = change.cost
            run.session.last_event_id = change.last_event_id

    def _compact(self, change: HistoryCompacted) -> None:
        if run := self._run_of(change.session_id, change.run_id):
            run.session.compacted = change.compacted
            run.usage = change.usage
            run.cost = change.cost

    def _steer_run(self, change: RunSteered) -> None:
        run = self._run_of(change.session_id, change.run_id)
        if run and run.status == "queued":
            self._set_status(run, "steered")
            run.ended_at = change.ended_at

    def _end_run(self, change: RunEnded) -> None:
        if not (run := self._run_of(change.session_id, change.run_id)):
            return
        run.extend(change.messages)
        run.pending = None
        self._set_status(run, change.status)
        run.ended_at = change.ended_at
        run.result = change.result
        run.error = change.error
        run.usage = change.usage
        run.steps = change.steps
        run.cost = change.cost
        for request in _pending(run):
            self._change_request(
                request,
                msgspec.structs.replace(
                    request.whole, status="cancelled", resolved_at=change.ended_at
                ),
            )
        session = run.session
        session.updated_at = change.ended_at
        if change.session_usage is not None:
            session.usage = change.session_usage
        if change.last_event_id is not None:
            session.last_event_id = change.last_event_id

    def _set_status(self, run: Run, status: RunStatus) -> None:
        if run.session.deleting:
            run.status = status
        else:
            self.order.remove(run)
            run.status = status
            self.order.add(run)

    def _change_request(self, request: Request, now: PermissionRequest) -> None:
        if request.session.deleting:
            request.become(now)
        else:
            self.asked.remove(request)
            request.become(now)
            self.asked.add(request)

    def _note_grants(self, request: Request) -> None:
        whole = request.whole
        if whole.decision == "always":
            request.session.grants.update((whole.action, resource) for resource in whole.always)

    def _run_of(self, session_id: str, run_id: str) -> Run | None:
        session = self.sessions.get(session_id)
        return session.runs.get(run_id) if session else None


def _pending(run: Run) -> Sequence[Request]:
    return [request for request in run.permissions if request.status == "pending"]


def _collide(run: RunRecord, other: RunRecord) -> bool:
    return run.id == other.id or (
        run.request_id is not None
        and (run.session_id, run.request_id) == (other.session_id, other.request_id)
    )


_APPLY: dict[type[Change], Callable[[Ledger, Any], None]] = {
    AgentSaved: Ledger._save_agent,
    AgentDeleted: Ledger._delete_agent,
    CredentialSaved: Ledger._save_credential,
    CredentialDeleted: Ledger._delete_credential,
    McpServerSaved: Ledger._save_mcp_server,
    McpServerDeleted: Ledger._delete_mcp_server,
    PassIssued: Ledger._issue_pass,
    PassTaken: Ledger._take_pass,
    SessionSaved: Ledger._save_session,
    SessionClaimed: Ledger._leave,
    SessionReleased: Ledger._leave,
    SessionDeleting: Ledger._mark_session,
    SessionErased: Ledger._erase_session,
    RunQueued: Ledger._queue_run,
    RunStarted: Ledger._start_run,
    CeilingRaised: Ledger._raise_ceiling,
    StepRecorded: Ledger._record_step,
    PermissionAsked: Ledger._ask_permission,
    PermissionResolved: Ledger._resolve_permission,
    CallEnded: Ledger._end_call,
    StepEnded: Ledger._end_step,
    HistoryCompacted: Ledger._compact,
    RunSteered: Ledger._steer_run,
    RunEnded: Ledger._end_run,
}
