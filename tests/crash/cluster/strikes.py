"""Strikes: faults befall nodes, one after the other or two at a time, and are measured."""

import time
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Final

import attrs
import trio

from crash.book import Findings
from crash.cluster.faults import Fault, begin, end
from crash.cluster.node import Node
from crash.cluster.patience import until
from crash.cluster.probes import Placed, Probes, Times
from postgres_kit import Cluster

__all__ = ["Strikes"]

_FAULT_SECONDS: Final = 600.0


@attrs.define(eq=False)
class Strikes:
    """Has faults happen to these nodes and their database.

    `together` is how many of all may begin while another one is not over.
    """

    nodes: Sequence[Node]
    postgres: Cluster
    random: Random
    together: float
    findings: Findings
    times: Times
    _happening: list[tuple[Fault, Node]] = attrs.field(factory=list)
    _begun: int = 0

    async def have(self, nursery: trio.Nursery, probes: Probes, faults: Sequence[Fault]) -> None:
        """Have all of these happen; processes that are started have their tasks in `nursery`."""
        async with trio.open_nursery() as striking:
            for fault in faults:
                two = len(self.nodes) > 1 and self.random.random() < self.together
                await until(partial(self._may_begin, fault, 2 if two else 1), _FAULT_SECONDS)
                struck = {node.name for _, node in self._happening}
                node = self.random.choice([each for each in self.nodes if each.name not in struck])
                self._happening.append((fault, node))
                striking.start_soon(self._strike, nursery, probes, fault, node)
                await trio.sleep(self.random.uniform(0, 0.5))

    def _may_begin(self, fault: Fault, most: int) -> bool:
        """Whether there are fewer than so many; and not two of the database."""
        two = fault.of_the_database and any(each.of_the_database for each, _ in self._happening)
        return len(self._happening) < most and not two

    async def _strike(
        self, nursery: trio.Nursery, probes: Probes, fault: Fault, node: Node
    ) -> None:
        try:
            placed = await probes.place(node)
            if placed is not None:
                await self._befall(nursery, probes, fault, node, placed)
        finally:
            self._happening.remove((fault, node))

    async def _befall(
        self, nursery: trio.Nursery, probes: Probes, fault: Fault, node: Node, placed: Placed
    ) -> None:
        self.findings.done[f"faults: {fault.name}"] += 1
        self._begun += 1
        alone, begun = len(self._happening) == 1, self._begun

        def name() -> str:
            """What it is called, if no other fault has begun meanwhile."""
            also = "" if alone and begun == self._begun else ", and another fault"
            return f"{fault.name}{also}"

        at, since = time.time(), trio.current_time()
        async with trio.open_nursery() as asking:
            for session_id in placed.idle:
                asking.start_soon(probes.answers, name, session_id, since)
            await begin(fault, node, self.postgres)
            await trio.sleep(max(0, since + fault.seconds - trio.current_time()))
            await end(fault, node, self.postgres, nursery)
            over = trio.current_time()
            await node.until_ready()
            self.times.add("a node is ready after its fault is over", trio.current_time() - over)
        await probes.finish(placed)
        await probes.is_noticed(name(), placed, at)
        node.check_alive()
