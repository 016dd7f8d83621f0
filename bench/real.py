"""A real provider: turns whose model is reached over HTTP, by each adapter.

The API is a process of its own, on loopback. The yardstick is the same turn with a provider in this
process that costs nothing: what is beyond it is the provider's side. An answer has 50 events, which
come in one write, or each in a TCP segment of its own, as models send them. 16 sessions are at work
at once, and this process's CPU is measured.
"""

from functools import partial

import trio

from bench._apis import ADAPTERS, adapter
from bench._models import EVENTFUL, EVENTS
from bench._report import Row
from bench._rounds import Comparison, compare
from bench._servers import as_served, running
from bench.turns import all_at_once
from wingman import Agent, Runtime


async def _measured(quick: bool) -> Comparison:
    sessions = 2 if quick else 16
    async with (
        running("burst", str(EVENTS), module="bench._apis") as burst,
        running("segments", str(EVENTS), module="bench._apis") as segments,
    ):
        agents = [
            Agent(f"{name}, {way}", provider=adapter(name, server.url))
            for name in ADAPTERS
            for way, server in (("burst", burst), ("segments", segments))
        ]
        async with Runtime(agents=[EVENTFUL, *agents]) as runtime:
            contenders = {
                agent.name: partial(all_at_once, runtime, agent, sessions)
                for agent in [EVENTFUL, *agents]
            }
            for contender in contenders.values():
                await contender()  # connections are made, and what is made once
            return await compare(contenders, 1 if quick else 9, EVENTFUL.name)


def measure(quick: bool) -> list[Row]:
    """Measure all of it; half a minute, or some seconds."""
    with as_served():
        found = trio.run(_measured, quick)
    rows = [Row("no provider, CPU a turn", found.each(EVENTFUL.name, "cpu") * 1e6, "µs")]
    for name in ADAPTERS:
        for way in ("burst", "segments"):
            key = f"{name}, {way}"
            rows += [
                Row(f"{key}, CPU a turn", found.each(key, "cpu") * 1e6, "µs"),
                Row(f"{key}, CPU", found.dearness(key, by="cpu"), "×", "no provider"),
            ]
    return rows
