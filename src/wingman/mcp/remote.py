"""A server that listens at a URL: streamable HTTP, by the SDK.

The SDK follows redirects within the server's origin alone, so that no header goes elsewhere.
Proxies are those of the environment. There is no OAuth: what a server wants to see goes into
`headers`.
"""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import anyio
import attrs
import httpx2
import msgspec
import trio
from mcp.client._transport import ReadStream, WriteStream
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError

from wingman.api import McpServer, without_secrets
from wingman.foreign import leaves, text_of
from wingman.mcp.failure import McpFailed
from wingman.mcp.traffic import Outbox, Traffic

__all__ = ["RemoteServer"]

_LARGEST: Final = 64 * 1024 * 1024  # bytes of a message
_TO_CONNECT: Final = 30.0  # seconds
_TO_TAKE_NOTE: Final = 10.0  # seconds; no request is sent while a notification is not taken
_MOST_CAUSES: Final = 10
_NO_ANSWER: Final = "Server returned an error response"  # the SDK's words for a bad status
_NO_SESSION: Final = "Session terminated"  # and for an unknown session


class _Envelope(msgspec.Struct):
    id: int | str | None = None
    method: str | None = None


@attrs.define(eq=False)
class RemoteServer:
    """A connection over HTTP, once `open` is entered. `lost` is set when it is of no use any more:
    then `reason` says why."""

    server: McpServer
    traffic: Traffic
    lost: trio.Event = attrs.field(factory=trio.Event, init=False)
    reason: str = attrs.field(default="", init=False)
    ran: bool = attrs.field(default=False, init=False)
    pid: int | None = attrs.field(default=None, init=False)
    _status: str | None = attrs.field(default=None, init=False)

    @asynccontextmanager
    async def open(
        self,
    ) -> AsyncIterator[tuple[trio.MemoryReceiveChannel[SessionMessage | Exception], Outbox]]:
        """Give what the SDK's client reads from and writes to."""
        try:
            async with (
                self._http() as http,
                streamable_http_client(
                    _without_userinfo(self.server.url or ""),
                    http_client=http,
                    max_sse_event_size=_LARGEST,
                ) as (read, write),
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(self._read, read)
                nursery.start_soon(self._write, write)
                try:
                    yield self.traffic.inbox, self.traffic.outbox
                finally:
                    nursery.cancel_scope.cancel()
        except BaseException as error:
            if (words := self._words(error)) is not None:
                self._lose(words)
            raise

    def _http(self) -> httpx2.AsyncClient:
        url = urlsplit(self.server.url or "")
        for name, value in self.server.headers.items():
            if not f"{name}{value}".isascii() or not f"{name}{value}".isprintable():
                raise McpFailed(f"Its header {name!r} has characters that no header may have.")
        auth = None
        if url.username is not None:
            auth = httpx2.BasicAuth(unquote(url.username), unquote(url.password or ""))
        return httpx2.AsyncClient(
            # A compressed answer could be a gigabyte before anybody has seen a byte of it.
            headers={**self.server.headers, "accept-encoding": "identity"},
            auth=auth,
            timeout=httpx2.Timeout(_TO_CONNECT, read=None),  # each call has its own time
            event_hooks={"request": [self._requested], "response": [self._answered]},
        )

    async def _requested(self, request: httpx2.Request) -> None:
        """What is no request of ours is taken note of in time: those behind it wait."""
        if request.method == "POST":
            envelope = msgspec.json.decode(request.content, type=_Envelope)
            if envelope.id is not None and envelope.method is not None:
                return
        if request.method != "GET":
            request.extensions["timeout"] = httpx2.Timeout(_TO_TAKE_NOTE).as_dict()

    async def _answered(self, response: httpx2.Response) -> None:
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            self._status = _status(response.status_code)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise httpx2.DecodingError("the answer is compressed, though that was not asked for")
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _Bounded(response.stream)

    async def _read(self, read: ReadStream[SessionMessage | Exception]) -> None:
        async for item in read:
            if isinstance(item, Exception):
                self.traffic.diary.note(logging.WARNING, text_of(item))
                continue
            message = item.message
            ended = isinstance(message, JSONRPCError) and message.error.message == _NO_SESSION
            if isinstance(message, JSONRPCError) and message.error.message == _NO_ANSWER:
                message.error.message = self._status or _NO_ANSWER
            await self.traffic.received(item)
            if ended:
                self._lose("It has ended the session.")
        self._lose(f"The connection to {self._place} broke.")

    async def _write(self, write: WriteStream[SessionMessage]) -> None:
        try:
            while (item := await self.traffic.next()) is not None:
                await write.send(item)
                self.traffic.wrote(item)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._lose(f"The connection to {self._place} broke.")

    def _lose(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.lost.set()

    @property
    def _place(self) -> str:
        return without_secrets(self.server.url or "")

    def _words(self, error: BaseException) -> str | None:
        """Why it failed, where that was in HTTP or below it."""
        for leaf in leaves(error):
            match leaf:
                case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
                    return f"No connection to {self._place} came about in {_TO_CONNECT:g} s."
                case httpx2.ConnectError() if (why := _tls_failure(leaf)) is not None:
                    return f"TLS with {self._place} failed: {why}."
                case httpx2.ConnectError():
                    return f"There is no connection to {self._place}: {text_of(leaf)}."
                case httpx2.HTTPError() | httpx2.InvalidURL() | httpx2.StreamError():
                    return f"The connection to {self._place} broke: {text_of(leaf)}."
                case MCPError() if self._status is not None:
                    return f"{self._place} answered with {self._status}."
        return None


class _Bounded(httpx2.AsyncByteStream):
    """A body that is not longer than anybody will hold."""

    def __init__(self, stream: object) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for piece in self._stream:  # type: ignore[attr-defined]  # httpx2 has two kinds
            length += len(piece)
            if length > _LARGEST:
                raise httpx2.StreamError(f"the answer has more than {_LARGEST:,} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _tls_failure(error: BaseException | None) -> str | None:
    """What was wrong with TLS, if that is why."""
    for _ in range(_MOST_CAUSES):
        if error is None:
            break
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if isinstance(error, ssl.SSLError):
            return str(error.reason or text_of(error))
        error = error.__cause__ or error.__context__
    return None


def _status(code: int) -> str:
    try:
        words = f"the HTTP status {code} {HTTPStatus(code).phrase}"
    except ValueError:
        words = f"the HTTP status {code}"
    if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"{words}: it wants something else in `headers` (there is no OAuth here)"
    return words
