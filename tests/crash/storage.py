"""Faults of the storage under a server that runs: a disk that is full, a file that may not grow, a
database that another process holds longer than anybody waits.

While one lasts the server says so in `/ready`; when it is over, the server goes on by itself.
"""

import ctypes
import os
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final, Literal, TypeAlias, get_args

import attrs
import httpx
import trio

from crash.book import Book, Findings

__all__ = ["FAULTS", "Disk", "Fault", "Storage"]

Fault: TypeAlias = Literal["a full disk", "a file that may not grow", "a locked database"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)

# SQLite waits so long for another's lock; only then does the server know.
_BUSY_SECONDS: Final = 5.0
_WELL_SECONDS: Final = 6.0
_DISK_BYTES: Final = 64 * 1024 * 1024
_FILE_BYTES: Final = 64 * 1024


@attrs.define(eq=False)
class Disk:
    """A small file system in memory, which can be filled. `None` of it where it cannot be mounted:
    that takes root, and a system that lets root."""

    path: Path

    @classmethod
    @contextmanager
    def mounted(cls, path: Path) -> "Iterator[Disk | None]":
        """Mount it at this directory, which is made; at the end it is gone, with all it holds."""
        path.mkdir(exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"size={_DISK_BYTES}".encode()
        if libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, options):
            yield None
            return
        try:
            yield cls(path)
        finally:
            detach = 2
            libc.umount2(bytes(path), detach)

    @property
    def full(self) -> bool:
        """Whether it is filled."""
        return self._filler.exists()

    @property
    def _filler(self) -> Path:
        return self.path / "filler"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("wb") as file, suppress(OSError):
            size = _DISK_BYTES // 2
            while size >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        """Take away what it was filled with."""
        self._filler.unlink(missing_ok=True)


@attrs.define(eq=False)
class Storage:
    """What a database stands on, and what can go wrong with that. `disk` is its own, if it has one.

    `faults` are those that may be chosen from; `often` is in how many lives of a server, of all,
    there is one.
    """

    database: Path
    disk: Disk | None
    findings: Findings
    faults: tuple[Fault, ...]
    often: float = 0.5

    @property
    def full(self) -> bool:
        """Whether the disk is full."""
        return self.disk is not None and self.disk.full

    def free(self) -> None:
        """Make room on the disk."""
        if self.disk is not None:
            self.disk.free()

    def choose(self, random: Random) -> Fault | None:
        """A fault for a server's life, if there is one."""
        possible = [each for each in self.faults if each != "a full disk" or self.disk]
        return random.choice(possible) if possible and random.random() < self.often else None

    async def strike(
        self,
        fault: Fault,
        http: httpx.AsyncClient,
        pid: int,
        random: Random,
        book: Book,
        agent: str,
    ) -> None:
        """Let it happen after a moment, and pass; and look how the server takes it, and goes on.

        A server that is told to stop meanwhile says that instead.
        """
        await trio.sleep(random.uniform(0.0, 0.5))
        self.findings.done[f"lives with {fault}"] += 1
        seconds = random.uniform(0.3, 2.0)
        with suppress(httpx.TransportError):
            async with self._during(fault, pid):
                known = _BUSY_SECONDS + 1.0 if fault == "a locked database" else 0.0
                await self._fails(http, fault, known + 2.0)
                await trio.sleep(seconds)
            await self._is_well(http, fault)
            await self._goes_on(http, fault, book, agent)

    @asynccontextmanager
    async def _during(self, fault: Fault, pid: int) -> AsyncIterator[None]:
        if fault == "a full disk":
            assert self.disk is not None
            self.disk.fill()
            try:
                yield
            except trio.Cancelled:
                raise  # the server is killed on a full disk, and finds it full when it comes again
            else:
                self.disk.free()
        elif fault == "a file that may not grow":
            before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FILE_BYTES, before[1]))
            try:
                yield
            finally:
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        else:
            with closing(
                sqlite3.connect(self.database, isolation_level=None, check_same_thread=False)
            ) as connection:
                await trio.to_thread.run_sync(connection.execute, "BEGIN IMMEDIATE")
                yield  # closing it lets the lock go

    async def _poll(self, http: httpx.AsyncClient, status: int, seconds: float) -> httpx.Response:
        """Ask for `/ready` until it has this status, or for so long."""
        until = trio.current_time() + seconds
        while True:
            answer = await http.get("/ready")
            if answer.status_code == status or trio.current_time() > until:
                return answer
            await trio.sleep(0.05)

    async def _fails(self, http: httpx.AsyncClient, fault: Fault, seconds: float) -> None:
        """The server finds out, as its clients write, and says why it is not ready."""
        answer = await self._poll(http, 503, seconds)
        if fault == "a full disk" and answer.status_code == 200:
            # The log's file is as big as it once was, and may still take a lot.
            self.findings.done[f"{fault} was not noticed"] += 1
            return
        said = f"{fault}: /ready is {answer.status_code} {answer.text} after {seconds:g} s"
        if self.findings.check(answer.status_code == 503, said):
            code = answer.json()["error"]["code"]
            if code == "shutting_down":
                return
            self.findings.check(code == "store_unavailable", said)
            self.findings.check("Retry-After" in answer.headers, f"{said}: no Retry-After")
            self.findings.done[f"/ready was 503 during {fault}"] += 1

    async def _is_well(self, http: httpx.AsyncClient, fault: Fault) -> None:
        answer = await self._poll(http, 200, _WELL_SECONDS)
        said = f"{fault} is over, and /ready is {answer.status_code} {answer.text}"
        if "shutting_down" in answer.text:
            return
        if self.findings.check(answer.status_code == 200, said):
            self.findings.done[f"/ready was 200 again after {fault}"] += 1

    async def _goes_on(self, http: httpx.AsyncClient, fault: Fault, book: Book, agent: str) -> None:
        """A new message is taken and run."""
        created = await http.post("/sessions", json={})
        if "shutting_down" in created.text:
            return
        if not self.findings.check(created.status_code == 201, f"after {fault}: {created.text}"):
            return
        known = book.created(created.json()["id"], followed=False)
        known.deleting = True  # nobody else writes to it
        body = {"message": f"After the fault {book.number()}", "agent_id": agent}
        answer = await http.post(f"/sessions/{known.id}/message", json=body)
        said = f"after {fault}: {answer.status_code} {answer.text}"
        if "shutting_down" in answer.text:
            return
        if self.findings.check(answer.status_code == 200, said):
            self.findings.done[f"runs after {fault} was over"] += 1
