"""Who sends a request: a client, or the command of a tool that a session waits for."""

from quart import request

from wingman.runtime import Runtime

__all__ = ["callers_of"]


def callers_of(runtime: Runtime) -> frozenset[str]:
    """The sessions that wait for this request's client, if it is a tool's command."""
    client, server = request.scope.get("client"), request.scope.get("server")
    if client is None or server is None or server[1] is None:
        return frozenset()
    return runtime.callers((client[0], client[1]), (server[0], server[1]))
