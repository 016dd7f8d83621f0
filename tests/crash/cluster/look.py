"""A look over HTTP, when all is at rest: each node answers for each session, and all agree."""

from collections.abc import Sequence
from typing import Any, Final

import httpx
import trio

from crash.book import Findings
from crash.cluster.node import Node
from crash.snapshot import Rows, Snapshot

__all__ = ["look_from"]

_PATIENCE: Final = 20.0


async def look_from(node: Node, snapshot: Snapshot, ids: Sequence[str], findings: Findings) -> None:
    """Read these sessions, and the list of all, directly from this node."""
    async with httpx.AsyncClient(base_url=node.url, timeout=_PATIENCE) as http:
        try:
            listed = (await http.get("/sessions", params={"limit": 1000})).json()
            there = {id for id, rows in snapshot.sessions.items() if not rows.deleting}
            shown = {each["id"] for each in listed}
            same = shown <= there and len(shown) == min(len(there), 1000)
            findings.check(same, f"{node.name} lists {len(shown)} sessions of {len(there)}")
            for id in ids:
                await _look_at(http, node.name, snapshot.sessions[id], findings)
                findings.done["sessions looked at from a node"] += 1
        except httpx.TransportError as error:
            findings.check(False, f"{node.name} gave no answer, and all is at rest: {error!r}")
            await trio.lowlevel.checkpoint()


async def _look_at(http: httpx.AsyncClient, name: str, rows: Rows, findings: Findings) -> None:
    where = f"session {rows.id}, read from {name}"
    session = await http.get(f"/sessions/{rows.id}")
    if not findings.check(session.status_code == 200, f"{where}: {session.text}"):
        return
    view: dict[str, Any] = session.json()
    stored = [message for _, message in rows.history]
    findings.check(view["history"] == stored, f"{where}: its history is not what is stored")
    answer = await http.get(f"/sessions/{rows.id}/runs", params={"limit": 1000})
    if not findings.check(answer.status_code == 200, f"{where}: runs: {answer.text}"):
        return
    for run, shown in zip(reversed(rows.runs), answer.json(), strict=False):
        same = (shown["id"], shown["status"]) == (run.id, run.status)
        findings.check(same, f"{where}: run {run.id} is {run.status}, and shown as {shown}")
