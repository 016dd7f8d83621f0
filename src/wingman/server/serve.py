"""serve: the HTTP face of a runtime, from the bind to the last frame."""

import logging
import re
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import attrs
import trio

from wingman.errors import InvalidRequest
from wingman.given import one
from wingman.runtime import Runtime
from wingman.server.app import create_app
from wingman.server.bodies import DEFAULT_BODY_MEMORY
from wingman.server.connections import Connections, open_listeners
from wingman.server.console import Logins
from wingman.server.descriptors import room_for_connections
from wingman.server.guard import Guard, is_loopback
from wingman.server.relay import relay_of
from wingman.server.routes import Reload
from wingman.telemetry import log_event
from wingman.under_trio import require_trio

__all__ = ["DEFAULT_PORT", "ServerConfig", "serve"]

logger = logging.getLogger("wingman.server")

DEFAULT_PORT = 2323
DEFAULT_CONNECTIONS = 4096

_NODE_URL: Final = re.compile(r"https?://[^/?#@\s]+/?", re.IGNORECASE)

# After the grace: how long what was interrupted may take to stop (a command that ignores SIGTERM
# is killed after half a second), and how long after it the last exchange is broken.
_STOP_SECONDS = 0.6
_CLOSE_SECONDS = 0.7


@attrs.frozen
class ServerConfig:
    """Where to listen, and for whom. Beyond loopback a token is required.

    `allowed_hosts` are the names that clients may use for this server, beside loopback's. `grace`
    is how many seconds runs may go on when the server is told to shut down. `max_connections` may
    be open at once, or fewer: at least a quarter of the process's descriptors is kept for the runs.
    `max_body_memory` is how many bytes of requests' bodies are held at once. `node_url` is where
    other nodes reach this one.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = attrs.field(default=None, repr=False)
    allowed_hosts: Sequence[str] = ()
    grace: float = 30.0
    max_connections: int = DEFAULT_CONNECTIONS
    max_body_memory: int = DEFAULT_BODY_MEMORY
    node_url: str | None = None

    def check(self) -> None:
        """Raise `InvalidRequest` for a server that anybody on the network could drive."""
        if self.token is None and not is_loopback(self.host):
            raise InvalidRequest(
                f"To listen on {self.host!r}, which others can reach, set a token (--token or "
                "WINGMAN_TOKEN); or listen on 127.0.0.1."
            )
        if self.token is not None and not self.token.strip():
            raise InvalidRequest("The token is empty: give one, or none.")
        if not self.grace >= 0:  # also where it is not a number
            raise InvalidRequest("The grace is a number of seconds, 0 or more.")
        if self.max_connections < 1 or self.max_body_memory < 1:
            raise InvalidRequest("max_connections and max_body_memory are 1 or more.")
        if self.node_url is not None and not _NODE_URL.fullmatch(self.node_url):
            raise InvalidRequest(
                "The node's URL is one such as http://10.0.0.5:2323: a scheme, a host and a port."
            )


async def serve(
    runtime: Runtime,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    grace: float = 30.0,
    max_connections: int = DEFAULT_CONNECTIONS,
    max_body_memory: int = DEFAULT_BODY_MEMORY,
    logins: Logins | None = None,
    shutdown: trio.Event | None = None,
    reload: Reload | None = None,
    listeners: Sequence[trio.SocketListener] | None = None,
    node_url: str | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an open runtime over HTTP until `shutdown` is set, or for ever.

    `await nursery.start(serve, runtime)` returns the base URL once it listens; port 0 takes a free
    one. At `shutdown` it takes no more messages, gives the runs in flight `grace` seconds,
    interrupts the rest, ends all streams with a frame that says so, and returns, at the latest a
    second after the grace. `max_connections` and `max_body_memory` (bytes) bound what clients can
    take; of the process's descriptors, connections take three quarters at most. `logins`, of the
    same token, is for who makes links to the console. Signals are the program's affair. `reload`
    has the program read its configuration again (`POST /reload`). Where other processes share the
    runtime's store, `node_url` is where they reach this one; else that is where it listens.

    `listeners` are sockets that listen already, such as ones that several processes share: then
    nothing is bound, `host` says who can reach them, and the URL is that of the first. Other
    processes reach this one by the last.

    Raises `InvalidRequest` for a bind beyond loopback without a token, `OSError` where it cannot
    listen.
    """
    require_trio()
    one("runtime", runtime, Runtime)
    config = ServerConfig(
        host,
        port,
        token,
        tuple(allowed_hosts),
        grace,
        max_connections,
        max_body_memory,
        node_url,
    )
    config.check()
    logins = Logins(runtime.passes, token) if logins is None else logins
    if not logins.are_of(token):
        raise InvalidRequest("The logins are of another token.")
    async with AsyncExitStack() as stack:
        relay, secret = None, None
        if runtime.member is not None:
            relay = await stack.enter_async_context(relay_of(runtime, runtime.member))
            secret = runtime.member.nodes.secret
        app = create_app(runtime, max_body_memory, logins, reload, relay)
        guard = Guard(
            app, host=host, logins=logins, allowed_hosts=allowed_hosts, node_secret=secret
        )
        if listeners is None:
            listeners = await open_listeners(host, port)
        connections = Connections(guard, room_for_connections(max_connections))
        url = _url(host, listeners[0])
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(connections.serve, listeners)
        if runtime.member is not None:
            own = _seen_by_others(_url(host, listeners[-1]))
            await runtime.member.announce(node_url or own)
        log_event(logger, logging.INFO, "listening", url=url)
        task_status.started(url)
        await (trio.Event() if shutdown is None else shutdown).wait()
        log_event(logger, logging.INFO, "shutting down", grace=grace)
        end = trio.current_time() + grace + _CLOSE_SECONDS
        await runtime.drain(grace, _STOP_SECONDS)
        await connections.close(end)
    log_event(logger, logging.INFO, "stopped")


def _seen_by_others(url: str) -> str:
    """The address of a server as other machines may know it, where it listens on all addresses."""
    for anywhere in ("//0.0.0.0:", "//[::]:"):
        url = url.replace(anywhere, f"//{socket.gethostname()}:")
    return url


def _url(host: str, listener: trio.SocketListener) -> str:
    port = listener.socket.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
