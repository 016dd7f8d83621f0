"""A device that fails, its supervisor, and somebody who watches: restarts, timers, back-off.

Run it: python examples/supervision.py
"""

import logging
from collections.abc import Iterator
from itertools import count
from types import TracebackType
from typing import Self

import trio

from wingman.actor import (
    ActorRef,
    ActorSystem,
    Backoff,
    Context,
    Escalate,
    Restart,
    Stop,
    Stopped,
    Topic,
)

logging.getLogger("wingman").setLevel(logging.CRITICAL)  # it logs each crash with its traceback

readings: Topic[int] = Topic("readings")


class Sensor:
    """Is read every 10 ms. Its third reading fails, whichever life it has."""

    def __init__(self, context: Context[str], numbers: Iterator[int]) -> None:
        self.numbers = numbers
        self.left = 2
        context.every(0.01, "read")

    async def receive(self, message: str) -> None:
        """Publish one reading."""
        if self.left == 0:
            raise OSError("the sensor does not answer")
        self.left -= 1
        readings.publish(next(self.numbers))


class Display:
    """Shows the readings. It begins again with the sensor, since it was spawned after it."""

    def __init__(self, context: Context[int]) -> None:
        context.subscribe(readings, capacity=1, when_full="drop_oldest")

    async def __aenter__(self) -> Self:
        print("display on")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        print("display off")

    async def receive(self, reading: int) -> None:
        """Show one reading."""
        print("reading", reading)


class Station:
    """The supervisor: an actor with children. One failure too many of the sensor is its own."""

    def __init__(self, context: Context[str]) -> None:
        together = Restart(
            max_restarts=1,
            strategy="rest_for_one",
            backoff=Backoff(initial=0.01),
            exhausted=Escalate(),
        )
        numbers = count(1)
        context.spawn(lambda context: Sensor(context, numbers), name="sensor", supervision=together)
        context.spawn(Display, name="display", supervision=together)

    async def receive(self, message: str) -> None:
        """Take no messages."""


class Guard:
    """Watches the station, and says how it ended."""

    def __init__(self, context: Context[Stopped], station: ActorRef, over: trio.Event) -> None:
        self.over = over
        context.watch(station)

    async def receive(self, message: Stopped) -> None:
        """Hear of the end, once."""
        print(message.ref.name, message.termination)
        self.over.set()


async def main() -> None:
    """Let the station work until it gives up."""
    over = trio.Event()
    async with ActorSystem() as system:
        station = system.spawn(Station, name="station", supervision=Stop())
        system.spawn(lambda context: Guard(context, station, over), name="guard")
        with trio.fail_after(10):
            await over.wait()


if __name__ == "__main__":
    trio.run(main)
