"""A device that fails, and its supervisor: children restarted together, timers, a topic.

Run it: python examples/supervision.py
"""

import logging
from itertools import count

import trio

from wingman.actor import ActorSystem, Backoff, Context, Escalate, Restart, Stop, Topic

logging.getLogger("wingman").setLevel(logging.CRITICAL)  # it logs each crash with its traceback

readings: Topic[int] = Topic("readings")
numbers = count(1)


class Sensor:
    """Is read every 10 ms. The third time it fails, whichever life it has."""

    def __init__(self, context: Context[str]) -> None:
        self.left = 2
        context.every(0.01, "read")

    async def receive(self, message: str) -> None:
        """Publish one reading."""
        if not self.left:
            raise OSError("the sensor does not answer")
        self.left -= 1
        readings.publish(next(numbers))


class Display:
    """Shows the readings. It was spawned after the sensor, and begins again with it."""

    def __init__(self, context: Context[int]) -> None:
        context.subscribe(readings, capacity=1, when_full="drop_oldest")
        print("display on")

    async def receive(self, reading: int) -> None:
        """Show one reading."""
        print("reading", reading)


class Station:
    """The supervisor: an actor with children. One crash too many of the sensor is its own."""

    def __init__(self, context: Context[str]) -> None:
        again = Restart(1, backoff=Backoff(0.01), strategy="rest_for_one", exhausted=Escalate())
        context.spawn(Sensor, name="sensor", supervision=again)
        context.spawn(Display, name="display", supervision=again)

    async def receive(self, message: str) -> None:
        """Take no notice."""


async def main() -> None:
    """Let the station work until it gives up."""
    async with ActorSystem() as system:
        station = system.spawn(Station, name="station", supervision=Stop())
        print("the station:", await station.wait_stopped())


if __name__ == "__main__":
    trio.run(main)
