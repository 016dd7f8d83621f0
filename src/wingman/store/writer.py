"""Group commit: whatever is queued is committed at once, for the price of one.

A disk's flush is what a durable write costs, so one thread takes all that is queued and commits it
together; what is written meanwhile makes the next batch. The thread is started when the store is
opened and lives until it is closed: on the way of a message no thread is started, since that can
fail.

This module knows nothing of SQL: it is given the `Disk` that commits.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Event
from typing import Final, TypeAlias

import trio

from wingman.errors import StoreError, StoreUnavailable
from wingman.store.call import Call
from wingman.store.changes import Change
from wingman.store.disk import Disk, InDoubt
from wingman.store.protocol import Chain
from wingman.store.threads import Tell, start_thread

__all__ = ["NOT_OPEN", "PROBE_EVERY", "Writer"]

logger = logging.getLogger(__name__)

PROBE_EVERY = 0.5
"""Seconds between two looks whether a disk that failed can be written again."""

NOT_OPEN = "The store is not open: nothing can be written to it, or read from it."

_QUIET_PROBES: Final = 4
"""Probes' time that it may take to find out what became of a commit before all are told."""

Batch: TypeAlias = Sequence[Call]


class Writer:
    """The one who commits: a thread, and in the event loop a task that gives it its batches.

    The queue needs no bound of its own: each run awaits its commit when a step is recorded and
    when it ends, so what is queued is bounded by the number of runs.

    A disk that has committed nothing for `beat_every` seconds is probed (None: never): somebody
    wants to see that this process lives.
    """

    def __init__(
        self, disk: Disk, probe_every: float = PROBE_EVERY, beat_every: float | None = None
    ) -> None:
        self._disk = disk
        self._probe_every = probe_every
        self._beat_every = beat_every
        # In the event loop:
        self._queue: list[Call] = []
        self._under_way: deque[Batch] = deque()
        self._started = False
        self._open = False
        self._task: trio.lowlevel.Task | None = None
        self._scope = trio.CancelScope()
        self._opened = trio.Event()
        self._closed = trio.Event()
        self._error: Exception | None = None
        self._close_error: Exception | None = None
        self._failure: StoreUnavailable | None = None
        self._doubt: StoreUnavailable | None = None
        self._wait_for_health = trio.lowlevel.ParkingLot()
        # Between the two:
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._given_up = Event()
        # In the thread:
        self._ill: StoreUnavailable | None = None

    # --- in the event loop ------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the thread, and have it open the disk; raise what that raises.

        Raises `StoreUnavailable` if no thread can be started. `close` is to be called also where
        this raises, or is cancelled.
        """
        start_thread(self._work, "wingman-store-writer")
        self._started = True
        await self._opened.wait()
        if self._error is not None:
            raise self._error
        self._open = True
        # A system task: nothing around the store cancels it, so that what is cancelled can still
        # write down that it was. It ends with the trio run even where nobody closes the store.
        trio.lowlevel.spawn_system_task(self._hand_over_until_closed)

    def submit(self, changes: tuple[Change, ...], chain: Chain | None = None) -> Call:
        """Queue these changes; raise `StoreUnavailable` when the writer does not run."""
        if not self._open:
            raise StoreUnavailable(NOT_OPEN)
        failure = self._doubt if chain is None or chain.failure is None else chain.failure
        if failure is not None:
            return _failed(changes, chain, failure)
        call = Call(changes, chain)
        self._queue.append(call)
        self._wake()
        return call

    @property
    def failure(self) -> StoreUnavailable | None:
        """Why nothing can be committed just now; None: all is well."""
        return self._failure

    async def wait_until_well(self) -> None:
        """Return when `failure` is None."""
        if self._failure is None:
            await trio.lowlevel.checkpoint()
        while self._failure is not None:
            await self._wait_for_health.park()

    async def close(self) -> None:
        """Take no more, and return when all is committed and the disk is closed.

        It may be cancelled; then `give_up`. Harmless where it could not be opened.
        """
        if not self._started:
            return
        if self._open:
            self._open = False
            self._scope.cancel()
        else:
            self._inbox.put(None)  # it is still being opened, or never was
        await self._closed.wait()
        if self._close_error is not None:
            raise self._close_error

    def give_up(self) -> None:
        """Leave the commit under way to its thread; tell all who wait that it may have failed."""
        self._given_up.set()
        self._queue, queue = [], self._queue
        batches, self._under_way = [*self._under_way, queue], deque()
        for batch in batches:
            for call in batch:
                call.settle(StoreUnavailable("The store was closed before this was safe."))

    async def _hand_over_until_closed(self) -> None:
        try:
            with self._scope:
                while True:
                    if not self._queue or self._under_way:
                        await self._sleep()
                    # One tick, so that what other tasks are about to write shares the commit.
                    await trio.lowlevel.checkpoint()
                    self._hand_over()
        finally:
            self._open = False
            self._hand_over()
            self._inbox.put(None)

    def _hand_over(self) -> None:
        if self._queue:
            batch, self._queue = self._queue, []
            self._under_way.append(batch)
            self._inbox.put(batch)

    def _wake(self) -> None:
        if self._task is not None and self._queue and not self._under_way:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def _sleep(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def _has_opened(self, error: Exception | None) -> None:
        self._error = error
        self._opened.set()
        if error is not None:
            self._closed.set()

    def _has_committed(self, batch: Batch, ill: StoreUnavailable | None) -> None:
        if self._given_up.is_set():
            return
        self._doubt = None
        self._under_way.popleft()
        failed = [call.failure for call in batch if call.failure is not None]
        goes_on = self._failure is not None and ill is not None
        if failed and not (goes_on and all(map(_is_unavailable, failed))):
            logger.error("%d of %d writes failed: %s", len(failed), len(batch), failed[0])
        self._is_now(ill)
        for call in batch:
            call.settle(call.failure)
        self._wake()

    def _is_in_doubt(self, failure: StoreUnavailable) -> None:
        """A commit may have been made. Who waits for it goes on waiting, until that is known.

        All others are told at once: it is certain that theirs are not made.
        """
        if self._given_up.is_set():
            return
        logger.error("what became of a commit is not known yet: %s", failure)
        self._failure = self._doubt = failure
        self._queue, queue = [], self._queue
        for call in queue:
            call.settle(failure)

    def _is_now(self, ill: StoreUnavailable | None) -> None:
        if self._failure is not None and ill is None:
            logger.warning("the store can be written again")
        self._failure = ill
        if ill is None:
            self._wait_for_health.unpark_all()

    def _has_closed(self, error: Exception | None) -> None:
        self._close_error = error
        self._closed.set()

    # --- in the thread ----------------------------------------------------------------------------

    def _work(self, tell: Tell) -> None:
        try:
            self._disk.open()
        except Exception as error:
            tell(self._has_opened, error)
            return
        tell(self._has_opened, None)
        try:
            while (batch := self._next(tell)) is not None:
                if not self._given_up.is_set():
                    self._commit(batch, tell)
                    tell(self._has_committed, batch, self._ill)
                batch = ()  # else what was written last stays until there is more to write
        finally:
            try:
                self._disk.close()
            except Exception as error:
                tell(self._has_closed, error)
            else:
                tell(self._has_closed, None)

    def _next(self, tell: Tell) -> Batch | None:
        while True:
            try:
                return self._inbox.get(timeout=self._probe_every if self._ill else self._beat_every)
            except Empty:
                before, self._ill = self._ill, self._why_not()
                if before is None and self._ill is not None:
                    logger.error("the store cannot be written: %s", self._ill)
                if before is not self._ill:
                    tell(self._is_now, self._ill)

    def _why_not(self) -> StoreUnavailable | None:
        """Why the disk cannot be written; None: it can."""
        try:
            self._disk.probe()
        except StoreUnavailable as error:
            return error
        except Exception as error:
            return StoreUnavailable(str(error))
        return None

    def _can_write(self) -> bool:
        return self._why_not() is None

    def _commit(self, batch: Batch, tell: Tell) -> None:
        """Commit these calls in one transaction, without those that cannot be.

        A call that fails is found by halving, so that its neighbours hardly pay for it.
        """
        calls = [call for call in batch if not _follows_a_failure(call)]
        if not calls:
            return
        try:
            self._commit_for_sure([call.changes for call in calls], tell)
        except Exception as error:  # the thread outlives whatever is in a call
            unavailable = isinstance(error, StoreUnavailable)
            # A disk that takes a little may be too full for one call and not for the others.
            if len(calls) > 1 and (not unavailable or self._can_write()):
                middle = len(calls) // 2
                self._commit(calls[:middle], tell)
                self._commit(calls[middle:], tell)
                return
            if isinstance(error, StoreUnavailable):
                self._ill = error
            failure = error if isinstance(error, StoreError) else _wrapped(error)
            for call in calls:
                call.fail(failure)
        else:
            self._ill = None

    def _commit_for_sure(self, calls: Sequence[tuple[Change, ...]], tell: Tell) -> None:
        """Commit, and if the answer is lost, find out what it was; if it was not made, again."""
        while True:
            try:
                self._disk.commit(calls)
            except InDoubt as doubt:
                if self._was_made(doubt, tell):
                    return
            else:
                return

    def _was_made(self, doubt: InDoubt, tell: Tell) -> bool:
        quiet_until = time.monotonic() + _QUIET_PROBES * self._probe_every
        told, pause = False, 0.0
        while not self._given_up.wait(pause):
            try:
                return doubt.outcome()
            except Exception as error:  # whatever it is, nobody may be told that it failed
                if not told and time.monotonic() >= quiet_until:
                    told = True
                    unavailable = isinstance(error, StoreUnavailable)
                    tell(self._is_in_doubt, error if unavailable else StoreUnavailable(str(error)))
            pause = self._probe_every
        raise StoreUnavailable("The store was closed before this was safe.")


def _follows_a_failure(call: Call) -> bool:
    if call.chain is None or call.chain.broken is None:
        return False
    call.fail(call.chain.broken)
    return True


def _failed(changes: tuple[Change, ...], chain: Chain | None, failure: StoreError) -> Call:
    """A call that is not made; its chain ends with it."""
    if chain is not None and chain.failure is None:
        chain.failure = failure
    call = Call(changes)
    call.settle(failure)
    return call


def _is_unavailable(failure: StoreError) -> bool:
    return isinstance(failure, StoreUnavailable)


def _wrapped(error: Exception) -> StoreError:
    failure = StoreError(str(error))
    failure.__cause__ = error
    return failure
