"""Apart: a coroutine in the task that awaits it, as if it had a task of its own.

What it sets of context variables is gone with it, and a nursery that it leaves open is closed. A
task costs as much as ten calls of a tool that waits for nothing.
"""

from collections.abc import Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any, TypeVar

from trio.lowlevel import Task, current_task

__all__ = ["apart"]

T = TypeVar("T")


@coroutine
def apart(work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await `work` in a copy of this task's context; return or raise what it does."""
    task = current_task()
    nurseries = len(task.child_nurseries)
    run = copy_context().run
    step: Any = work.send
    given: Any = None
    try:
        while True:
            try:
                trap = run(step, given)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                step, given = work.send, (yield trap)
            except BaseException as error:  # noqa: ASYNC103 it is handed on, whatever it is
                step, given = work.throw, error  # noqa: ASYNC104
    finally:
        given = None  # an error that was handed on has this frame in its traceback
        if len(task.child_nurseries) > nurseries:
            _close(task, nurseries)


def _close(task: Task, kept: int) -> None:
    """Cancel what runs in the task's nurseries but the first ones, and have the task forget them.

    Who opens a nursery and does not close it has broken Trio's rules. Trio has no way to mend that,
    and ends the task with an error when it exits: here, long after, and with its whole nursery.
    """
    for nursery in task.child_nurseries[kept:]:
        nursery.cancel_scope.cancel()
    del task._child_nurseries[kept:]
