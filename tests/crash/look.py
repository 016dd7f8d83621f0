"""A look over HTTP, after a restart: all that the last snapshot had is there, and goes on."""

from typing import Any

import httpx
import trio

from crash.book import Book, Findings
from crash.snapshot import Row, Rows, Snapshot, invalid

__all__ = ["look"]


async def look(http: httpx.AsyncClient, before: Snapshot, book: Book) -> None:
    """Read each session and its runs, until the server is gone."""
    try:
        for rows in before.sessions.values():
            await _look_at(http, rows, book)
        book.findings.done["looks at all sessions"] += 1
    except httpx.TransportError:
        await trio.lowlevel.checkpoint()


async def _look_at(http: httpx.AsyncClient, rows: Rows, book: Book) -> None:
    session = await http.get(f"/sessions/{rows.id}")
    runs = await http.get(f"/sessions/{rows.id}/runs", params={"limit": 1000})
    known = book.sessions.get(rows.id)
    statuses = {session.status_code, runs.status_code}
    if rows.deleting or (known is not None and known.deleting):
        book.findings.check(statuses <= {200, 404}, f"session {rows.id}: {statuses}")
        gone = session.status_code == 404 or not rows.deleting
        book.findings.check(gone, f"session {rows.id} was being deleted, and is shown")
        return
    book.findings.check(statuses == {200}, f"session {rows.id}: {statuses}")
    if statuses == {200}:
        _check_view(session.json(), rows, book.findings)
        # Newest first; what has come since the rows were read is newer than all of them.
        oldest_first = runs.json()[::-1]
        for run, view in zip(rows.runs, oldest_first, strict=False):
            if view.get("cut"):  # a list has not all of a long run
                target = f"/sessions/{rows.id}/runs/{run.id}"
                answer = await http.get(target)
                if answer.status_code in (404, 503):  # deleted, or the server stops
                    return
                view = answer.json()
            _check_run(view, run, book.findings)


def _check_view(view: dict[str, Any], rows: Rows, findings: Findings) -> None:
    where = f"session {rows.id}, read after a restart"
    reason = invalid(view["history"])
    findings.check(reason is None, f"{where}: {reason}")
    stored = [message for _, message in rows.history]
    kept = view["history"][: len(stored)] == stored
    findings.check(kept, f"{where}: its history is not what was stored")
    grew = view["last_event_id"] >= rows.event_ceiling
    findings.check(grew, f"{where}: event {view['last_event_id']} < {rows.event_ceiling}")


def _check_run(view: dict[str, Any], run: Row, findings: Findings) -> None:
    where = f"run {run.id}, read after a restart"
    findings.check(view["id"] == run.id, f"{where}: {view['id']} is in its place")
    if run.status == "running":
        interrupted = view["status"] == "interrupted"
        findings.check(interrupted, f"{where}: it was cut off, and is {view['status']}")
        reason = (view["result"] or {}).get("stop_reason")
        findings.check(reason == "interrupted", f"{where}: it ended with {view['result']}")
    elif run.over:
        same = (view["status"], view["result"]) == (run.status, run.result)
        findings.check(same, f"{where}: it had ended, and has changed: {view}")
