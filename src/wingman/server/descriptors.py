"""Descriptors: how many the process may have, and how many of them connections may take.

A connection is a descriptor; so is all that a run needs: a pipe to a command, a connection to a
model's API. Whoever opens connections must not take what the work in hand lives on.
"""

import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["raise_limit", "room_for_connections"]

# Of the descriptors that are free when the server begins to listen: the rest is for the work.
_SHARE: Final = 3 / 4


def raise_limit() -> None:
    """Let the process have as many descriptors as it may: its soft limit becomes the hard one.

    That is the whole process's matter: a program calls it for itself.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    # macOS has a bound that its hard limit does not name: there it stays as it was.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def room_for_connections(most: int) -> int:
    """How many connections may be open at once: `most`, or fewer where descriptors are few."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, int((soft - _taken()) * _SHARE)))


def _taken() -> int:
    """How many descriptors are in use now."""
    return sum(1 for _ in Path("/dev/fd").iterdir())
