"""Connection: HTTP to one server, each request once, over a pool of connections.

What can go wrong on the way is `Broken`. Nothing is followed elsewhere, nothing is inflated, and
what an answer may have is bounded. It knows nothing of what requests and answers mean. It is
imported when a client is opened: httpx takes its time.
"""

from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import anyio
import httpx

from wingman.client.address import Address
from wingman.client.exchange import Broken, Reply, Request
from wingman.request_body import RequestBody

__all__ = ["Connection", "Stream"]

_MOST: Final = 256 * 1024 * 1024
"""How many bytes an answer may have, a stream aside."""

_MOST_OF_OTHERS: Final = 1024 * 1024
"""How many bytes are read of an error, and of what is not JSON."""

_SECRET: Final = 6
"""A token of so many characters is one; the rest are words that a text may have."""

_CLOSE_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 0.1

# Of these the server cannot have seen the request.
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Stream:
    """The body of an answer as it comes. Whoever opened it closes it."""

    def __init__(self, response: httpx.Response, token: str) -> None:
        self._response = response
        self._chunks = response.aiter_raw()
        self._token = token
        self.status = response.status_code
        # Errors quote what is here: an answer may not give the token back to a log.
        self.headers: Mapping[str, str] = {
            name.lower(): _without(value, token) for name, value in response.headers.items()
        }

    async def receive(self) -> bytes:
        """The next chunk; `b""` at the end. Raises `Broken`."""
        try:
            return await anext(self._chunks, b"")
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _broken(error) from _cause(error)

    async def read(self) -> bytes:
        """All of it; of what is no good answer, the beginning. Raises `Broken`, also where it is
        too much."""
        good = 200 <= self.status < 300
        json = "json" in self.headers.get("content-type", "").lower()
        if good and not json:
            return b""
        body = bytearray()
        while chunk := await self.receive():
            body += chunk
            if not good and len(body) > _MOST_OF_OTHERS:
                break
            if len(body) > _MOST:
                raise Broken(f"its answer has more than {_MOST:,} bytes", sent=True, final=True)
        if good:
            return bytes(body)
        return _without(body.decode(errors="replace"), self._token).encode()

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
        self._token = token or ""
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(silent_seconds, connect=connect_seconds, pool=None),
            # A stream holds a connection for as long as it runs: who opens streams bounds them.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            follow_redirects=False,
            # The authorities whose certificates count take 45 ms to load: not where none is shown.
            verify=not address.plain,
            # A cookie would be kept for as long as the client is, and nobody asks for it.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            # A proxy of the environment has no business between two processes of one machine.
            trust_env=not address.loopback,
        )

    async def open(self, request: Request) -> Stream:
        """Send a request, and hand back its answer when its head is there. Raises `Broken`."""
        headers = dict(request.headers)
        if request.body is not None:
            headers["content-type"] = "application/json"
        try:
            sent = self._http.build_request(
                request.method, self._url + request.target, content=request.body, headers=headers
            )
        except httpx.InvalidURL as error:
            raise Broken("the request has no URL", sent=False, final=True) from error
        sent.stream = RequestBody((request.body or b"",))
        try:
            return Stream(await self._http.send(sent, stream=True), self._token)
        except httpx.HTTPError as error:
            raise _broken(error) from _cause(error)

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
        case httpx.WriteTimeout():
            return Broken("it took nothing for too long", sent=sent)
        case httpx.ConnectTimeout():
            return Broken("it did not take the connection in time", sent=sent)
        case httpx.RemoteProtocolError() if "without" in str(error):
            return Broken("it closed the connection before its answer was whole", sent=sent)
        case httpx.RemoteProtocolError():
            return Broken("what it answers is not HTTP", sent=sent)
        case httpx.ReadError() | httpx.WriteError() | httpx.StreamError():
            return Broken("the connection was cut", sent=sent)
        case _:
            text = str(error) or type(error).__name__
            return Broken(text[:200], sent=sent)


def _cause(error: Exception) -> Exception | None:
    """The error itself, except where its text quotes what was answered."""
    return None if isinstance(error, httpx.RemoteProtocolError) else error


def _without(text: str, token: str) -> str:
    return text.replace(token, "[token]") if len(token) >= _SECRET else text
