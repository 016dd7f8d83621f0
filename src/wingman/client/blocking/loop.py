"""Loop: a thread with an event loop, for callers that have none."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, Generic, TypeVar

import anyio
import attrs
from anyio.from_thread import BlockingPortal, start_blocking_portal

from wingman.client.exchange import NotOpen

__all__ = ["Loop"]

T = TypeVar("T")

# How long an interrupted call may take to put things in order: longer than the client needs to
# cancel a run, and not for ever.
_ORDER_SECONDS: Final = 15.0

_CLOSED: Final = "the client is closed: use it with `with`"


class Loop:
    """A thread that runs an event loop. It is a daemon: a program may end without closing it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        # The calls in flight, and their ends; of the loop's thread alone.
        self._calls: dict[_Call[Any], anyio.Event] = {}

    def open(self) -> None:
        """Start the thread."""
        if self._portal is None:
            self._portal = self._stack.enter_context(start_blocking_portal("asyncio"))

    def close(self, last: Callable[[], Awaitable[None]]) -> None:
        """Cancel the calls of other threads, await `last`, and end the loop and its thread."""
        portal, self._portal = self._portal, None
        if portal is None:
            return
        with self._stack:
            portal.call(self._end, last)

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await a function's result in the loop, and wait for it here.

        What interrupts the waiting, such as Ctrl-C, cancels the function, and is raised when that
        has put its things in order: a run that it waited for is cancelled by then. Raises `NotOpen`
        where the client is closed, also while this waits.
        """
        portal = self._portal
        if portal is None:
            raise NotOpen(_CLOSED)
        call = _Call(function)
        try:
            return portal.start_task_soon(self._run, call).result()
        except BaseException:
            if not call.over.is_set():
                portal.start_task_soon(call.cancel)
                call.over.wait(_ORDER_SECONDS)
            raise

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items one by one, each when it is asked for."""
        while True:
            found = self.call(partial(_next, items))
            if not found:
                return
            yield from found

    async def _run(self, call: "_Call[T]") -> T:
        self._calls[call] = anyio.Event()
        try:
            return await call.run()
        finally:
            self._calls.pop(call).set()

    async def _end(self, last: Callable[[], Awaitable[None]]) -> None:
        calls = dict(self._calls)
        for call in calls:
            call.cancel()
        with anyio.move_on_after(_ORDER_SECONDS):
            for end in calls.values():
                await end.wait()
        await last()


@attrs.define(eq=False)
class _Call(Generic[T]):
    """One call. `over` is for the thread that waits for it, the rest of the loop's thread alone."""

    function: Callable[[], Awaitable[T]]
    over: threading.Event = attrs.field(factory=threading.Event, init=False)
    _scope: anyio.CancelScope | None = attrs.field(default=None, init=False)
    _cancelled: bool = attrs.field(default=False, init=False)

    async def run(self) -> T:
        """Await the function's result, unless it is cancelled before."""
        try:
            if not self._cancelled:
                with anyio.CancelScope() as self._scope:
                    return await self.function()
            raise NotOpen(_CLOSED)
        finally:
            self.over.set()

    def cancel(self) -> None:
        """Cancel it, also before it has begun."""
        self._cancelled = True
        if self._scope is None:
            self.over.set()
        else:
            self._scope.cancel()


async def _next(items: AsyncIterator[T]) -> tuple[T, ...]:
    """The next item alone; nothing at the end."""
    async for item in items:
        return (item,)
    return ()
