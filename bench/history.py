"""Long histories: what a step costs when there are 10, 1,000 or 10,000 messages before it.

The histories are made of turns with one tool call each, and stand in the store. A step is a turn of
one inference, whose model is reached over HTTP, by each adapter, in a process of its own, and says
little: what is measured is this process's CPU, the request that is built and sent among it, and how
long the longest time is for which nothing else has a turn (a task that wakes every millisecond).
"""

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import attrs
import trio
import trio.lowlevel

from bench._apis import ADAPTERS, adapter
from bench._report import Row
from bench._rounds import Comparison, Stopwatch, Took, compare
from bench._servers import as_served, running
from bench._stored import store_history
from wingman import Agent, Runtime, Session

LENGTHS = (10, 1_000, 10_000)


@attrs.define
class Stalls:
    """The longest times, in seconds, for which a task that wakes each millisecond did not wake."""

    longest: list[float] = attrs.field(factory=list)

    async def watch(self) -> None:
        """Watch for ever."""
        self.longest.append(0.0)
        last = time.perf_counter()
        while True:
            await trio.sleep(0.001)
            now = time.perf_counter()
            self.longest[-1] = max(self.longest[-1], now - last - 0.001)
            last = now


async def steps(session: Session, count: int, stalls: Stalls) -> Took:
    """A turn of one inference, one after the other."""
    watch = Stopwatch()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stalls.watch)
        await trio.lowlevel.checkpoint()
        with watch.running():
            for _ in range(count):
                await session.run("go")
        nursery.cancel_scope.cancel()
    return watch.each(count)


async def _measured(quick: bool) -> tuple[Comparison, dict[str, Stalls]]:
    count = 2 if quick else 5
    stalls: dict[str, Stalls] = {}
    with tempfile.TemporaryDirectory() as directory:
        database = Path(directory, "bench.db")
        async with running("burst", "2", module="bench._apis") as api:
            agents = [Agent(name, provider=adapter(name, api.url)) for name in ADAPTERS]
            names = {f"{agent.name}, {n}": (agent.name, n) for agent in agents for n in LENGTHS}
            await store_history(database, names)
            async with Runtime(database, agents=agents) as runtime:
                contenders = {}
                for name in names:
                    session = await runtime.session(name)
                    await session.run("the history is read")
                    stalls[name] = Stalls()
                    contenders[name] = partial(steps, session, count, stalls[name])
                found = await compare(contenders, rounds=2 if quick else 7)
    return found, stalls


def measure(quick: bool) -> list[Row]:
    """Measure all of it; half a minute."""
    with as_served():
        found, stalls = trio.run(_measured, quick)
    rows: list[Row] = []
    for name in ADAPTERS:
        short, *longer = (f"{name}, {length}" for length in LENGTHS)
        rows.append(Row(f"{name}, step at {LENGTHS[0]}, CPU", found.each(short, "cpu") * 1e3, "ms"))
        for key, length, goal in zip(longer, LENGTHS[1:], (None, "≤ 3"), strict=True):
            stall = statistics.median(stalls[key].longest)
            rows += [
                Row(f"{name}, step at {length:,}, CPU", found.each(key, "cpu") * 1e3, "ms"),
                Row(f"{name}, at {length:,}", found.dearness(key, short, "cpu"), "×", "10", goal),
                Row(f"{name}, at {length:,}, others wait", stall * 1e3, "ms"),
            ]
    return rows
