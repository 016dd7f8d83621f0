"""Services: what the sessions of one process share."""

from collections.abc import Callable
from datetime import UTC, datetime

import attrs
import trio

from wingman.actor import ActorSystem, Directory
from wingman.errors import Overloaded, ShuttingDown
from wingman.metrics import Metrics
from wingman.providers import Transport, WindowOf
from wingman.session.limits import Limits
from wingman.session.prices import Prices
from wingman.store.base import Store

__all__ = ["Services", "now"]


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)


@attrs.define(eq=False)
class Services:
    """One store, one door to the network, one actor system; one set of limits, prices, counts.

    `slots` are the places of runs in flight, given in the order they are asked for: as a session
    has one run in flight at most, sessions take turns. `waiting` counts the runs without a place.
    `deleting` are the sessions of which the store may at any moment show nothing any more.
    `window_of` knows models' context windows.
    """

    store: Store
    transport: Transport
    limits: Limits
    system: ActorSystem
    directory: Directory[str]
    slots: trio.Semaphore
    prices: Prices
    metrics: Metrics
    window_of: WindowOf
    deleting: set[str] = attrs.field(factory=set)
    waiting: int = 0
    draining: bool = False

    def check_room(self) -> None:
        """Raise `ShuttingDown` or `Overloaded` where the process takes no more runs."""
        if self.draining:
            raise ShuttingDown("The server is shutting down: send the message again later.")
        if self.waiting >= self.limits.waiting:
            raise Overloaded(
                f"{self.waiting} runs are waiting for their turn, which is the limit: "
                "send the message again later."
            )

    async def take_slot(self) -> None:
        """Take a place among the runs in flight, without a checkpoint where one is free."""
        try:
            self.slots.acquire_nowait()
        except trio.WouldBlock:
            await self.slots.acquire()

    def spawn(self, function: Callable[[], object], name: str) -> None:
        """Start a task that belongs to the runtime and to no request."""
        self.system.start_task(function, name)
