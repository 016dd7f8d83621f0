"""What code leaves behind, and how to strike at each of its awaits."""

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import trio

__all__ = ["at_step", "nothing_unclosed"]


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
def at_step(step: int, then: Callable[[], None]) -> Iterator[None]:
    """Call back when the current task is about to go on for the `step`-th time from now."""
    instrument = _AtStep(trio.lowlevel.current_task(), step, then)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(instrument)


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
