"""Loop: a thread with an event loop, for callers that have none."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Final, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

__all__ = ["Loop"]

T = TypeVar("T")

# How long an interrupted call may take to put things in order: longer than the client needs to
# cancel a run, and not for ever.
_ORDER_SECONDS: Final = 15.0


class Loop:
    """A thread that runs an event loop. It is a daemon: a program may end without closing it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def open(self) -> None:
        """Start the thread."""
        if self._portal is None:
            self._portal = self._stack.enter_context(start_blocking_portal("asyncio"))

    def close(self) -> None:
        """End the loop and its thread."""
        self._portal = None
        self._stack.close()

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await a function's result in the loop, and wait for it here.

        What interrupts the waiting, such as Ctrl-C, cancels the function, and is raised when that
        has put its things in order: a run that it waited for is cancelled by then.
        """
        if self._portal is None:
            raise RuntimeError("the client is closed: use it with `with`")
        over = threading.Event()

        async def work() -> T:
            try:
                return await function()
            finally:
                over.set()

        future = self._portal.start_task_soon(work)
        try:
            return future.result()
        except BaseException:
            if not over.is_set():
                future.cancel()
                over.wait(_ORDER_SECONDS)
            raise

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items one by one, each when it is asked for."""
        while True:
            found = self.call(lambda: _next(items))
            if not found:
                return
            yield from found


async def _next(items: AsyncIterator[T]) -> tuple[T, ...]:
    """The next item alone; nothing at the end."""
    async for item in items:
        return (item,)
    return ()
