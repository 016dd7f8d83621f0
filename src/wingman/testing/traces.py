"""What code leaves behind, and how to strike at each of its awaits."""

import gc
import warnings
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress

import attrs
import trio

__all__ = ["at_step", "nothing_unclosed", "tasks_begun"]


@contextmanager
def nothing_unclosed(when: str) -> Iterator[None]:
    """Nothing is left to the garbage collector that must be closed: generators, sockets, files."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    for warning in caught:
        if issubclass(warning.category, ResourceWarning):
            raise AssertionError(f"{when}, it left something unclosed: {warning.message}")


@contextmanager
def tasks_begun() -> Iterator[AbstractSet[trio.lowlevel.Task]]:
    """The tasks alive that the current one has begun from now on, or that those have.

    Others' are none of its own: those of a server that it asks may be in the same run.
    """
    instrument = _Begun(trio.lowlevel.current_task())
    trio.lowlevel.add_instrument(instrument)
    try:
        yield instrument.alive
    finally:
        trio.lowlevel.remove_instrument(instrument)


@contextmanager
def at_step(step: int, then: Callable[[], None]) -> Iterator[None]:
    """Call back when the current task is about to go on for the `step`-th time from now."""
    instrument = _AtStep(trio.lowlevel.current_task(), step, then)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(instrument)


@attrs.define(eq=False)
class _Begun(trio.abc.Instrument):
    """Knows which tasks a task has begun, itself or through others."""

    task: trio.lowlevel.Task
    alive: set[trio.lowlevel.Task] = attrs.field(factory=set)

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        with suppress(RuntimeError):  # no task has begun it: a thread or a signal has
            beginner = trio.lowlevel.current_task()
            if beginner is self.task or beginner in self.alive:
                self.alive.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.alive.discard(task)


@attrs.define(eq=False)
class _AtStep(trio.abc.Instrument):
    """Calls back when a task is about to go on for the so-manyth time."""

    task: trio.lowlevel.Task
    left: int
    then: Callable[[], None]

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.then()
