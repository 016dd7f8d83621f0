"""Connection: HTTP to one server, each request once, over a pool of connections.

What can go wrong on the way is `Broken`. Nothing is followed elsewhere, nothing is inflated, and
what an answer may have is bounded. It knows nothing of what requests and answers mean. It is
imported when a client is opened: httpx takes its time.
"""

from collections.abc import Mapping
from typing import Final

import anyio
import httpx

from wingman.client.address import Address
from wingman.client.exchange import Broken, Reply, Request

__all__ = ["Connection", "Stream"]

_MOST: Final = 256 * 1024 * 1024
"""How many bytes an answer may have, a stream aside."""

_CLOSE_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 0.1

# Of these the server cannot have seen the request.
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Stream:
    """The body of an answer as it comes. Whoever opened it closes it."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks = response.aiter_raw()
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def receive(self) -> bytes:
        """The next chunk; `b""` at the end. Raises `Broken`."""
        try:
            return await anext(self._chunks, b"")
        except httpx.HTTPError as error:
            raise _broken(error) from error

    async def read(self) -> bytes:
        """All of it. Raises `Broken`, also where it is too much."""
        body = bytearray()
        while chunk := await self.receive():
            body += chunk
            if len(body) > _MOST:
                raise Broken(f"its answer has more than {_MOST:,} bytes", sent=True, final=True)
        return bytes(body)

    async def aclose(self, *, drain: bool = False) -> None:
        """Close it, whatever its reader has left; `drain`: nothing of interest comes, and the
        connection may be used again."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            if drain:
                with anyio.move_on_after(_DRAIN_SECONDS):
                    await self._exhaust()
            # httpx's body is several async generators, one in the other. A read that is cancelled
            # ends them all, from the inside out; nothing else does.
            with anyio.CancelScope() as scope:
                scope.cancel()
                await self._exhaust()
            await self._response.aclose()

    async def _exhaust(self) -> None:
        try:
            async for _ in self._chunks:
                pass
        except (httpx.HTTPError, httpx.StreamError):
            pass  # nobody reads it any more


class Connection:
    """The way to one server. `connect_seconds` bounds the connecting; `silent_seconds` how long the
    server may say nothing, after which the connection is taken for broken."""

    def __init__(
        self,
        address: Address,
        token: str | None,
        *,
        connect_seconds: float,
        silent_seconds: float,
    ) -> None:
        headers = {"accept-encoding": "identity", "user-agent": "wingman-client"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        self._url = address.url
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(silent_seconds, connect=connect_seconds, pool=None),
            # A stream holds a connection for as long as it runs: who opens streams bounds them.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            follow_redirects=False,
            # A proxy of the environment has no business between two processes of one machine.
            trust_env=not address.loopback,
        )

    async def open(self, request: Request) -> Stream:
        """Send a request, and hand back its answer when its head is there. Raises `Broken`."""
        headers = dict(request.headers)
        if request.body is not None:
            headers["content-type"] = "application/json"
        sent = self._http.build_request(
            request.method, self._url + request.target, content=request.body, headers=headers
        )
        try:
            return Stream(await self._http.send(sent, stream=True))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _broken(error) from error

    async def send(self, request: Request) -> Reply:
        """Send a request, and hand back its whole answer. Raises `Broken`."""
        stream = await self.open(request)
        whole = False
        try:
            body = await stream.read()
            whole = True
        finally:
            await stream.aclose(drain=whole)  # noqa: ASYNC102 it shields itself
        return Reply(stream.status, stream.headers, body)

    async def aclose(self) -> None:
        """Close all connections."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._http.aclose()


def _broken(error: Exception) -> Broken:
    """What httpx raises, in words that have no header and no body in them."""
    sent = not isinstance(error, _UNSENT)
    match error:
        case httpx.ReadTimeout():
            return Broken("it said nothing for too long", sent=sent)
        case httpx.ConnectTimeout():
            return Broken("it did not take the connection in time", sent=sent)
        case _:
            text = str(error) or type(error).__name__
            return Broken(text[:200], sent=sent)
