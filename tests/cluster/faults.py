"""What goes wrong in a story, and where: in the middle of something, whose place is named."""

from collections.abc import Sequence
from typing import Final

import attrs

__all__ = [
    "AT_BIRTHS",
    "AT_CLAIMS",
    "AT_COMMITS",
    "OFTEN",
    "Crash",
    "Cut",
    "Deed",
    "Fault",
    "Hold",
    "Kill",
    "Partition",
    "Pause",
    "Stall",
    "Stop",
    "Terminate",
    "Trouble",
]


@attrs.frozen
class Pause:
    """What is there takes so long, and all else goes on."""

    seconds: float


@attrs.frozen
class Kill:
    """kill -9; after some seconds the node is started anew."""

    back_after: float


@attrs.frozen
class Stop:
    """SIGSTOP, and SIGCONT after some seconds. The connections stand."""

    seconds: float


@attrs.frozen
class Cut:
    """The connection that writes is gone, which each side notices after some seconds.

    `arrives`: what was under way to the server arrives yet.
    """

    client_after: float
    server_after: float
    arrives: bool


@attrs.frozen
class Hold:
    """The connection that writes carries nothing for so long, and loses nothing."""

    seconds: float


@attrs.frozen
class Partition:
    """The node cannot reach the server for so long; its connection is cut, or is only held."""

    seconds: float
    cut: bool


@attrs.frozen
class Terminate:
    """Somebody ends the backend of the connection that writes."""


@attrs.frozen
class Crash:
    """The server crashes, and is there again after some seconds."""

    seconds: float


@attrs.frozen
class Stall:
    """The server's disk flushes nothing for so long."""

    seconds: float


Deed = Pause | Kill | Stop | Cut | Hold | Partition | Terminate | Crash | Stall

AT_COMMITS: Final = ("sending", "marked", "written", "flushing", "committed", "answered")
AT_CLAIMS: Final = ("claiming", "claimed", "read back", "loaded", "releasing")
AT_BIRTHS: Final = (
    "lost",
    "dialled",
    "old ended",
    "numbered",
    "locked",
    "registered",
    "taking along",
    "reborn",
    "hearing",
)
OFTEN: Final = ("second", "looking", "beating", "beaten")
"""Places that a node comes to all the time."""


@attrs.frozen
class Fault:
    """This is done when the node comes to this place, after it has been there so many times."""

    place: str
    after: int
    deed: Deed


@attrs.frozen
class Trouble:
    """Faults of the node in this slot, one after the other."""

    slot: int
    faults: Sequence[Fault]
