"""Group commit: whatever is queued is committed at once, for the price of one.

A disk's flush is what a durable write costs, so one task drains the queue and commits all of it
together, in a worker thread; what is written meanwhile makes the next batch.

This module knows nothing of SQL: it is given the function that commits.
"""

import logging
from collections.abc import Callable, Sequence

import trio

from wingman.errors import StoreError
from wingman.store.call import Call
from wingman.store.changes import Change
from wingman.store.protocol import Chain

__all__ = ["Writer"]

logger = logging.getLogger(__name__)


class Writer:
    """The one task that commits.

    The queue needs no bound of its own: each run awaits its commit when a step is recorded and
    when it ends, so what is queued is bounded by the number of runs.

    `commit` is called in a worker thread, never twice at once, with the calls in the order they
    were made; it sets `failure` on those it could not commit.
    """

    def __init__(self, commit: Callable[[Sequence[Call]], None]) -> None:
        self._commit = commit
        self._queue: list[Call] = []
        self._open = False
        self._task: trio.lowlevel.Task | None = None
        self._scope = trio.CancelScope(shield=True)
        self._finished = trio.Event()
        self._thread = trio.CapacityLimiter(1)

    def submit(self, changes: tuple[Change, ...], chain: Chain | None = None) -> Call:
        """Queue these changes; raise `StoreError` when the writer does not run."""
        if not self._open:
            raise StoreError("The store is not open: nothing can be written to it.")
        call = Call(changes, chain)
        self._queue.append(call)
        self._wake()
        return call

    def start(self, nursery: trio.Nursery) -> None:
        """Take calls from now on, and commit them in a task of this nursery until `close`.

        The task is shielded: what surrounds it may be cancelled, and runs still end with a commit.
        Whoever starts it bounds the shield, with `close` and then `give_up`.
        """
        self._open = True
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        try:
            with self._scope:
                while await self._wait_for_work():
                    await self._commit_queue()
        finally:
            self._open = False
            self._abandon(self._queue)
            self._finished.set()

    async def close(self) -> None:
        """Take no more, and return when all that is queued is committed."""
        self._open = False
        self._wake()
        await self._finished.wait()

    def give_up(self) -> None:
        """Leave the commit under way to its thread; tell all who wait that it may have failed."""
        self._open = False
        self._scope.cancel()

    @property
    def given_up(self) -> bool:
        """Whether a thread may still be committing that nobody waits for."""
        return self._scope.cancel_called

    def _wake(self) -> None:
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def _wait_for_work(self) -> bool:
        """Sleep until something is queued; return False at the end."""
        if not self._queue and self._open:
            await self._sleep()
        # One tick, so that what the tasks of this one are about to write shares the commit.
        await trio.lowlevel.checkpoint()
        return bool(self._queue)

    async def _sleep(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def _commit_queue(self) -> None:
        batch, self._queue = self._queue, []
        try:
            # Only `give_up` gets through the shield, and then the thread may never return.
            await trio.to_thread.run_sync(
                self._commit, batch, abandon_on_cancel=True, limiter=self._thread
            )
        except trio.Cancelled:
            self._abandon(batch)
            raise
        for call in batch:
            call.settle(call.failure)
        if failed := [call for call in batch if call.failure is not None]:
            logger.error("%d of %d writes failed: %s", len(failed), len(batch), failed[0].failure)

    def _abandon(self, calls: Sequence[Call]) -> None:
        for call in calls:
            call.settle(StoreError("The store was closed before this was safe."))
