"""What befalls the cluster: which faults there are, how long they last, and how they are done."""

import math
from random import Random
from typing import Final, Literal, TypeAlias, assert_never

import attrs
import trio

from crash.cluster.node import Node
from postgres_kit import Cluster

__all__ = ["Fault", "FaultKind", "begin", "choose_fault", "end"]

FaultKind: TypeAlias = Literal[
    "killed",
    "stopped",
    "cut off",
    "silent",
    "drained",
    "PostgreSQL restarted",
    "PostgreSQL killed",
]

# How often of a hundred, and for how long, in seconds, each as likely as twice as long.
_FAULTS: Final[dict[FaultKind, tuple[int, float, float]]] = {
    "killed": (30, 0.05, 3.0),
    "stopped": (18, 1.0, 15.0),
    "cut off": (14, 0.1, 60.0),
    "silent": (12, 0.1, 60.0),
    "drained": (10, 0.05, 1.0),
    "PostgreSQL restarted": (8, 0.05, 2.0),
    "PostgreSQL killed": (8, 0.05, 2.0),
}

# How long the other nodes have patience with one that is there and does not write, and how long
# one without a connection has with itself.
_PATIENCE: Final[dict[FaultKind, float]] = {"stopped": 10.0, "silent": 8.0, "cut off": 2.0}


@attrs.frozen
class Fault:
    """A fault, and how long it lasts, in seconds."""

    kind: FaultKind
    seconds: float

    @property
    def of_the_database(self) -> bool:
        """Whether it befalls all nodes."""
        return self.kind.startswith("PostgreSQL")

    @property
    def name(self) -> str:
        """Faults of one name have the same effects."""
        patience = _PATIENCE.get(self.kind)
        if patience is None:
            return self.kind
        return f"{self.kind} {'under' if self.seconds < patience else 'over'} {patience:g} s"


def choose_fault(random: Random) -> Fault:
    """One at random, for a random time."""
    (kind,) = random.choices(list(_FAULTS), [often for often, _, _ in _FAULTS.values()])
    _, shortest, longest = _FAULTS[kind]
    return Fault(kind, math.exp(random.uniform(math.log(shortest), math.log(longest))))


async def begin(fault: Fault, node: Node, postgres: Cluster) -> None:
    """Do it: to this node, or to the database."""
    match fault.kind:
        case "killed":
            await node.kill()
        case "stopped":
            node.stop()
        case "cut off":
            node.wire.cut()
        case "silent":
            node.wire.silence()
        case "drained":
            await node.drain()
        case "PostgreSQL restarted":
            await trio.to_thread.run_sync(postgres.stop)
        case "PostgreSQL killed":
            await trio.to_thread.run_sync(postgres.kill)
        case _:
            assert_never(fault.kind)


async def end(fault: Fault, node: Node, postgres: Cluster, nursery: trio.Nursery) -> None:
    """Undo it."""
    match fault.kind:
        case "killed" | "drained":
            await node.start(nursery)
        case "stopped":
            node.go_on()
        case "cut off" | "silent":
            node.wire.mend()
        case "PostgreSQL restarted" | "PostgreSQL killed":
            await trio.to_thread.run_sync(postgres.start)
        case _:
            assert_never(fault.kind)
