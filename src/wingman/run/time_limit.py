"""TimeLimit: ends the runs that have had their time.

One task looks after all runs of a process, where a cancel scope for each would cost a tenth of a
short run. All runs may take the same time, so they reach its end in the order in which they began;
only one that has waited for a person goes on with less.
"""

from collections.abc import Callable
from math import inf
from typing import Final, NoReturn

import trio

__all__ = ["TimeLimit"]


class TimeLimit:
    """So many `seconds` for each run. Nothing is ended unless `watch` runs."""

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = seconds
        self._deadlines: dict[Callable[[], None], float] = {}  # the earliest first
        self._changed = trio.lowlevel.ParkingLot()
        self._looks_at = -inf  # when the watching task looks next, if nothing wakes it

    def begin(self, expire: Callable[[], None], left: float | None = None) -> None:
        """A run begins, or goes on with the seconds that it has `left`: unless it ends before,
        `expire` is called when it has had its time."""
        deadline = trio.current_time() + (self.seconds if left is None else left)
        self._deadlines[expire] = deadline
        if left is not None:
            by_deadline = sorted(self._deadlines.items(), key=lambda item: item[1])
            self._deadlines = dict(by_deadline)
        if deadline < self._looks_at:
            self._changed.unpark()

    def end(self, expire: Callable[[], None]) -> float | None:
        """A run has ended, or waits, or its time was over. Returns the seconds that it has left;
        None: it had not begun."""
        deadline = self._deadlines.pop(expire, None)
        return None if deadline is None else max(deadline - trio.current_time(), 0)

    async def watch(self) -> NoReturn:
        """Call those whose time is over, for ever."""
        while True:
            # Nothing here refers to a run while this waits: it may end before, and is to be gone.
            first = next(iter(self._deadlines.values()), inf)
            if first > trio.current_time():
                self._looks_at = first
                with trio.move_on_at(first):
                    await self._changed.park()
                self._looks_at = -inf
            else:
                self._expire_first()

    def _expire_first(self) -> None:
        expire = next(iter(self._deadlines))
        self.end(expire)
        expire()
