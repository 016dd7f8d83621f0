"""One call to a provider, and the body of its response as a stream of bytes.

The hard part is the end: a reader may stop anywhere, and then the socket must be closed at once
and nothing be left to the garbage collector.
"""

from collections.abc import Mapping
from typing import Final

import attrs
import httpx
import trio

from wingman.errors import ProviderStreamError
from wingman.providers.transport.failures import HTTPX_ERRORS, failure, request_id, scrub

__all__ = ["ByteStream", "Call", "read"]

_DRAIN_SECONDS: Final = 0.1


@attrs.frozen
class Call:
    """One HTTP request to a provider: a POST of JSON, or a GET where there is no body.

    `secret` is the key that the headers contain: it is kept out of errors, logs and `repr`.
    """

    provider: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    secret: str | None = attrs.field(default=None, repr=False)


class ByteStream:
    """The body of a response, as it comes. Whoever opened it closes it, however its reader ends."""

    def __init__(self, call: Call, response: httpx.Response) -> None:
        self._call = call
        self._response = response
        self._chunks = response.aiter_bytes()
        self._complete = False

    async def receive(self) -> bytes:
        """Return the next chunk; `b""` at the end."""
        try:
            return await anext(self._chunks, b"")
        except HTTPX_ERRORS as error:
            raise failure(error, self._call.provider, self._call.secret) from error

    def complete(self) -> None:
        """Say that nothing of interest comes any more, so that the connection may be kept."""
        self._complete = True

    def broken(self, message: str, error_type: str | None = None) -> ProviderStreamError:
        """The error for a stream that is not what its protocol says."""
        return ProviderStreamError(
            scrub(message, self._call.secret),
            provider=self._call.provider,
            error_type=scrub(error_type, self._call.secret) if error_type else None,
            request_id=request_id(self._response.headers),
        )

    async def aclose(self) -> None:
        """Close the response, and its connection with it unless it was read to the end."""
        try:
            if self._complete:
                # A connection is used again only if its response was read to the end.
                with trio.move_on_after(_DRAIN_SECONDS):
                    await self._exhaust()
            await self._unwind()
        finally:
            await self._response.aclose()

    async def _unwind(self) -> None:
        # httpx's body is several async generators, one in the other. Closing the outermost leaves
        # the inner ones to the garbage collector, which complains; a read that is cancelled ends
        # them all, from the inside out, and closes the socket.
        with trio.CancelScope() as scope:
            scope.cancel()
            await self._exhaust()

    async def _exhaust(self) -> None:
        try:
            async for _ in self._chunks:
                pass
        except HTTPX_ERRORS:
            pass  # nobody reads it any more


async def read(stream: ByteStream, limit: int) -> bytes:
    """The whole body, or what comes of it up to `limit` bytes."""
    body = bytearray()
    while len(body) < limit and (chunk := await stream.receive()):
        body += chunk
    return bytes(body[:limit])
