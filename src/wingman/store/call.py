"""Call: the changes of one `write`, and the promise that they will be safe."""

import logging
from collections.abc import Callable
from copy import copy

import trio

from wingman.errors import StoreError
from wingman.store.changes import Change
from wingman.store.protocol import Chain
from wingman.under_trio import require_trio

__all__ = ["Call"]

logger = logging.getLogger(__name__)


class Call:
    """A `Commit`. Whoever commits the changes calls `settle`, once, in the event loop's thread.

    A waiter that is cancelled takes nothing back: the changes are committed all the same.
    """

    __slots__ = ("_callbacks", "_settled", "_waiters", "chain", "changes", "failure")

    def __init__(self, changes: tuple[Change, ...], chain: Chain | None = None) -> None:
        self.changes = changes
        self.chain = chain
        self.failure: StoreError | None = None
        self._settled = False
        self._waiters: list[trio.lowlevel.Task] | None = None
        self._callbacks: list[Callable[[StoreError | None], None]] | None = None
        if chain is not None:
            chain.last = self

    @property
    def safe(self) -> bool:
        """Whether the changes are committed."""
        return self._settled and self.failure is None

    async def wait(self) -> None:
        """Return when the changes are safe; raise `StoreError` if they could not be made so."""
        require_trio()
        if self._settled:
            await trio.lowlevel.checkpoint()
        else:
            await self._sleep()
        if self.failure is not None:
            # A copy: an exception that many tasks raise collects all their tracebacks.
            raise copy(self.failure) from self.failure.__cause__

    async def _sleep(self) -> None:
        task, waiters = trio.lowlevel.current_task(), self._waiters
        if waiters is None:
            waiters = self._waiters = []
        waiters.append(task)

        def abort(_: object) -> trio.lowlevel.Abort:
            waiters.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def then(self, callback: Callable[[StoreError | None], None]) -> None:
        """Have `callback` called once this is settled; at once, if it is."""
        if self._settled:
            self._tell(callback)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def _tell(self, callback: Callable[[StoreError | None], None]) -> None:
        try:
            callback(self.failure)
        except Exception:
            logger.exception("what was to follow a commit failed")

    def fail(self, failure: StoreError) -> None:
        """Note why the changes were not committed. May be called in another thread."""
        self.failure = failure
        if self.chain is not None and self.chain.broken is None:
            self.chain.broken = failure

    def settle(self, failure: StoreError | None = None) -> None:
        """Say that the changes are safe, or why they are not, and wake those who wait."""
        self.failure = failure
        self._settled = True
        self.changes = ()  # a chain, or a waiter, may hold this for long
        chain = self.chain
        if chain is not None:
            if chain.failure is None:
                chain.failure = failure
            if chain.last is self:
                chain.last = None
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            self._tell(callback)
        waiters, self._waiters = self._waiters, None
        for task in waiters or ():
            trio.lowlevel.reschedule(task)
