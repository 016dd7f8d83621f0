"""Virtual time: tasks of processes, which may be stopped, go on, and be killed at any moment.

It is deterministic, and a thousand times quicker than threads. A task is a coroutine that awaits
nothing but `sleep` and promises. Unlike Trio's, a task here has a process, and a process that is
stopped (SIGSTOP) takes none of its turns until it goes on, while all others do.
"""

from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from itertools import count
from types import coroutine
from typing import Any, Final, Generic, TypeVar

import attrs

__all__ = ["Process", "Promise", "Task", "Time", "TimedOut"]

T = TypeVar("T")
Wait = Callable[["Task"], None]

_ASK_EVERY: Final = 0.05


class TimedOut(Exception):
    """What was waited for did not come in time."""


@attrs.define(eq=False)
class Process:
    """What may be stopped and killed as a whole."""

    name: str
    stopped_until: float = 0
    alive: bool = True
    tasks: set["Task"] = attrs.field(factory=set)

    def kill(self) -> None:
        """End all tasks where they stand: SIGKILL."""
        self.alive = False
        for task in list(self.tasks):
            task.end()


@attrs.define(eq=False)
class Task:
    """A coroutine under way."""

    time: "Time"
    steps: Coroutine[Wait, Any, None]
    process: Process
    turn: int = 0
    """How often it has waited: what wakes it for an earlier wait is too late."""
    at_work: bool = False
    ended: bool = False

    def wake(self, turn: int, value: Any = None, error: BaseException | None = None) -> None:
        """Give it a turn now, if it still waits as it did at `turn`."""
        self.time.call_at(self.time.now, self.go_on, turn, value, error)

    def go_on(self, turn: int, value: Any = None, error: BaseException | None = None) -> None:
        """Run to the next wait; a process that is stopped runs later."""
        if self.ended or turn != self.turn:
            return
        if self.process.stopped_until > self.time.now:
            self.time.call_at(self.process.stopped_until, self.go_on, turn, value, error)
            return
        self.turn += 1
        self.at_work = True
        try:
            wait = self.steps.send(value) if error is None else self.steps.throw(error)
        except StopIteration:
            self._has_ended()
            return
        finally:
            self.at_work = False
        if self.ended:  # by its own doing
            self.steps.close()
        else:
            wait(self)

    def interrupt(self, error: BaseException) -> None:
        """Raise this where it waits."""
        self.wake(self.turn, error=error)

    def end(self) -> None:
        """Never run again."""
        self._has_ended()
        if not self.at_work:
            self.steps.close()

    def _has_ended(self) -> None:
        self.ended = True
        self.process.tasks.discard(self)
        self.time.tasks.discard(self)


@attrs.define(eq=False)
class Promise(Generic[T]):
    """A value that comes later, or an error."""

    time: "Time"
    _kept: list[tuple[Any, BaseException | None]] = attrs.field(factory=list)
    _waiting: list[tuple[Task, int]] = attrs.field(factory=list)

    def keep(self, value: T) -> None:
        """Here it is. Only the first one counts."""
        self._settle(value, None)

    def fail(self, error: BaseException) -> None:
        """It will not come."""
        self._settle(None, error)

    @property
    def is_settled(self) -> bool:
        """Whether it has come, or will not."""
        return bool(self._kept)

    async def wait(self, timeout: float | None = None) -> T:
        """The value. Raises the error, or `TimedOut`."""
        if not self._kept:
            await _suspend(lambda task: self._park(task, timeout))
        value, error = self._kept[0]
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    def _park(self, task: Task, timeout: float | None) -> None:
        self._waiting.append((task, task.turn))
        if timeout is not None:
            self.time.call_at(self.time.now + timeout, task.go_on, task.turn, None, TimedOut())

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if not self._kept:
            self._kept.append((value, error))
            for task, turn in self._waiting:
                task.wake(turn)


@attrs.define(eq=False)
class Time:
    """The clock, and what is to happen at which moment of it."""

    now: float = 0.0
    tasks: set[Task] = attrs.field(factory=set)
    _agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = attrs.field(
        factory=list
    )
    _order: Any = attrs.field(factory=count)

    def call_at(self, moment: float, call: Callable[..., None], *values: Any) -> None:
        """Do this then; what is due at the same moment happens in the order of these calls."""
        heappush(self._agenda, (moment, next(self._order), call, values))

    def start(self, steps: Coroutine[Wait, Any, None], process: Process) -> Task:
        """A new task."""
        task = Task(self, steps, process)
        process.tasks.add(task)
        self.tasks.add(task)
        task.wake(0)
        return task

    def promise(self) -> Promise[Any]:
        """A new one."""
        return Promise(self)

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        moment = self.now + seconds
        await _suspend(lambda task: self.call_at(moment, task.go_on, task.turn))

    def close(self) -> None:
        """End all tasks."""
        for task in list(self.tasks):
            task.end()

    def run_while(self, wanted: Callable[[], bool]) -> None:
        """Let time pass, while it is wanted (which is asked now and then) and anything is due."""
        ask_at = self.now
        while self._agenda:
            if self.now >= ask_at:
                if not wanted():
                    return
                ask_at = self.now + _ASK_EVERY
            self.now, _, call, values = heappop(self._agenda)
            call(*values)


@coroutine
def _suspend(wait: Wait) -> Generator[Wait, Any, Any]:
    return (yield wait)
