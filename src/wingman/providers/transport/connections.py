"""Connections to providers, kept for the next call: each in a transport of httpx's of its own.

One pool of many connections looks at all of them for each request, twice; a transport that has one
at a time does not. What is not used again within five seconds is closed.
"""

from collections.abc import Collection, Sequence
from typing import Final

import attrs
import httpx
import trio

from wingman.providers.transport.proxies import Proxies

__all__ = ["Connection", "Connections"]

_MOST_IDLE: Final = 32
_IDLE_SECONDS: Final = 5.0


@attrs.frozen(eq=False)
class Connection:
    """A way to one origin, which one call at a time goes. It may be open or yet to be opened."""

    origin: tuple[str, str, int | None]
    transport: httpx.AsyncBaseTransport
    kept: bool = True


@attrs.frozen
class _Idle:
    connection: Connection
    since: float


class Connections:
    """Those that no call uses, of which it keeps 32, and the means to make more.

    It reads the environment as it is made: SSL_CERT_FILE, SSL_CERT_DIR and the proxies. Raises
    `OSError`, `ValueError`, `ImportError` or `httpx.InvalidURL` where that makes no sense. `over`
    takes the network's place.
    """

    def __init__(self, over: httpx.AsyncBaseTransport | None = None) -> None:
        self._over = over
        self._proxies = Proxies() if over is not None else Proxies.of_environment()
        self._tls = None if over is not None else httpx.create_ssl_context()
        self._idle: list[_Idle] = []  # the last ones to be used are the last
        self._taken: set[Connection] = set()
        self._closed = False
        if over is None:
            for proxy in self._proxies.all:
                self._made(proxy)  # raises for one of no known scheme

    @property
    def idle(self) -> Sequence[Connection]:
        """Those that no call uses."""
        return [each.connection for each in self._idle]

    @property
    def taken(self) -> Collection[Connection]:
        """Those that a call uses."""
        return self._taken

    def take(self, url: httpx.URL) -> Connection:
        """A connection for this URL, which `give_back` takes back, whatever becomes of it."""
        origin = (url.scheme, url.host, url.port)
        for at in range(len(self._idle) - 1, -1, -1):
            if self._idle[at].connection.origin == origin:
                connection = self._idle.pop(at).connection
                break
        else:
            if self._over is not None:
                return Connection(origin, self._over, kept=False)
            connection = Connection(origin, self._made(self._proxies.of(url)))
        self._taken.add(connection)
        return connection

    async def give_back(self, connection: Connection) -> None:
        """Keep it for the next call to its origin, and close those that are kept too long."""
        if not connection.kept:
            return
        now = trio.current_time()
        self._taken.discard(connection)
        self._idle.append(_Idle(connection, now))
        while self._idle and (
            self._closed
            or len(self._idle) > _MOST_IDLE
            or now - self._idle[0].since > _IDLE_SECONDS
        ):
            await self._idle.pop(0).connection.transport.aclose()

    async def aclose(self) -> None:
        """Close all, also those that are in use."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in (*(each.connection for each in idle), *self._taken):
            await connection.transport.aclose()
        if self._over is not None:
            await self._over.aclose()

    def _made(self, proxy: httpx.Proxy | None) -> httpx.AsyncHTTPTransport:
        assert self._tls is not None  # noqa: S101  there is no other network then
        # More than one only where the one before it is not closed yet.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=1)
        return httpx.AsyncHTTPTransport(verify=self._tls, proxy=proxy, limits=limits)
