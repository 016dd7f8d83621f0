"""Guard: who may talk to the server, checked before anything else is looked at.

A local server is a target for any web page that the user has open. A page's request bears a
foreign `Origin`, or reaches us under a foreign name (DNS rebinding): both are refused. Beyond
loopback a token is required. The guard is plain ASGI, outside of the app, so that no route can
forget it; it also names every request, and knows whether its client stayed to the end.
"""

import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

import attrs
import trio

from wingman.api import ROUTES, pattern_of
from wingman.errors import StoreUnavailable
from wingman.ids import new_id
from wingman.server.callers import (
    CALLERS,
    COMMAND,
    FORWARDED,
    MAY_PASS,
    NODE,
    Forwarded,
)
from wingman.server.console import Logins, cookies_of
from wingman.server.errors import REQUEST_ID, error_body
from wingman.telemetry import log_event

__all__ = ["ON_DISCONNECT", "Guard", "is_loopback"]

logger = logging.getLogger("wingman.server")

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

# Under this key of its scope a request may leave a function, called if its client leaves before
# the answer is complete: also where the body of a stream has not begun.
ON_DISCONNECT: Final = "wingman.on_disconnect"

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_OPEN: Final = tuple(pattern_of(route.path) for route in ROUTES if not route.needs_token)
_OWN_SITES: Final = frozenset({b"same-origin", b"none"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

_HOST: Final = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)
_ORIGIN: Final = re.compile(r"https?://(?P<host>[^/]+)", re.IGNORECASE)


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address, is this machine itself and nothing more."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@attrs.frozen
class _Refusal:
    status: int
    code: str
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Guard:
    """An ASGI app around another. `allowed_hosts` are the names we go by, beside loopback's.

    Bound beyond loopback without such names, any name is taken: there the token is what protects.
    Where `logins` need the token, each request has it, or the cookie of who is logged in. Another
    node, which has checked all that itself, shows this node's secret instead.
    """

    def __init__(
        self,
        app: App,
        *,
        host: str,
        logins: Logins,
        allowed_hosts: Iterable[str] = (),
        node_secret: str | None = None,
    ) -> None:
        self._app = app
        self._node_secret = None if node_secret is None else node_secret.encode()
        self._logins = logins
        self._hosts = {name.lower() for name in allowed_hosts}
        self._any_host = not is_loopback(host) and not self._hosts
        self._hosts.add(host.lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        request_id = _request_id(headers)
        scope[REQUEST_ID] = request_id
        exchange = _Exchange(send, request_id.encode())
        began = trio.current_time()
        refusal = await self._refusal(scope, headers)
        try:
            if refusal is not None:
                await exchange.refuse(refusal, request_id)
            else:
                await self._app(scope, receive, exchange.send)
        finally:
            if not exchange.complete and ON_DISCONNECT in scope:
                scope[ON_DISCONNECT]()
            if logger.isEnabledFor(logging.DEBUG):
                exchange.log(scope, request_id, began)

    async def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> _Refusal | None:
        path: str = scope["path"]
        if NODE in headers and self._node_secret is not None:
            return self._check_node(scope, headers, self._node_secret)
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._knows(host):
            return _Refusal(
                403,
                "forbidden_host",
                f"This server does not go by the name {host!r}: use localhost, "
                "or start it with --allowed-host.",
            )
        origin = headers.get(b"origin")
        if origin is not None and not _same_origin(origin.decode("latin-1"), host):
            return _Refusal(403, "forbidden_origin", "Pages of other origins may not call this.")
        if headers.get(b"sec-fetch-site", b"none") not in _OWN_SITES:
            return _Refusal(403, "forbidden_origin", "Pages of other sites may not call this.")
        if self._logins.needed and not any(rule.fullmatch(path) for rule in _OPEN):
            refusal = await self._check_caller(scope, headers)
            if refusal is not None:
                return refusal
        if not path.startswith("/"):
            return _Refusal(400, "invalid_request", "The request's target is not a path.")
        return None

    def _check_node(
        self, scope: Scope, headers: dict[bytes, bytes], secret: bytes
    ) -> _Refusal | None:
        if not hmac.compare_digest(headers[NODE], secret):
            from wingman.cluster import OTHER_NODE  # noqa: PLC0415  (few are one of many nodes)

            message = "This is not the secret of this node: it may have been started again."
            return _Refusal(421, "session_elsewhere", message, ((OTHER_NODE, b"1"),))
        callers = headers.get(CALLERS, b"").decode("latin-1")
        ids = frozenset(id for id in callers.split(",") if id)
        scope[FORWARDED] = Forwarded(ids, COMMAND in headers, MAY_PASS in headers)
        return None

    def _knows(self, host: str) -> bool:
        if self._any_host:
            return True
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].strip("[]").lower()
        return is_loopback(name) or name in self._hosts

    async def _check_caller(self, scope: Scope, headers: dict[bytes, bytes]) -> _Refusal | None:
        if b"authorization" in headers:
            scheme, _, given = headers[b"authorization"].partition(b" ")
            if scheme.lower() == b"bearer" and self._logins.is_token(given.strip()):
                return None
        elif b"cookie" in headers and _from_our_page(scope["method"], headers):
            host = headers.get(b"host", b"").decode("latin-1")
            cookies = cookies_of(host, headers[b"cookie"].decode("latin-1"))
            try:
                for cookie in cookies:
                    if await self._logins.left(cookie):
                        return None
            except StoreUnavailable as error:
                return _Refusal(503, error.code, error.message)
        message = "Send the server's token as `Authorization: Bearer …`."
        return _Refusal(401, "unauthorized", message, ((b"www-authenticate", b"Bearer"),))


class _Exchange:
    """One request's answer on its way out."""

    __slots__ = ("_request_id", "_send", "_size", "_status", "complete")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self._request_id = request_id
        self._status: int | None = None
        self._size = 0
        self.complete = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-request-id", self._request_id)]
            self._status = message["status"]
        await self._send(message)
        self._size += len(message.get("body", b""))
        self.complete = message["type"] == "http.response.body" and not message.get("more_body")

    def log(self, scope: Scope, request_id: str, began: float) -> None:
        """Log the exchange, which began then on Trio's clock. A path is told without its query."""
        log_event(
            logger,
            logging.DEBUG,
            "request",
            request_id=request_id,
            method=scope["method"],
            path=scope["path"],
            status=self._status,
            outcome="complete" if self.complete else "broken off",
            bytes=self._size,
            ms=round((trio.current_time() - began) * 1000, 1),
        )

    async def refuse(self, refusal: _Refusal, request_id: str) -> None:
        body = error_body(refusal.code, refusal.message, request_id)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *refusal.headers,
        ]
        await self.send(
            {"type": "http.response.start", "status": refusal.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """A request's headers. One that comes twice is joined, as RFC 9110 (5.3) has it: a second
    `Host`, `Origin` or `Authorization` then spoils the first, and neither is believed."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _SANE_ID.fullmatch(given) else new_id()


def _same_origin(origin: str, host: str) -> bool:
    """Whether a page is our own. Its scheme is not compared: TLS may end before us."""
    match = _ORIGIN.fullmatch(origin)
    return match is not None and match["host"].lower() == host.lower()


def _from_our_page(method: str, headers: dict[bytes, bytes]) -> bool:
    """Whether a browser sends this for a page of ours, or for its user. Foreign ones are refused
    by then; what changes something has to name our own.

    A browser that does not say from where it comes does not send the cookie from elsewhere: it is
    `SameSite=Strict`.
    """
    site = headers.get(b"sec-fetch-site")
    return (
        method in _SAFE_METHODS or site == b"same-origin" or (site is None and b"origin" in headers)
    )
