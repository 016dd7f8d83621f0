"""Connections to other nodes, kept for the next request: each in a transport of httpx's of its own.

One pool of many connections looks at all of them for each request, and each look is a system call;
a transport that has one at a time does not. No proxy of the environment stands between nodes.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import attrs
import httpx
import trio

__all__ = ["Connections"]

_MOST_IDLE: Final = 64
# Shorter than the time after which our own server closes an idle connection.
_IDLE_SECONDS: Final = 2.0
_LIMITS: Final = httpx.Limits(max_keepalive_connections=1, keepalive_expiry=_IDLE_SECONDS)


@attrs.frozen
class _Idle:
    origin: tuple[str, str, int | None]
    transport: httpx.AsyncHTTPTransport
    since: float


@attrs.define(eq=False)
class Connections:
    """Those that no request uses, and the means to make more."""

    _idle: list[_Idle] = attrs.field(factory=list, init=False)
    """The last ones to be used are the last."""
    _tls: ssl.SSLContext | None = attrs.field(default=None, init=False)

    @asynccontextmanager
    async def to(self, url: httpx.URL) -> AsyncIterator[httpx.AsyncHTTPTransport]:
        """A connection to this node for one request. It may be open, or yet to be opened."""
        await self._close_old()
        origin = (url.scheme, url.host, url.port)
        transport = self._kept(origin) or self._made(url)
        try:
            yield transport
        finally:
            self._idle.append(_Idle(origin, transport, trio.current_time()))

    async def aclose(self) -> None:
        """Close those that no request uses."""
        while self._idle:
            await self._idle.pop().transport.aclose()

    def _kept(self, origin: tuple[str, str, int | None]) -> httpx.AsyncHTTPTransport | None:
        for at in range(len(self._idle) - 1, -1, -1):
            if self._idle[at].origin == origin:
                return self._idle.pop(at).transport
        return None

    def _made(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        if self._tls is None:
            # To read the certificates of the system takes long, and few nodes speak TLS.
            secure = url.scheme == "https"
            tls = httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if not secure:
                return httpx.AsyncHTTPTransport(verify=tls, limits=_LIMITS)
            self._tls = tls
        return httpx.AsyncHTTPTransport(verify=self._tls, limits=_LIMITS)

    async def _close_old(self) -> None:
        before = trio.current_time() - _IDLE_SECONDS
        while self._idle and (len(self._idle) > _MOST_IDLE or self._idle[0].since < before):
            await self._idle.pop(0).transport.aclose()
