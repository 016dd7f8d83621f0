"""Descriptors: how many of those that the process may have connections may take.

A connection is a descriptor; so is all that a run needs: a pipe to a command, a connection to a
model's API. Whoever opens connections must not take what the work in hand lives on.
"""

import resource
from pathlib import Path
from typing import Final

__all__ = ["room_for_connections"]

# Of the descriptors that are free when the server begins to listen: the rest is for the work.
_SHARE: Final = 3 / 4


def room_for_connections(most: int) -> int:
    """How many connections may be open at once: `most`, or fewer where descriptors are few."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, int((soft - _taken()) * _SHARE)))


def _taken() -> int:
    """How many descriptors are in use now."""
    return sum(1 for _ in Path("/dev/fd").iterdir())
