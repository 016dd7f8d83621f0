"""What clients of a runtime were told, and whether it is true of what is committed.

Each thing is checked in the moment in which it is told, where the store can be looked at without a
checkpoint; and all of it is checked again over the store that a kill, or a close, has left.
"""

from collections import Counter
from typing import Any

import attrs

from crash.faults import FaultyMemory
from wingman import Message
from wingman.conversation import TextBlock, ToolResultBlock
from wingman.events import Done, Error, Result
from wingman.run import Published
from wingman.store import RunRecord, Store

__all__ = ["Told", "invalid_history"]

_LIVING = ("queued", "running")


@attrs.define(eq=False)
class Told:
    """The clients' notes, in the process that runs now and in those before it.

    `certain`: a write that its writer was told has failed has not been written. `frozen`: that
    process is dead, and what its tasks still hear in their death counts for nothing.
    """

    certain: bool = True
    frozen: bool = False
    store: Store | None = None
    wrong: list[str] = attrs.field(factory=list)
    done: Counter[str] = attrs.field(factory=Counter)
    created: set[str] = attrs.field(factory=set)
    deleting: set[str] = attrs.field(factory=set)
    deleted: set[str] = attrs.field(factory=set)
    titles: dict[str, list[str | None]] = attrs.field(factory=dict)
    admitted: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    requests: dict[tuple[str, str], set[str]] = attrs.field(factory=dict)
    sent: Counter[str] = attrs.field(factory=Counter)
    refused: set[str] = attrs.field(factory=set)
    results: dict[str, Result] = attrs.field(factory=dict)
    failures: dict[str, str] = attrs.field(factory=dict)
    cancelled: set[str] = attrs.field(factory=set)
    never: set[str] = attrs.field(factory=set)
    ran: list[str] = attrs.field(factory=list)
    last_ids: dict[str, int] = attrs.field(factory=dict)
    ends: dict[str, str] = attrs.field(factory=dict)
    published_ends: dict[str, str] = attrs.field(factory=dict)

    def check(self, holds: bool, otherwise: str) -> None:
        """Note `otherwise` unless it `holds`."""
        if not holds and not self.frozen:
            self.wrong.append(otherwise)

    def _ledger(self) -> Any:
        return self.store.ledger if isinstance(self.store, FaultyMemory) else None

    def _row(self, run_id: str) -> RunRecord | None:
        run = self._ledger().runs.get(run_id)
        return None if run is None or run.session.deleting else run.record()

    def _gone(self, session_id: str) -> bool:
        return session_id in self.deleting

    # --- as it is told -------------------------------------------------------------------------

    def session_created(self, session_id: str, title: str | None) -> None:
        if self.frozen:
            return
        self.done["sessions created"] += 1
        self.created.add(session_id)
        self.titles[session_id] = [title]
        if self._ledger():
            there = session_id in self._ledger().sessions
            self.check(there, f"session {session_id} was acknowledged, and is not committed")

    def session_deleted(self, session_id: str) -> None:
        if self.frozen:
            return
        self.done["sessions deleted"] += 1
        self.deleted.add(session_id)
        if self._ledger():
            gone = session_id not in self._ledger().sessions
            self.check(gone, f"session {session_id} was deleted, and is there")

    def title_sent(self, session_id: str, title: str | None) -> None:
        self.titles[session_id].append(title)

    def title_taken(self, session_id: str, title: str | None) -> None:
        """It was acknowledged. One client at a time changes a session's title."""
        if self.frozen:
            return
        self.done["titles changed"] += 1
        self.titles[session_id] = [title]
        if self._ledger() and not self._gone(session_id):
            stored = self._ledger().sessions[session_id].saved.title
            self.check(stored == title, f"session {session_id} is titled {stored}, not {title}")

    def title_refused(self, session_id: str, title: str | None) -> None:
        if self.certain and not self.frozen:
            self.titles[session_id].remove(title)

    def message_sent(self, text: str) -> None:
        self.sent[text] += 1
        self.refused.discard(text)

    def message_taken(
        self, session_id: str, run_id: str, text: str, request_id: str | None = None
    ) -> None:
        if self.frozen:
            return
        self.done["messages taken"] += 1
        self.admitted[run_id] = (session_id, text)
        if request_id is not None:
            known = self.requests.setdefault((session_id, request_id), set())
            known.add(run_id)
            self.check(len(known) == 1, f"request {request_id} was taken as {sorted(known)}")
        else:
            self.check(text not in self.refused, f"message {text!r} was refused, and then taken")
        if self._ledger() and not self._gone(session_id):
            row = self._row(run_id)
            self.check(row is not None, f"run {run_id} was acknowledged, and is not committed")

    def message_refused(self, text: str) -> None:
        """It was told that it was not taken. If it was sent once, nothing of it may be there."""
        if self.frozen:
            return
        self.done["messages refused"] += 1
        if self.sent[text] > 1:
            return
        self.refused.add(text)
        if self._ledger() and self.certain:
            rows = [run.admitted.message for run in self._ledger().runs.values()]
            self.check(text not in rows, f"message {text!r} was refused, and is committed")

    def result_given(self, run_id: str, result: Result) -> None:
        if self.frozen:
            return
        self.done["results given"] += 1
        before = self.results.setdefault(run_id, result)
        self.check(before == result, f"run {run_id} had two results: {before} and {result}")
        self._ended(run_id, result.stop_reason)
        if self._ledger() and not self._gone(self.admitted[run_id][0]):
            row = self._row(run_id)
            self.check(
                row is not None and row.result == result,
                f"run {run_id} was told to have ended with {result}, and is committed as {row}",
            )

    def failure_given(self, run_id: str, code: str) -> None:
        """It has failed for good."""
        if self.frozen:
            return
        self.done[f"failures given: {code}"] += 1
        self.failures[run_id] = code
        self._ended(run_id, f"error {code}")
        if self._ledger() and not self._gone(self.admitted[run_id][0]):
            row = self._row(run_id)
            stored = row and row.error and row.error.code
            status = row and row.status
            self.check(
                stored == code, f"run {run_id} failed with {code}, committed: {status} {stored}"
            )

    def run_cancelled(self, run_id: str, was: str) -> None:
        """A receipt said that it was stopped."""
        if self.frozen:
            return
        self.done[f"runs cancelled that were {was}"] += 1
        self.cancelled.add(run_id)
        if self._ledger():
            row = self._row(run_id)
            over = row is None or row.status not in _LIVING
            self.check(over, f"the cancel of run {run_id} was acknowledged, and it is {row}")
            if row is not None and row.started_at is None:
                self.never.add(run_id)

    def inferred(self, text: str) -> None:
        """The model is asked for a step of the run with this message."""
        if self.frozen or not self._ledger():
            return
        runs = [run for run in self._ledger().runs.values() if run.admitted.message == text]
        statuses = [run.status for run in runs]
        self.check(statuses == ["running"], f"{text!r} is being executed, committed: {statuses}")
        for run in runs:
            never = run.admitted.id in self.never
            self.check(not never, f"run {run.admitted.id} was cancelled in the queue, and executed")

    def executed(self, mark: str) -> None:
        """A tool call runs."""
        if self.frozen:
            return
        self.done["tool calls executed"] += 1
        self.check(mark not in self.ran, f"call {mark} runs twice")
        self.ran.append(mark)
        if self._ledger():
            pending = [run.pending for run in self._ledger().runs.values() if run.pending]
            uses = [use for step in pending for use in step.message.tool_uses]
            there = any(use.input.get("mark") == mark for use in uses)
            gone = any(session.deleting for session in self._ledger().sessions.values())
            self.check(there or gone, f"call {mark} runs, and no step is committed that has it")

    def published(self, session_id: str, published: Published) -> None:
        """A reader of the session's events sees one."""
        if self.frozen:
            return
        self.done["events seen"] += 1
        last = self.last_ids.get(session_id, 0)
        self.check(published.id > last, f"session {session_id}: event {published.id} after {last}")
        self.last_ids[session_id] = published.id
        match published.event:
            case Done(result=result):
                self._end_published(published.run_id, result.stop_reason)
                if self._ledger() and not self._gone(session_id):
                    row = self._row(published.run_id)
                    same = row is not None and row.result == result
                    self.check(same, f"`done` of run {published.run_id}, committed: {row}")
            case Error(code=code) if published.run_id in self.admitted:
                self._end_published(published.run_id, f"error {code}")
            case _:
                pass

    def _end_published(self, run_id: str, end: str) -> None:
        if end in ("error shutting_down", "error session_deleted"):
            return  # not its end, but that nobody waits for it any more
        before = self.published_ends.setdefault(run_id, end)
        self.check(before == end, f"run {run_id} ended as {before}, and then as {end}")

    def _ended(self, run_id: str, end: str) -> None:
        before = self.ends.setdefault(run_id, end)
        self.check(before == end, f"run {run_id} came to {before}, and then to {end}")

    # --- over what is left ---------------------------------------------------------------------

    async def check_store(self, store: Store, where: str) -> None:
        """All that was told is true of what is committed."""
        page = await store.sessions(10_000)
        there = {record.id: record for record in page.sessions}
        for session_id in self.created - set(there):
            asked = session_id in self.deleting
            self.check(asked, f"{where}: session {session_id} was acknowledged, and is not there")
        for session_id in self.deleted & set(there):
            self.check(False, f"{where}: session {session_id} was deleted, and is there")
        rows: dict[str, RunRecord] = {}
        for session_id, record in there.items():
            if session_id in self.titles:
                titled = record.title in self.titles[session_id]
                titles = self.titles[session_id]
                self.check(titled, f"{where}: session titled {record.title}, not in {titles}")
            runs = await store.runs(session_id)
            rows |= {run.id: run for run in runs}
            await self._check_session(store, session_id, runs, where)
        self._check_runs(rows, set(there), where)

    async def _check_session(self, store: Store, session_id: str, runs: Any, where: str) -> None:
        found = await store.session_with_history(session_id)
        assert found is not None
        record, history = found
        reason = invalid_history(history)
        self.check(reason is None, f"{where}: session {session_id}: {reason}")
        said = [
            block.text
            for message in history
            for block in message.content
            if message.role == "user" and isinstance(block, TextBlock)
        ]
        started = [run.message for run in runs if run.started_at]
        if not self.certain:  # one that was refused, and is there, may run after later ones
            said, started = sorted(said), sorted(started)
        self.check(said == started, f"{where}: history has {said}, started were {started}")
        running = [run.id for run in runs if run.status == "running"]
        self.check(len(running) <= 1, f"{where}: {running} run at once")
        heard = self.last_ids.get(session_id, 0)
        low = heard <= record.event_ceiling
        self.check(low, f"{where}: event {heard} was seen above {record.event_ceiling}")
        recorded: set[str] = set()
        for run in runs:
            messages = list(await store.run_messages(run.id))
            pending = await store.pending_step(run.id)
            steps = [*messages, *([] if pending is None else [pending.message])]
            uses = [use for message in steps for use in message.tool_uses]
            recorded |= {str(use.input.get("mark")) for use in uses}
            if run.result is not None:
                stored = [use.id for message in messages for use in message.tool_uses]
                told = [call.id for call in run.result.tool_calls]
                self.check(stored == told, f"{where}: run {run.id} had {told}, history {stored}")
        numbers = {run.message.partition(":")[0] for run in runs}
        mine = {mark for mark in self.ran if mark.partition(".")[0] in numbers}
        unseen = mine - recorded
        self.check(not unseen, f"{where}: {unseen} ran, and no row tells of it")

    def _check_runs(self, rows: dict[str, RunRecord], there: set[str], where: str) -> None:
        for run_id, (session_id, text) in self.admitted.items():
            row = rows.get(run_id)
            if row is None:
                gone = session_id not in there
                self.check(gone, f"{where}: run {run_id} ({text!r}) was acknowledged, and is lost")
                continue
            over = row.status not in _LIVING
            if run_id in self.results:
                same = row.result == self.results[run_id]
                self.check(same, f"{where}: run {run_id}: {self.results[run_id]} was told: {row}")
            if run_id in self.failures:
                code = row.error and row.error.code
                same = code == self.failures[run_id]
                self.check(same, f"{where}: run {run_id}: {self.failures[run_id]} was told: {code}")
            if run_id in self.cancelled:
                self.check(over, f"{where}: run {run_id} was cancelled, and is {row.status}")
            if run_id in self.never:
                idle = row.started_at is None
                self.check(idle, f"{where}: run {run_id} was cancelled in the queue, and began")
        texts = Counter(row.message for row in rows.values())
        for text, times in texts.items():
            if self.certain:
                self.check(times == 1, f"{where}: message {text!r} is there {times} times")
                kept = text in self.refused and text not in {t for _, t in self.admitted.values()}
                self.check(not kept, f"{where}: message {text!r} was refused, and is there")


def invalid_history(history: Any) -> str | None:
    """Why a model's API would not take this history; None if it would."""
    waiting: list[str] = []
    messages: list[Message] = list(history)
    for index, message in enumerate(messages):
        results = [b.tool_use_id for b in message.content if isinstance(b, ToolResultBlock)]
        if results != waiting:
            return f"message {index}: calls {waiting} are answered by {results}"
        if not message.content:
            return f"message {index} is empty"
        waiting = [use.id for use in message.tool_uses]
    return f"calls {waiting} at the end have no answer" if waiting else None
