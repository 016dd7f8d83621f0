"""What must hold of a cluster at rest: no fault, no client, all nodes there."""

from functools import partial
from pathlib import Path
from typing import Final

import attrs
import httpx
import trio

from crash.book import Book, Findings
from crash.cluster.audit import take_writes
from crash.cluster.look import look_from
from crash.cluster.node import Node
from crash.cluster.ownership import Ownership
from crash.cluster.patience import until
from crash.follower import Follower
from crash.laws import check_book, check_database, check_executions, check_passage
from crash.marks_laws import check_marks
from crash.snapshot import Rows, Snapshot
from crash.victim import orphans

__all__ = ["Rest"]

_SETTLED_SECONDS: Final = 60.0
_SEEN_SECONDS: Final = 15.0


@attrs.define(eq=False)
class Rest:
    """Brings a cluster to rest, and looks at all that is there. `database` is the harness's own way
    to it, and `before` what was there the last time."""

    nodes: list[Node]
    database: str
    book: Book
    followers: dict[str, Follower]
    findings: Findings
    ownership: Ownership = attrs.field(init=False)
    before: Snapshot = attrs.field(factory=lambda: Snapshot({}, (), "ok"))
    _logs_read: dict[Path, int] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.ownership = Ownership(self.findings)

    async def come(self, http: httpx.AsyncClient) -> None:
        """All runs end: those that hang, because they are cancelled."""
        quiet = 0
        left: list[dict[str, str]] = []

        async def is_quiet() -> bool:
            nonlocal left, quiet
            try:
                left = await self._cancel_all(http)
            except httpx.HTTPError:  # the last fault is just over
                return False
            quiet = 0 if left else quiet + 1
            return quiet == 2

        ended = await until(is_quiet, _SETTLED_SECONDS, 0.3)
        self.findings.check(ended, f"runs do not end: {left[:3]}")

    async def _cancel_all(self, http: httpx.AsyncClient) -> list[dict[str, str]]:
        params = {"status": "queued,running,cancelling", "limit": "1000"}
        answer = (await http.get("/runs", params=params)).raise_for_status()
        left: list[dict[str, str]] = answer.json()
        for run in left:
            if run["status"] == "running":
                await http.post(f"/sessions/{run['session_id']}/runs/{run['id']}/cancel")
        return left

    async def look(self) -> None:
        """Look at processes, the database, and what each node says."""
        for node in self.nodes:
            node.check_alive()
            await self._check_processes(node)
        await self.look_at_the_database()
        ids = [known.id for known in self.book.usable()]
        async with trio.open_nursery() as nursery:
            for node in self.nodes:
                nursery.start_soon(look_from, node, self.before, ids, self.findings)
        await self._check_followers()
        self._check_logs()

    async def look_at_the_database(self) -> None:
        """All the laws of what is stored, and of who has written it."""
        snapshot = await trio.to_thread.run_sync(Snapshot.take_postgres, self.database)
        self.ownership.replay(await trio.to_thread.run_sync(take_writes, self.database))
        check_database(snapshot, self.findings)
        check_executions(snapshot, self.book, moved=True)
        check_marks(snapshot, self.book)
        check_book(snapshot, self.book)
        check_passage(self.before, snapshot, self.findings, recovered=True)
        self.before = snapshot

    async def _check_followers(self) -> None:
        """Each has come to the end of its session, and has missed nothing on the way."""
        for id, follower in self.followers.items():
            rows = self.before.sessions.get(id)
            if rows is None or rows.deleting or follower.known.deleting:
                continue
            seen = await until(partial(_is_at_the_end, follower, rows), _SEEN_SECONDS)
            where = f"session {id}: a reader is at {follower.last_id}, of {rows.last_event_id}"
            self.findings.check(seen, where)
            follower.check_complete(rows)
            self.findings.done["followers that saw all"] += 1

    async def _check_processes(self, node: Node) -> None:
        """No tool runs on where its run is over."""
        there = await trio.to_thread.run_sync(orphans, node.mark)
        for command in there.values():
            self.findings.check("sleep 300" not in command, f"{node.name} still runs {command}")

    def _check_logs(self) -> None:
        for node in self.nodes:
            said = node.log.read_text()
            at = said.find("Traceback", self._logs_read.get(node.log, 0))
            self.findings.check(at < 0, f"{node.name} had an error: {said[at : at + 3000]}")
            self._logs_read[node.log] = len(said)


def _is_at_the_end(follower: Follower, rows: Rows) -> bool:
    return (follower.last_id or 0) >= rows.last_event_id
