"""Blocking code in a thread, which is waited for, but not for ever, when the call is cancelled.

A thread cannot be stopped from outside. One that is cancelled is told so (it finds out when it
calls `trio.from_thread.check_cancelled()`) and given a few seconds to return; after that it is
abandoned, its result is dropped, and the caller is told that it still runs. Where the machine has
no thread left, the call fails, and says so.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

import trio

from wingman.errors import ToolError
from wingman.foreign import failure_of, reason
from wingman.tools.base import ToolContext

__all__ = ["no_thread", "run_in_thread", "stop_if_cancelled"]

T = TypeVar("T")

_THREADS = 40
_PATIENCE = 4.0  # seconds; less than the 5 in which a cancel answers

_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("wingman_tool_threads")


def _tool_threads() -> trio.CapacityLimiter:
    """The tools' own share of threads, so that slow tools never starve the rest of the house."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(_THREADS)
        _limiter.set(limiter)
        return limiter


async def run_in_thread(function: Callable[[], T], context: ToolContext, what: str) -> T:
    """Run `function` in a thread, and return or raise what it does, as an `Exception` in any case.

    Raises `ToolError` if there is no thread to be had: then nothing has begun.
    When cancelled: one that has not begun never will; one that has is waited for, 4 s at most, and
    then abandoned and reported by `context.report_still_running`, with `what` it is.
    """
    first_come = threading.Lock()  # taken once: by the thread that begins, or by who calls it off
    ended = trio.Event()
    trio_token = trio.lowlevel.current_trio_token()

    def body() -> T:
        if not first_come.acquire(blocking=False):
            raise RuntimeError("called off before it began")  # nobody is there to hear it
        try:
            return function()
        except trio.Cancelled:
            raise  # of `check_cancelled`: whether it is real is known in the task alone
        except BaseException as error:  # noqa: ASYNC103 - a thread's interrupts are its function's
            raise failure_of(error)  # noqa: B904, ASYNC104 - it has its cause
        finally:
            with contextlib.suppress(trio.RunFinishedError):
                trio_token.run_sync_soon(ended.set)

    try:
        return await trio.to_thread.run_sync(body, abandon_on_cancel=True, limiter=_tool_threads())
    except trio.Cancelled:
        begun = not first_come.acquire(blocking=False)
        if begun:
            with trio.move_on_after(_PATIENCE, shield=True):
                await ended.wait()
            if not ended.is_set():
                context.report_still_running(what)
        raise
    except (RuntimeError, MemoryError) as error:
        if first_come.acquire(blocking=False):  # it has not begun, and never will
            raise no_thread(error) from error
        raise


def stop_if_cancelled() -> None:
    """In a thread of `run_in_thread`: raise `Cancelled` if the call was cancelled; else nothing."""
    with contextlib.suppress(RuntimeError):  # the function was called as the plain one it is
        trio.from_thread.check_cancelled()


def no_thread(error: BaseException) -> ToolError:
    """What the model is told when a thread was needed and could not be had."""
    return ToolError(
        f"This machine has no thread left ({reason(error)}): "
        "wait until other tools and commands have ended, then try again."
    )
