"""Readers: a few threads that read, each with a connection of its own for its whole life.

They are started when the store is opened. What waits for a free one waits in the event loop: a
queue that is as long as there are callers who wait, since one who is cancelled leaves it. What a
thread reads for a caller who is cancelled is dropped.

This module knows nothing of SQL: it is given the function that opens a connection.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

import trio

from wingman.errors import StoreUnavailable
from wingman.store.threads import Tell, start_thread
from wingman.store.writer import NOT_OPEN

__all__ = ["Readers"]


class Closable(Protocol):
    """What a reader opens and closes."""

    def close(self) -> None:
        """Let it go."""


C = TypeVar("C", bound=Closable)
T = TypeVar("T")


class _Job(Generic[C]):
    """One reading: for whom, and what came of it."""

    __slots__ = ("error", "result", "task", "work")

    def __init__(self, work: Callable[[C], Any], task: trio.lowlevel.Task) -> None:
        self.work = work
        self.task: trio.lowlevel.Task | None = task
        self.result: Any = None
        self.error: Exception | None = None


class Readers(Generic[C]):
    """`count` threads. `connect` is called in each of them, once."""

    def __init__(self, count: int, connect: Callable[[], C]) -> None:
        self._count = count
        self._connect = connect
        self._open = False
        self._free = 0
        self._waiting: OrderedDict[int, _Job[C]] = OrderedDict()
        self._asked: set[_Job[C]] = set()
        self._inbox: SimpleQueue[_Job[C] | None] = SimpleQueue()
        self._opened = trio.Event()
        self._errors: list[Exception] = []

    async def open(self) -> None:
        """Start the threads, and return when all are connected; raise what one of them raises.

        Call `close` also when this raises.
        """
        for number in range(self._count):
            start_thread(self._work, f"wingman-store-reader-{number}")
        await self._opened.wait()
        if self._errors:
            raise self._errors[0]
        self._open = True

    def close(self) -> None:
        """Take no more, and dismiss the threads."""
        self._open = False
        self.dismiss()
        self._tell(tuple(self._waiting.values()), NOT_OPEN)

    def dismiss(self) -> None:
        """Have each thread close its connection, once it is done with its reading. Thread-safe."""
        for _ in range(self._count):
            self._inbox.put(None)

    async def run(self, work: Callable[[C], T]) -> T:
        """What `work` returns, or raises, when a thread calls it with its connection."""
        if not self._open:
            raise StoreUnavailable(NOT_OPEN)
        job: _Job[C] = _Job(work, trio.lowlevel.current_task())
        if self._free:
            self._free -= 1
            self._inbox.put(job)
        else:
            self._waiting[id(job)] = job
        self._asked.add(job)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._drop(job)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        if job.error is not None:
            try:
                raise job.error
            finally:
                del job  # it and its error would keep each other alive
        result: T = job.result
        return result

    def give_up(self, reason: str) -> None:
        """Have all who wait be told that the store is not available."""
        self._tell(tuple(self._asked), reason)

    def _tell(self, jobs: Iterable[_Job[C]], reason: str) -> None:
        for job in jobs:
            task = job.task
            self._drop(job)
            if task is not None:
                job.error = StoreUnavailable(reason)
                trio.lowlevel.reschedule(task)

    def _drop(self, job: _Job[C]) -> None:
        """Nobody waits for it any more."""
        job.task = None
        self._waiting.pop(id(job), None)
        self._asked.discard(job)

    def _has_opened(self, error: Exception | None) -> None:
        if error is None:
            self._free += 1
        else:
            self._errors.append(error)
        if self._free + len(self._errors) == self._count:
            self._opened.set()

    def _has_read(self, job: _Job[C]) -> None:
        self._asked.discard(job)
        if job.task is not None:
            trio.lowlevel.reschedule(job.task)
        if self._waiting:
            self._inbox.put(self._waiting.popitem(last=False)[1])
        else:
            self._free += 1

    # --- in the threads ---------------------------------------------------------------------------

    def _work(self, tell: Tell) -> None:
        try:
            connection = self._connect()
        except Exception as error:
            tell(self._has_opened, error)
            return
        tell(self._has_opened, None)
        try:
            while (job := self._inbox.get()) is not None:
                try:
                    job.result = job.work(connection)
                except Exception as error:
                    job.error = error
                tell(self._has_read, job)
                del job  # with what it has read
        finally:
            connection.close()
