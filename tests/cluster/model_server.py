"""A model of PostgreSQL, as far as ownership rests on it.

What it takes for granted of the real one (`test_assumptions.py` asks the real one):

- A statement sees what was committed when it began (READ COMMITTED). One that changes a row waits
  for the transaction that has it locked, and then looks at the row again.
- A commit that is under way is not interrupted. When a backend ends, its transaction is over first:
  it is there for all to see, or it never will be. After that its advisory locks are free, and after
  that the backend is no longer in the list of them.
- A backend does what had been sent to it before it learns that its client has gone.
- A server that crashes ends all backends at once, and keeps what it had flushed.

Columns that play no part are left out. A session's rows are a record that nothing is ever taken
from; each has the owner of its session at the moment of its commit.
"""

import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final, TypeAlias

import attrs

from cluster.virtual_time import Process, Promise, Task, Time, TimedOut

__all__ = [
    "ERASED",
    "Backend",
    "Ended",
    "Gone",
    "NodeRow",
    "Reach",
    "Record",
    "Refused",
    "Server",
    "Statement",
    "Written",
]

Key: TypeAlias = tuple[str, Any]
Statement: TypeAlias = Callable[["Backend"], Awaitable[Any]]
Reach: TypeAlias = Callable[[str], Awaitable[None]]

LOCK_TIMEOUT: Final = 5.0

ERASED: Final = -1
"""Stands where a session had its owner: there is no such row any more."""


class Refused(Exception):
    """The server's answer to a statement that failed."""


class Ended(Exception):
    """A backend is told to end."""


class Gone(Exception):
    """The connection is lost, or none can be made."""


@attrs.frozen
class NodeRow:
    """A row of `nodes`."""

    batch: int
    pid: int


@attrs.frozen
class Written:
    """A row of a session that a node wants to write.

    `call` is written at most once. `knows` is how many rows of the session the writer knew of.
    """

    session: str
    what: str
    message: str
    call: int
    knows: int


@attrs.frozen
class Record:
    """A row as it stands: what was written, by whom, when, and whose the session was then."""

    written: Written
    by: int
    owner: int | None
    at: float
    before: int


@attrs.define(eq=False)
class Server:
    """The database."""

    time: Time
    chance: random.Random
    committed: dict[Key, Any] = attrs.field(factory=dict)
    rows: dict[str, list[Record]] = attrs.field(factory=lambda: defaultdict(list))
    work: dict[str, set[str]] = attrs.field(factory=lambda: defaultdict(set))
    """The messages of each session that are queued, and have not ended."""
    owners: dict[str, list[tuple[float, int | None]]] = attrs.field(
        factory=lambda: defaultdict(list)
    )
    """Each change of a session's owner, and when it was committed."""
    advisory: dict[int, "Backend"] = attrs.field(factory=dict)
    backends: dict[int, "Backend"] = attrs.field(factory=dict)
    locked: dict[Key, "Backend"] = attrs.field(factory=dict)
    number: Any = attrs.field(factory=lambda: count(1))
    """The sequence that numbers nodes."""
    ended_as_stale: list[tuple[float, float]] = attrs.field(factory=list)
    """When a node was seen not to go on, for which it was ended, and when it had committed last."""
    down_until: float = 0
    stalled_until: float = 0
    _pids: Any = attrs.field(factory=lambda: count(100))
    _waiting: list[Promise[None]] = attrs.field(factory=list)

    @property
    def is_up(self) -> bool:
        """Whether it takes connections."""
        return self.time.now >= self.down_until

    def backend(self, reach: Reach) -> "Backend":
        """A new one."""
        backend = Backend(self, next(self._pids), reach)
        self.backends[backend.pid] = backend
        backend.start()
        return backend

    def crash(self, seconds: float) -> None:
        """End all backends at once. What is being flushed is on the disk, or is not."""
        self.down_until = max(self.down_until, self.time.now + seconds)
        for backend in list(self.backends.values()):
            if backend.is_flushing and self.chance.random() < 0.5:
                backend.apply()
            backend.vanish()
        self.free()

    def terminate(self, pid: int) -> None:
        """`pg_terminate_backend`: it ends as soon as it may."""
        if pid in self.backends:
            self.backends[pid].terminate()

    def end_stale(self, pid: int, seen_at: float) -> None:
        """End a backend that was found not to go on, as seen then."""
        if pid in self.backends:
            before = [moment for moment in self.backends[pid].marks if moment <= seen_at]
            self.ended_as_stale.append((seen_at, before[-1]))
            self.terminate(pid)

    def free(self) -> None:
        """Wake who waits for a row's lock."""
        waiting, self._waiting = self._waiting, []
        for promise in waiting:
            promise.keep(None)

    def next_free(self) -> Promise[None]:
        """Kept when some row's lock is free again."""
        self._waiting.append(promise := self.time.promise())
        return promise

    def pause(self, longest: float) -> float:
        """Some seconds, fewer than that."""
        return self.chance.random() * longest


@attrs.define(eq=False)
class Request:
    """Statements that were sent together, and where their answer goes."""

    statements: Sequence[Statement]
    answer: Callable[[Any, Exception | None], None]


@attrs.define(eq=False)
class Backend:
    """The server's side of a connection: takes requests one after the other, until it ends.

    A transaction is open from `begin` to `commit`; a statement outside of one is its own.
    """

    server: Server
    pid: int
    reach: Reach
    process: Process = attrs.field(init=False)
    is_flushing: bool = False
    number: int | None = None
    """Of the node that is this connection; for the record."""
    marks: list[float] = attrs.field(factory=list)
    """When it made commits that others see in its node's row."""
    hangs_up: Callable[[], None] = lambda: None
    """Tells the client that this backend ends."""
    _inbox: deque[Request | None] = attrs.field(factory=deque)
    _news: Promise[None] = attrs.field(init=False)
    _task: Task = attrs.field(init=False)
    _told_to_end: bool = False
    _is_ending: bool = False
    _changes: dict[Key, Any] = attrs.field(factory=dict)
    _appended: list[Written] = attrs.field(factory=list)

    def start(self) -> None:
        """Begin to serve."""
        self.process = Process(f"backend {self.pid}")
        self._news = self.server.time.promise()
        self._task = self.server.time.start(self._serve(), self.process)

    def take(self, request: Request | None) -> None:
        """Something has come over the connection; None: its end."""
        self._inbox.append(request)
        self._news.keep(None)

    def terminate(self) -> None:
        """End as soon as it is safe."""
        self._told_to_end = True
        if not (self.is_flushing or self._is_ending):
            self._is_ending = True
            self._task.interrupt(Ended())

    def vanish(self) -> None:
        """End with the whole server."""
        self.process.kill()
        self.hangs_up()
        self._is_over()
        self._is_unlocked()

    async def _serve(self) -> None:
        try:
            while (request := await self._next()) is not None:
                await self._perform(request)
        except Ended:
            pass
        self._is_ending = True
        self.hangs_up()  # the client may know before its locks are free
        self._is_over()
        await self.server.time.sleep(self.server.pause(0.002))
        self._is_unlocked()
        await self.server.time.sleep(self.server.pause(0.002))
        self.server.backends.pop(self.pid, None)

    async def _next(self) -> Request | None:
        while not self._inbox:
            self._news = self.server.time.promise()
            self._ends_if_told()
            await self._news.wait()
        self._ends_if_told()
        return self._inbox.popleft()

    async def _perform(self, request: Request) -> None:
        results = []
        try:
            for statement in request.statements:
                self._ends_if_told()
                results.append(await statement(self))
        except Refused as refusal:
            self._is_over()
            request.answer(None, refusal)
        else:
            request.answer(results, None)

    def _ends_if_told(self) -> None:
        if self._told_to_end:
            raise Ended

    def _is_over(self) -> None:
        self._changes, self._appended = {}, []
        for key in [key for key, backend in self.server.locked.items() if backend is self]:
            del self.server.locked[key]
        self.server.free()

    def _is_unlocked(self) -> None:
        advisory = self.server.advisory
        for number in [number for number, backend in advisory.items() if backend is self]:
            del advisory[number]
        if not self.process.alive:
            self.server.backends.pop(self.pid, None)

    # --- what statements do -----------------------------------------------------------------------

    def snapshot(self) -> Mapping[Key, Any]:
        """All rows as a statement that begins now sees them."""
        return {**self.server.committed, **self._changes}

    async def update(
        self, key: Key, condition: Callable[[Any], bool], change: Callable[[Any], Any]
    ) -> bool:
        """UPDATE one row WHERE: it is looked at before its lock is had, and again after that."""
        if not condition(self.snapshot().get(key)):
            return False
        await self._lock(key)
        value = self.snapshot().get(key)
        if not condition(value):
            return False
        self._changes[key] = change(value)
        return True

    async def insert(self, key: Key, value: Any) -> None:
        """INSERT a row that nobody else inserts."""
        await self._lock(key)
        self._changes[key] = value

    def append(self, written: Written) -> None:
        """INSERT a row of a session."""
        self._appended.append(written)

    async def commit(self) -> None:
        """COMMIT: not interrupted once it has begun."""
        server = self.server
        self._ends_if_told()
        self.is_flushing = True
        writes = bool(self._appended)
        await self.reach("flushing" if writes else "beating")
        stalled = max(server.stalled_until - server.time.now, 0)
        await server.time.sleep(stalled + 0.003 + server.pause(0.005))
        self.apply()
        self.is_flushing = False
        await self.reach("committed" if writes else "beaten")

    def apply(self) -> None:
        """What this transaction has done is there for all to see."""
        server = self.server
        for written in self._appended:
            key = ("session", written.session)
            owner = server.committed.get(key, self._changes.get(key))
            rows = server.rows[written.session]
            rows.append(Record(written, self.number or 0, owner, server.time.now, len(rows)))
            work = server.work[written.session]
            (work.add if written.what == "queued" else work.discard)(written.message)
        for (kind, name), value in self._changes.items():
            if kind == "session":
                server.owners[name].append((server.time.now, value))
                if value == ERASED:
                    server.work[name].clear()
            else:
                self.marks.append(server.time.now)
        server.committed.update(self._changes)
        self._is_over()

    async def _lock(self, key: Key) -> None:
        server = self.server
        deadline = server.time.now + LOCK_TIMEOUT
        while server.locked.get(key, self) is not self:
            try:
                await server.next_free().wait(deadline - server.time.now)
            except TimedOut:
                raise Refused("busy") from None
        server.locked[key] = self
