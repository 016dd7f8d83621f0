"""TimeLimit: ends the runs that have had their time.

One task looks after all runs of a process, where a cancel scope for each would cost a tenth of a
short run. All runs may take the same time, so they reach its end in the order in which they began.
"""

from collections.abc import Callable
from typing import Final, NoReturn

import trio

__all__ = ["TimeLimit"]


class TimeLimit:
    """So many `seconds` for each run. Nothing is ended unless `watch` runs."""

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = seconds
        self._deadlines: dict[Callable[[], None], float] = {}
        self._lot = trio.lowlevel.ParkingLot()

    def begin(self, expire: Callable[[], None]) -> None:
        """A run begins: unless it ends before, `expire` is called when it has had its time."""
        self._deadlines[expire] = trio.current_time() + self.seconds
        if self._lot:
            self._lot.unpark()

    def end(self, expire: Callable[[], None]) -> None:
        """A run has ended, or its time was over."""
        self._deadlines.pop(expire, None)

    async def watch(self) -> NoReturn:
        """Call those whose time is over, for ever."""
        while True:
            # Nothing here refers to a run while this waits: it may end before, and is to be gone.
            first = next(iter(self._deadlines.values()), None)
            if first is None:
                await self._lot.park()
            elif first > trio.current_time():
                await trio.sleep_until(first)
            else:
                self._expire_first()

    def _expire_first(self) -> None:
        expire = next(iter(self._deadlines))
        self.end(expire)
        expire()
