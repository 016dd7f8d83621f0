"""Stores that fail: a write fails, fails although it was written, or does not return for a while.

`Faults` decides, write by write, what becomes of it. `FaultyMemory` obeys it under virtual time and
follows the protocol of chains to the letter; `FaultySQL` is the real store over a real file, and
what fails is its transaction, on its own thread.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, Protocol, Self, TypeAlias

import attrs
import trio

from wingman.errors import StoreError, StoreUnavailable
from wingman.store import Chain, Change, Commit, MemoryStore
from wingman.store.call import Call
from wingman.store.sqlite import SQLStore
from wingman.store.sqlite.database import Database

__all__ = [
    "MODES",
    "Faults",
    "FaultyMemory",
    "FaultySQL",
    "Mode",
    "NoFaults",
    "OneFault",
    "RandomFaults",
    "copy_database",
]

Mode: TypeAlias = Literal["refused", "written", "period", "dark", "slow"]
"""How a write fails: before anything is written; although it was written; like all others for some
seconds; like all others, and all reads; not at all, but it takes some seconds."""

MODES: Final[tuple[Mode, ...]] = ("refused", "written", "period", "dark", "slow")

Verdict: TypeAlias = Literal["well", "refused", "written", "slow"]

PROBE_EVERY: Final = 0.5


class Faults(Protocol):
    """What becomes of the writes. `seconds` is how long a slow one takes."""

    seconds: float

    def verdict(self) -> Verdict:
        """What becomes of the next write. `written`: it is done, and its writer told that not."""

    def failing(self) -> bool:
        """Whether all writes fail just now."""

    def dark(self) -> bool:
        """Whether nothing can be read just now."""


@attrs.define
class NoFaults:
    """All is well."""

    seconds: float = 0.0

    def verdict(self) -> Verdict:
        return "well"

    def failing(self) -> bool:
        return False

    def dark(self) -> bool:
        return False


@attrs.define
class OneFault:
    """The write number `at`, from 1 on, fails in this mode. `clock` is whose seconds are meant."""

    at: int
    mode: Mode
    seconds: float
    clock: Callable[[], float] = trio.current_time
    count: int = 0
    _until: float = -1.0

    @property
    def struck(self) -> bool:
        """Whether that write has come."""
        return self.count >= self.at

    def verdict(self) -> Verdict:
        self.count += 1
        if self.count == self.at:
            if self.mode in ("refused", "written", "slow"):
                return self.mode
            self._until = self.clock() + self.seconds
        return "refused" if self.failing() else "well"

    def failing(self) -> bool:
        return self.clock() < self._until

    def dark(self) -> bool:
        return self.mode == "dark" and self.failing()


@attrs.define
class RandomFaults:
    """Each write fails at random, one in `one_in`, in one of these modes; `on` until it is not."""

    random: Random
    one_in: int
    modes: Sequence[Mode] = MODES
    clock: Callable[[], float] = trio.current_time
    longest: float = 8.0
    on: bool = True
    seconds: float = 0.0
    struck: int = 0
    _until: float = -1.0
    _dark: bool = False

    def verdict(self) -> Verdict:
        if self.failing():
            return "refused"
        if not self.on or self.random.randrange(self.one_in):
            return "well"
        self.struck += 1
        mode = self.random.choice(self.modes)
        self.seconds = self.random.uniform(0.01, self.longest)
        if mode in ("refused", "written", "slow"):
            return mode
        self._dark = mode == "dark"
        self._until = self.clock() + self.seconds
        return "refused"

    def failing(self) -> bool:
        return self.on and self.clock() < self._until

    def dark(self) -> bool:
        return self._dark and self.failing()


def _failure() -> StoreUnavailable:
    return StoreUnavailable("The disk is full.")


class FaultyMemory(MemoryStore):
    """Commits what is queued, batch by batch, `DELAY` seconds after it came, as `faults` say.

    `committed` are the calls that were written, in order: what a process that dies now leaves.
    `refusals` are those that the ledger would not take, and writes that have changed a run after
    its end: neither is the storage's doing.
    """

    DELAY: Final = 0.001

    def __init__(self, faults: Faults, calls: Sequence[tuple[Change, ...]] = ()) -> None:
        super().__init__()
        self.faults = faults
        self.committed: list[tuple[Change, ...]] = []
        self.refusals: list[str] = []
        for changes in calls:
            self._apply(changes)
        self._queue: list[Call] = []
        self._queued = trio.Event()
        self._ill: StoreUnavailable | None = None
        self._well = trio.lowlevel.ParkingLot()
        self._open = False
        self._stopped = trio.Event()

    @property
    def ledger(self) -> Any:
        """What is committed, to be looked at without a checkpoint."""
        return self._ledger

    async def __aenter__(self) -> Self:
        self._open = True
        trio.lowlevel.spawn_system_task(self._commit_all)
        trio.lowlevel.spawn_system_task(self._probe)
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._open = False
        self._queued.set()
        with trio.CancelScope(shield=True):
            await self._stopped.wait()  # noqa: ASYNC102, ASYNC120 a system task sets it

    # --- writing -------------------------------------------------------------------------------

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        if not self._open:
            raise StoreUnavailable("The store is not open.")
        if chain is not None and chain.failure is not None:
            call = Call(changes)
            call.settle(chain.failure)
            return call
        call = Call(changes, chain)
        self._queue.append(call)
        self._queued.set()
        return call

    @property
    def failure(self) -> StoreUnavailable | None:
        return self._ill

    async def wait_until_well(self) -> None:
        await trio.lowlevel.checkpoint()
        while self._ill is not None:
            await self._well.park()

    async def _commit_all(self) -> None:
        while self._open or self._queue:
            await self._queued.wait()
            await trio.sleep(self.DELAY)
            self._queued = trio.Event()
            batch, self._queue = self._queue, []
            for call in batch:
                if call.chain is not None and call.chain.broken is not None:
                    call.fail(call.chain.broken)
                else:
                    await self._commit(call)
            # What is written may be so for a while before anybody knows.
            await trio.sleep(self.DELAY)
            for call in batch:
                call.settle(call.failure)
        self._stopped.set()

    async def _commit(self, call: Call) -> None:
        verdict = self.faults.verdict()
        if verdict == "slow":
            await trio.sleep(self.faults.seconds)
        failure = _failure() if verdict in ("refused", "written") else None
        if verdict != "refused" and (reason := self._apply(call.changes)) is not None:
            self.refusals.append(reason)
            call.fail(StoreError(reason))
        elif failure is not None:
            call.fail(failure)
        self._is_now(failure)

    def _apply(self, changes: tuple[Change, ...]) -> str | None:
        ids = [change.run_id for change in changes if hasattr(change, "run_id")]
        runs = [self._ledger.runs[id] for id in ids if id in self._ledger.runs]
        before = [run.record() for run in runs]
        reason = self._ledger.apply(changes)
        if reason is None:
            self.committed.append(changes)
        for run, record in zip(runs, before, strict=True):
            if record.status not in ("queued", "running") and run.record() != record:
                kind = type(changes[0]).__name__
                self.refusals.append(f"run {record.id} was {record.status}, and then came {kind}")
        return reason

    def _is_now(self, ill: StoreUnavailable | None) -> None:
        self._ill = ill
        if ill is None:
            self._well.unpark_all()

    async def _probe(self) -> None:
        while self._open:
            await trio.sleep(PROBE_EVERY)
            if self._ill is not None and not self.faults.failing():
                self._is_now(None)


def _unless_dark(read: Callable[..., Any]) -> Callable[..., Any]:
    async def guarded(self: FaultyMemory, *args: Any, **kwargs: Any) -> Any:
        if self.faults.dark():
            await trio.lowlevel.checkpoint()
            raise _failure()
        return await read(self, *args, **kwargs)

    return guarded


for _name in (
    "agent",
    "agents",
    "credentials",
    "cut_off",
    "deleting",
    "message_page",
    "pending_step",
    "queues",
    "run",
    "run_by_request",
    "run_messages",
    "runs",
    "session",
    "session_with_history",
    "session_with_queue",
    "sessions",
    "sessions_with_queue",
):
    setattr(FaultyMemory, _name, _unless_dark(getattr(MemoryStore, _name)))


class _FaultyDatabase(Database):
    """A database whose transactions fail, on the writer's thread."""

    def __init__(self, path: Path, busy_timeout: float, faults: Faults) -> None:
        super().__init__(path, "normal", busy_timeout)
        self._faults = faults
        self._just_struck = False

    def commit(self, calls: Sequence[tuple[Change, ...]]) -> None:
        verdict = self._faults.verdict()
        if verdict == "slow":
            time.sleep(self._faults.seconds)
        if verdict != "refused":
            super().commit(calls)
        if verdict in ("refused", "written"):
            # The writer asks at once whether anything can be written: not yet.
            self._just_struck = True
            raise _failure()

    def probe(self) -> None:
        just_struck, self._just_struck = self._just_struck, False
        if just_struck or self._faults.failing():
            raise _failure()
        super().probe()


class FaultySQL(SQLStore):
    """The store in a file, whose transactions fail as `faults` say."""

    def __init__(self, path: Path, faults: Faults) -> None:
        super().__init__(path, synchronous="normal", probe_every=0.05)
        self._database = _FaultyDatabase(path, 1.0, faults)
        self._faults = faults

    async def _read(self, query: Callable[[sqlite3.Connection], Any]) -> Any:
        if self._faults.dark():
            await trio.lowlevel.checkpoint()
            raise _failure()
        return await super()._read(query)


def copy_database(database: Path, copy: Path) -> None:
    """Copy what is committed of a database that a process has open, as of one moment."""
    if not database.exists():
        return
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source:
        if not source.execute("SELECT 1 FROM sqlite_master").fetchone():
            shutil.copyfile(database, copy)
            return
        with closing(sqlite3.connect(copy)) as target:
            source.backup(target)
