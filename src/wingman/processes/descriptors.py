"""How many descriptors the process may have, and how many its commands may.

A server wants as many as it can have. A command does not: programs that use `select` fail beyond
1,024, and some close every descriptor that they might have. So a command gets the limit that the
process had before it raised its own.
"""

import resource
from contextlib import suppress

import attrs

__all__ = ["limit_of_commands", "raise_limit"]


@attrs.define
class _Former:
    """The soft limit as it was before it was raised; None if it was not."""

    soft: int | None = None


_former = _Former()


def raise_limit() -> None:
    """Let the process have as many descriptors as it may: its soft limit becomes the hard one.

    That is the whole process's matter: a program calls it for itself. Commands that are started
    afterwards have the limit that there was before, where they have keepers.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    # macOS has a bound that its hard limit does not name: there it stays as it was.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if _former.soft is None:
            _former.soft = soft


def limit_of_commands() -> int | None:
    """The soft limit that commands are to have; None: that of this process."""
    return _former.soft
