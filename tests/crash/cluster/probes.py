"""How long the sessions of a node that has a fault do not answer: measured through the balancer, as
a client sees it, and by the database's record of when another node took them.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

import attrs
import httpx
import psycopg
import trio

from crash.book import Findings
from crash.clients import error_code
from crash.cluster.audit import first_move, owner
from crash.cluster.node import Node
from crash.cluster.patience import until

__all__ = ["Placed", "Probes", "Times"]

T = TypeVar("T")
A = TypeVarTuple("A")

_IDLE: Final = 3
_ASYNC: Final = {"Prefer": "respond-async"}
_PLACE_SECONDS: Final = 180.0
_ANSWER_SECONDS: Final = 90.0
_AGAIN: Final = frozenset(
    {
        "no_node",
        "node_lost",
        "session_elsewhere",
        "session_moved",
        "shutting_down",
        "store_unavailable",
    }
)


@attrs.define
class Times:
    """Seconds, by what they are of."""

    samples: defaultdict[str, list[float]] = attrs.field(factory=lambda: defaultdict(list))

    def add(self, what: str, seconds: float) -> None:
        """One more of a kind."""
        self.samples[what].append(seconds)

    def lines(self) -> Sequence[str]:
        """Each kind with its median, its 99th percentile and its longest."""
        head = f"{'':<58}{'times':>6}{'p50':>8}{'p99':>8}{'most':>8}"
        return [head, *(self._line(what) for what in sorted(self.samples))]

    def _line(self, what: str) -> str:
        values = sorted(self.samples[what])
        p50, p99 = (values[round((len(values) - 1) * part)] for part in (0.5, 0.99))
        return f"{what:<58}{len(values):6}{p50:8.2f}{p99:8.2f}{values[-1]:8.2f}"


@attrs.frozen
class Placed:
    """Sessions that a node owns before its fault: idle ones, and one in the middle of a run.

    `number` is the node's.
    """

    idle: tuple[str, ...]
    busy: str
    run_id: str
    number: int | None


@attrs.define(eq=False)
class Probes:
    """Asks on behalf of nobody: its sessions are not in the book. `database` is the harness's own
    way there."""

    http: httpx.AsyncClient
    findings: Findings
    times: Times
    agent_id: str
    work_dir: Path
    database: str
    _numbers: Any = attrs.field(factory=count)

    async def place(self, node: Node) -> Placed | None:
        """Sessions of this node, which is well: asked directly, each has just had a message."""
        body = {"agent_id": self.agent_id, "work_dir": str(self.work_dir)}
        idle: list[str] = []

        async def live() -> None:
            idle.append(await self._live(node, body))

        with trio.move_on_after(_PLACE_SECONDS):
            async with trio.open_nursery() as nursery:
                for _ in range(_IDLE):
                    nursery.start_soon(live)
                busy, run_id = await self._busy(node, body)
            number = await self._ask(owner, self.database, busy)
            return Placed(tuple(idle), busy, run_id, number)
        self.findings.check(False, f"{node.name} is ready, and takes no sessions of its own")
        return None

    async def answers(self, name: Callable[[], str], session_id: str, since: float) -> None:
        """Wait until a session answers, and note how long that is `since` then."""
        number = next(self._numbers)
        body = {"message": f"Probe {number}", "request_id": f"probe-{number}"}
        path = f"/sessions/{session_id}/message"
        answered = await until(lambda: self._answered(path, body), _ANSWER_SECONDS)
        said = f"{name()}: session {session_id} has no answer within {_ANSWER_SECONDS:g} s"
        if self.findings.check(answered, said):
            self.times.add(f"{name()}: a session answers", trio.current_time() - since)

    async def is_noticed(self, name: str, placed: Placed, since: float) -> None:
        """Note when another node took the session that was busy, if one did."""
        moved = await self._ask(first_move, self.database, placed.busy, placed.number)
        if moved is not None:
            self.times.add(f"{name}: another node takes a run over", moved - since)

    async def finish(self, placed: Placed) -> None:
        """The run that was under way has been cut off, or can be cancelled."""
        status = None
        with trio.move_on_after(_ANSWER_SECONDS):
            while (status := await self._status(placed.busy, placed.run_id)) in (None, "running"):
                path = f"/sessions/{placed.busy}/runs/{placed.run_id}/cancel"
                await self._post(path, {})
                await trio.sleep(0.05)
        said = f"run {placed.run_id} of a probe is {status}"
        self.findings.check(status in ("cancelled", "interrupted"), said)
        self.findings.done[f"runs under way that were {status}"] += 1

    # --- over HTTP ------------------------------------------------------------------------------

    async def _live(self, node: Node, body: dict[str, str]) -> str:
        while True:
            created = await self._post(f"{node.url}/sessions", body)
            if created is not None and created.status_code == 201:
                session_id = str(created.json()["id"])
                path = f"{node.url}/sessions/{session_id}/message"
                message = {"message": f"Probe {next(self._numbers)} is there"}
                said = await self._post(path, message)
                if said is not None and said.status_code == 200:
                    return session_id
            await trio.sleep(0.1)

    async def _busy(self, node: Node, body: dict[str, str]) -> tuple[str, str]:
        """A session that has a run in flight, and the run."""
        status: str | None = None

        async def is_begun() -> bool:
            nonlocal status
            status = await self._status(session_id, run_id)
            return status not in (None, "queued")

        while status != "running":  # another fault may have cut it off already
            session_id = await self._live(node, body)
            run_id = await self._begin_a_run(node, session_id)
            await until(is_begun, _PLACE_SECONDS)
        return session_id, run_id

    async def _begin_a_run(self, node: Node, session_id: str) -> str:
        """One that does not end by itself."""
        path = f"{node.url}/sessions/{session_id}/message"
        body = {"message": "!bash sleep 300", "request_id": f"busy-{next(self._numbers)}"}
        while True:
            with suppress(httpx.TransportError):
                answer = await self.http.post(path, json=body, headers=_ASYNC)
                if answer.status_code == 202:
                    return str(answer.json()["run_id"])
            await trio.sleep(0.1)

    async def _ask(self, query: Callable[[Unpack[A]], T], *arguments: *A) -> T:
        """What this query of the harness's own gives, as soon as the database is there."""
        while True:
            try:
                return await trio.to_thread.run_sync(query, *arguments)
            except psycopg.OperationalError:
                await trio.sleep(0.05)

    async def _answered(self, path: str, body: dict[str, str]) -> bool:
        answer = await self._post(path, body)
        if answer is None:
            return False
        if answer.status_code != 200:
            again = answer.status_code == 503 and error_code(answer) in _AGAIN
            said = f"a probe got {answer.status_code} {answer.text!r}"
            self.findings.check(again, said)
            return False
        return True

    async def _status(self, session_id: str, run_id: str) -> str | None:
        try:
            answer = await self.http.get(f"/sessions/{session_id}/runs/{run_id}")
        except httpx.TransportError:
            return None
        return answer.json()["status"] if answer.status_code == 200 else None

    async def _post(self, path: str, body: dict[str, str]) -> httpx.Response | None:
        try:
            return await self.http.post(path, json=body)
        except httpx.TransportError:
            return None
