"""Who sends a request: a client, or the command of a tool that a session waits for."""

from typing import Final

import attrs
from quart import request

from wingman.runtime import Runtime

__all__ = [
    "CALLERS",
    "COMMAND",
    "FORWARDED",
    "MAY_PASS",
    "NODE",
    "Forwarded",
    "callers_of",
    "comes_from_a_command",
    "was_forwarded",
]

NODE: Final = b"wingman-node"
CALLERS: Final = b"wingman-callers"
COMMAND: Final = b"wingman-command"
MAY_PASS: Final = b"wingman-may-pass"
"""Headers of what one node sends to another: the other's secret; the sessions that wait for whoever
sent the request; that a tool's command did; that the request may be sent on, once."""

FORWARDED: Final = "wingman.forwarded"
"""Under this key the scope of a request says who sent it to the node that has sent it here."""


@attrs.frozen
class Forwarded:
    """What another node has found out of whoever sent a request to it."""

    callers: frozenset[str] = frozenset()
    is_command: bool = False
    may_pass: bool = False


def was_forwarded() -> bool:
    """Whether another node has sent this request here, and it is to be answered here."""
    forwarded = _forwarded()
    return forwarded is not None and not forwarded.may_pass


def callers_of(runtime: Runtime) -> frozenset[str]:
    """The sessions that wait for this request's client, if it is a tool's command."""
    forwarded = _forwarded()
    if forwarded is not None:
        return forwarded.callers
    ends = _ends()
    return frozenset() if ends is None else runtime.callers(*ends)


def comes_from_a_command(runtime: Runtime) -> bool:
    """Whether this request's client is a tool's command, or may have been: it is gone."""
    forwarded = _forwarded()
    if forwarded is not None:
        return forwarded.is_command
    ends = _ends()
    return ends is not None and runtime.is_command(*ends)


def _forwarded() -> Forwarded | None:
    found = request.scope.get(FORWARDED)
    return found if isinstance(found, Forwarded) else None


def _ends() -> tuple[tuple[str, int], tuple[str, int]] | None:
    client, server = request.scope.get("client"), request.scope.get("server")
    if client is None or server is None or server[1] is None:
        return None
    return (client[0], client[1]), (server[0], server[1])
