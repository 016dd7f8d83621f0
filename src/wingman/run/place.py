"""Place: a run's place among those in flight, which it leaves while all it does is wait for people.

A person may take days. So a run that waits for nothing but answers holds no place, and its time is
not counted; it takes a place again before it does anything more.
"""

from collections.abc import Callable
from typing import Protocol

import attrs
import trio

from wingman.run.time_limit import TimeLimit

__all__ = ["Place", "Places"]


class Places(Protocol):
    """The places of a process. `asking` counts the runs that wait for people and have none."""

    asking: int

    async def take_slot(self) -> None:
        """Take one, as soon as one is free."""

    def leave_slot(self) -> None:
        """Give it back."""


@attrs.define(eq=False)
class Place:
    """The place of one run, and its time. `expire` is called when that is over, and `on_leave` when
    the place is left.

    It begins `held`, or with a run that waits for people from the beginning. `close` it at the end.
    """

    places: Places = attrs.field(repr=False)
    time_limit: TimeLimit = attrs.field(repr=False)
    expire: Callable[[], None] = attrs.field(repr=False)
    on_leave: Callable[[], None] = attrs.field(repr=False)
    held: bool = True
    _left: float | None = None  # seconds; None: all
    _counts: bool = False
    _taking: trio.Lock | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.held:
            self.places.asking += 1

    def count(self) -> None:
        """From now on the time counts in which it is held."""
        self._counts = True
        if self.held:
            self.time_limit.begin(self.expire, self._left)

    def stop_counting(self) -> None:
        """The time counts no more."""
        self._left = self.time_limit.end(self.expire)
        self._counts = False

    async def take(self) -> None:
        """Have a place; without a checkpoint where it is held."""
        if self.held:
            return
        if self._taking is None:
            self._taking = trio.Lock()  # other calls of the run wait for the same place
        async with self._taking:
            if not self.held:
                await self._take()

    async def _take(self) -> None:
        await self.places.take_slot()
        self.places.asking -= 1
        self.held = True
        if self._counts:
            self.time_limit.begin(self.expire, self._left)

    def leave(self) -> None:
        """Have none: all that is under way waits for people."""
        if not self.held:
            return
        self.held = False
        self.places.asking += 1
        self.places.leave_slot()
        if self._counts:
            self._left = self.time_limit.end(self.expire)
        self.on_leave()

    def close(self) -> None:
        """The run is over, or goes on elsewhere."""
        if self.held:
            self.places.leave_slot()
        else:
            self.places.asking -= 1
