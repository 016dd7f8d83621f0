"""The harness: one life of the server after the other, each ended at a random moment.

Between two lives it looks at what is left: processes, the log of what ran, the database.
"""

import contextlib
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import attrs
import httpx
import trio

from crash.book import Book, Findings, Known
from crash.clients import Agents, Client, make_agents
from crash.disk import hold_up_commits
from crash.endings import Ending, choose_ending, end
from crash.follower import Follower
from crash.laws import check_book, check_database, check_executions, check_passage
from crash.look import look
from crash.marks_laws import check_marks
from crash.meddler import Meddler
from crash.plans import generic
from crash.snapshot import Snapshot
from crash.storage import Disk, Fault, Storage
from crash.victim import Victim, orphans

__all__ = ["Harness"]

# A mailbox of few messages, so that some are refused; a grace that some runs do not get by with.
_OPTIONS: Final = ("--log-level", "warning", "--grace", "0.2", "--max-queued", "8")
_CLIENTS: Final = 8
_START_SECONDS: Final = 20.0
_ORPHAN_SECONDS: Final = 5.0
_EMPTY: Final = Snapshot({}, (), "ok")


@attrs.define(eq=False)
class Harness:
    """Kill a server `kills` times, in a directory of one's own; `findings` says what was wrong.

    `longest` is the longest time, in seconds, between a server's first word and its death, beside
    that of a fault of its storage. `served` is in how many of all lives the MCP server is there
    from the start; in the others it may come. `faults` are those that happen; `often` is in how
    many of all lives.
    """

    directory: Path
    seed: int = 0
    longest: float = 1.5
    faults: tuple[Fault, ...] = ()
    often: float = 0.5
    served: float = 0.5
    findings: Findings = attrs.field(factory=Findings)
    book: Book = attrs.field(init=False)
    random: Random = attrs.field(init=False)
    storage: Storage = attrs.field(init=False)
    meddler: Meddler = attrs.field(init=False)
    before: Snapshot = _EMPTY
    _agents: Agents | None = None
    _recovered: bool = False
    _orderly: bool = False
    _followers: dict[str, Follower] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.book = Book(self.directory / "logs", self.findings)
        self.random = Random(self.seed)
        self.book.logs.mkdir(parents=True, exist_ok=True)
        self.meddler = Meddler(self.book, Random(self.seed))
        for work_dir in self.work_dirs:
            work_dir.mkdir(parents=True, exist_ok=True)
        disk = self.directory / "disk"
        self.storage = Storage(disk / "wingman.db", None, self.findings, self.faults, self.often)

    @property
    def mark(self) -> str:
        """What all processes of this harness bear in their environment."""
        return str(self.directory)

    @property
    def work_dirs(self) -> Sequence[Path]:
        """Where sessions are: each directory has an MCP server of its own."""
        return [self.directory / "work" / name for name in ("one", "two")]

    @property
    def database(self) -> Path:
        """What the servers own, one after the other."""
        return self.storage.database

    @property
    def log(self) -> Path:
        """What the servers have said."""
        return self.directory / "server.log"

    async def run(self, kills: int) -> None:
        """Kill so many times; then let all runs end, stop the server, and look once more."""
        with Disk.mounted(self.storage.database.parent) as self.storage.disk:
            if self.storage.disk is None and "a full disk" in self.faults:
                print("no disk can be mounted here: none will be full", flush=True)
            await self._live_and_die(kills)

    async def _live_and_die(self, kills: int) -> None:
        for number in range(1, kills + 1):
            if self.storage.full and (self._agents is None or self.random.random() < 0.5):
                await self._start_on_a_full_disk()
            self.storage.free()
            await self._life()
            await self._inspect()
            if number % 10 == 0 or number == kills:
                done = self.findings.done
                print(
                    f"{number} lives, {done['messages sent']} messages, "
                    f"{done['acknowledgements']} acknowledged, {done['events']} events, "
                    f"{len(self.findings.wrong)} findings",
                    flush=True,
                )
        self.storage.free()
        await self._last_life()
        await self._inspect()
        self._check_the_end()

    # --- one life ------------------------------------------------------------------------------

    async def _life(self) -> None:
        random = self.random
        # One in eight dies before it listens, while it recovers what the last one left.
        early = random.random() < 0.125
        ending = choose_ending(random)
        async with trio.open_nursery() as nursery:
            victim = await self._start(nursery)
            try:
                patience = random.uniform(0.1, 1.2) if early else _START_SECONDS
                with trio.move_on_after(patience):
                    await victim.listens.wait()
                self._recovered = victim.listens.is_set()
                self.findings.check(early or self._recovered, "a server did not start: see its log")
                if self._recovered:
                    await self._act(victim, random.uniform(0.02, self.longest), ending)
            finally:
                victim.kill()
            self._orderly = await victim.process.wait() in (0, 143)
            nursery.cancel_scope.cancel()
        how = f"ends by {ending}" if self._recovered else "kills before it listened"
        self.findings.done[how] += 1

    async def _start_on_a_full_disk(self) -> None:
        """It comes up all the same, or says why not; and what it finds is as it was."""
        async with trio.open_nursery() as nursery:
            victim = await self._start(nursery)
            try:
                with trio.move_on_after(3.0):
                    await victim.process.wait()
                code = victim.process.returncode
                how = "came up" if code is None else f"exited with {code}"
                self.findings.done[f"starts on a full disk: {how}"] += 1
                self.findings.check(code in (None, 1), f"on a full disk it exited with {code}")
            finally:
                victim.kill()
            await victim.process.wait()
            nursery.cancel_scope.cancel()

    async def _start(self, nursery: trio.Nursery) -> Victim:
        return await Victim.start(nursery, self.database, self.log, self.mark, _OPTIONS)

    async def _act(self, victim: Victim, seconds: float, ending: Ending) -> None:
        """Let clients and followers work for so long; then the server dies under them."""
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=victim.url, timeout=60, limits=limits) as http,
            trio.open_nursery() as nursery,
        ):
            agents = await self._prepare(nursery, http)
            follow = partial(self._follow, nursery, http)
            nursery.start_soon(look, http, self.before, self.book)
            for known in self.book.usable():
                follow(known)
            for _ in range(_CLIENTS):
                random = Random(self.random.random())
                client = Client(http, self.book, random, agents, self.work_dirs, follow)
                nursery.start_soon(client.run)
            fault = self.storage.choose(self.random)
            self.book.store_fails = fault is not None
            if fault is not None:
                random = Random(self.random.random())
                pid = victim.process.pid
                strike = self.storage.strike
                nursery.start_soon(strike, fault, http, pid, random, self.book, agents.plain)
                seconds += random.uniform(0, 11.0 if fault == "a locked database" else 4.0)
            with trio.move_on_after(seconds):
                if fault is None and self.random.random() < 0.4:
                    self.findings.done["lives with a slow disk"] += 1
                    await hold_up_commits(self.database, Random(self.random.random()))
                await trio.sleep_forever()
            await end(victim, ending, self.random, self.findings, self.book.store_fails)
            # They read what had been sent to them, and then find that nobody is there.
            nursery.cancel_scope.deadline = trio.current_time() + 5

    async def _prepare(self, nursery: trio.Nursery, http: httpx.AsyncClient) -> Agents:
        """The agents, and their MCP server: in many lives it is there before the clients."""
        await self.meddler.begin(http)
        self._agents = agents = self._agents or await make_agents(http)
        if self.random.random() < self.served:
            await self.meddler.until_connected(http, str(self.work_dirs[0]))
            self.findings.done["lives with an MCP server from the start"] += 1
        if self.random.random() < 0.5:
            nursery.start_soon(self.meddler.meddle, http)
        return agents

    def _follow(self, nursery: trio.Nursery, http: httpx.AsyncClient, known: Known) -> None:
        if known.followed:
            if known.id not in self._followers:
                random = Random(self.random.random())
                self._followers[known.id] = Follower(known, self.book, random)
            nursery.start_soon(self._followers[known.id].follow, http)

    async def _last_life(self) -> None:
        """Queued runs go on by themselves; what hangs is cancelled; then it is stopped."""
        async with trio.open_nursery() as nursery:
            victim = await self._start(nursery)
            try:
                with trio.fail_after(_START_SECONDS):
                    await victim.listens.wait()
                self._recovered = True
                async with (
                    httpx.AsyncClient(base_url=victim.url, timeout=60) as http,
                    trio.open_nursery() as readers,
                ):
                    for known in self.book.usable():
                        self._follow(readers, http, known)
                    await look(http, self.before, self.book)
                    with trio.move_on_after(60):
                        await self._finish(http)
                    await self.meddler.begin(http)
                    agents = self._agents or await make_agents(http)
                    await self.meddler.check_that_calls_work(http, agents.served, self.work_dirs[0])
                    await trio.sleep(0.2)
                    await end(victim, "SIGTERM", self.random, self.findings)
                    readers.cancel_scope.deadline = trio.current_time() + 5
            finally:
                victim.kill()
            self._orderly = await victim.process.wait() in (0, 143)
            nursery.cancel_scope.cancel()

    async def _finish(self, http: httpx.AsyncClient) -> None:
        params = {"status": "queued,running,cancelling"}
        while left := (await http.get("/runs", params=params)).json():
            await trio.sleep(0.3)
            for run in left:
                if run["status"] == "running":
                    await http.post(f"/sessions/{run['session_id']}/runs/{run['id']}/cancel")

    # --- between two lives ---------------------------------------------------------------------

    async def _inspect(self) -> None:
        await self._check_orphans()
        if not self.database.exists():
            return
        copy = self.directory / "copy.db"
        snapshot = await trio.to_thread.run_sync(Snapshot.take, self.database, copy)
        check_database(snapshot, self.findings)
        check_executions(snapshot, self.book)
        check_marks(snapshot, self.book)
        check_book(snapshot, self.book)
        check_passage(self.before, snapshot, self.findings, self._recovered)
        if self._orderly:
            rows = snapshot.sessions.values()
            running = [run.id for each in rows for run in each.runs if run.status == "running"]
            self.findings.check(not running, f"{running} run, and the server had stopped in order")
        self.before = snapshot
        self._count(snapshot)

    def _count(self, snapshot: Snapshot) -> None:
        done = self.findings.done
        done["snapshots"] += 1
        done["sessions cut off in the middle of a delete"] += sum(
            rows.deleting for rows in snapshot.sessions.values()
        )
        for run in [run for rows in snapshot.sessions.values() for run in rows.runs]:
            if not run.over:
                done[f"runs cut off while {run.status}"] += 1
                done["steps cut off between their calls"] += len(run.pending) > 1

    async def _check_orphans(self) -> None:
        start = trio.current_time()
        left = await trio.to_thread.run_sync(orphans, self.mark)
        while left and trio.current_time() < start + _ORPHAN_SECONDS:
            await trio.sleep(0.02)
            left = await trio.to_thread.run_sync(orphans, self.mark)
        took = round((trio.current_time() - start) * 1000)
        slowest = "milliseconds that processes outlived a server, at most"
        self.findings.done[slowest] = max(took, self.findings.done[slowest])
        for pid, command in left.items():
            self.findings.check(False, f"outlived the server: {generic(command)}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _check_the_end(self) -> None:
        """All has ended; the followers have seen all of it; no server has had an error."""
        for rows in self.before.sessions.values():
            for run in rows.runs:
                self.findings.check(run.over, f"run {run.id} is {run.status} at the end")
                self.findings.done[f"runs {run.status}"] += 1
            if rows.id in self._followers and not self.book.sessions[rows.id].deleting:
                self._followers[rows.id].check_complete(rows)
                self.findings.done["followers that saw all"] += 1
        self.findings.done["runs acknowledged"] = len(self.book.by_run)
        said = self.log.read_text()
        self.findings.done.update(f"MCP calls: {kind}" for kind in self.book.told_of_marks.values())
        at = said.find("Traceback")
        self.findings.check(at < 0, f"a server had an error: {said[at : at + 3000]}")
