"""Timers: messages that come later, to one life of one actor.

One task serves all timers of a system. Timers that are due put a notice into their actor's mailbox.
"""

import heapq
from collections.abc import Callable
from itertools import count
from math import isfinite
from typing import Any, Final

import trio

from wingman.actor.queue import Notice

__all__ = ["Timer", "Timers", "check_seconds"]

# So many timers may fire before other tasks run.
_BURST: Final = 512
# Cancelled timers are taken out of the heap when there are more than this, and more than are live.
_CLUTTER: Final = 64


def check_seconds(seconds: float, *, least: str = "0 or more") -> None:
    """Raise `ValueError` for what is no time; `least` is "more than 0" of a period."""
    if not isfinite(seconds) or seconds < 0 or (seconds == 0 and least == "more than 0"):
        raise ValueError(f"a time in seconds is finite and {least}, not {seconds!r}")


class Timer:
    """A message that comes later, once or again and again, until it is cancelled.

    `missed` counts the ticks for which there was no need: the one before still waited.
    """

    __slots__ = ("_due", "_message", "_mine", "_period", "_put", "_timers", "_waiting", "missed")

    def __init__(
        self,
        message: Any,
        due: float,
        period: float | None,
        *,
        put: Callable[[Notice], None],
        mine: set[Any],
        timers: "Timers",
    ) -> None:
        self.missed = 0
        self._message = message
        self._due = due
        self._period = period
        self._put = put
        self._mine: set[Any] | None = mine  # those of the same life; None when it is over
        self._timers = timers
        self._waiting = False
        mine.add(self)

    @property
    def active(self) -> bool:
        """Whether a message is still to come."""
        return self._mine is not None

    def cancel(self) -> None:
        """End it. A message of it that waits in the mailbox is not processed, either."""
        if self._mine is not None:
            self._forget()
            self._timers.count_cancelled()

    def fire(self, now: float) -> float | None:
        """Put the message into the mailbox, unless one waits there; return when it is due next."""
        if self._waiting:
            self.missed += 1
        else:
            self._waiting = True
            self._put(Notice(self))
        if self._period is None:
            return None
        # Ticks stand at multiples of the period from the start. Those that have passed are missed.
        passed = int((now - self._due) // self._period)
        self.missed += passed
        self._due += (passed + 1) * self._period
        return self._due

    def take(self) -> Any:
        """The message: its turn has come. Nothing, if it was cancelled meanwhile."""
        self._waiting = False
        if self._mine is None:
            return Notice.NOTHING
        message = self._message
        if self._period is None:
            self._forget()
        return message

    def _forget(self) -> None:
        if self._mine is not None:
            self._mine.discard(self)
            self._mine = None
        self._message = None


class Timers:
    """All timers of a system, by when they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._cancelled = 0
        self._sleep: trio.CancelScope | None = None

    def add(self, timer: Timer, due: float) -> None:
        """Let a timer fire when it is due."""
        heapq.heappush(self._heap, (due, next(self._numbers), timer))
        if self._sleep is not None and self._heap[0][2] is timer:
            self._sleep.cancel()

    def count_cancelled(self) -> None:
        """One in the heap is of no use any more; when most are, they are taken out."""
        self._cancelled += 1
        if self._cancelled > _CLUTTER and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].active]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Let them fire, for ever."""
        while True:
            with trio.CancelScope() as self._sleep:
                await trio.sleep_until(self._heap[0][0] if self._heap else float("inf"))
            self._sleep = None
            self._fire(trio.current_time())

    def _fire(self, now: float) -> None:
        for _ in range(_BURST):
            if not self._heap or self._heap[0][0] > now:
                break
            timer = heapq.heappop(self._heap)[2]
            due = timer.fire(now) if timer.active else None
            if due is not None:
                heapq.heappush(self._heap, (due, next(self._numbers), timer))
