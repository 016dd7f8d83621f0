"""One call to a provider, and the body of its response as a stream of bytes.

The hard part is the end: a reader may stop anywhere, and then the socket must be closed at once
and nothing be left to the garbage collector.
"""

import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

import attrs
import httpx
import trio

from wingman.errors import ProviderError, ProviderStreamError
from wingman.providers.transport.explaining import Explanation
from wingman.providers.transport.failures import (
    HTTPX_ERRORS,
    cause,
    failure,
    reported,
    request_id,
    told,
)
from wingman.providers.transport.inflating import CodedTwice, Inflater
from wingman.providers.transport.strays import no_stream

__all__ = ["ByteStream", "Call", "read"]

_DRAIN_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 5.0
_LOOK_BYTES: Final = 64 * 1024
_MOST_BYTES: Final = 256 * 1024 * 1024
"""No answer of a model is as large: some tens of megabytes are, with all that frames them."""


def _in_pieces(body: bytes | Sequence[bytes] | None) -> Sequence[bytes] | None:
    return (body,) if isinstance(body, bytes) else body


@attrs.frozen
class Call:
    """One HTTP request to a provider: a POST of JSON, or a GET where there is no body.

    A body may come in pieces, which are sent one after the other.

    `secret` is the key that the headers contain: it is kept out of errors, logs and `repr`, and so
    is a password in the URL.
    """

    provider: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: Sequence[bytes] | None = attrs.field(default=None, converter=_in_pieces, repr=False)
    secret: str | None = attrs.field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that must not be repeated of what the server is sent."""
        return tuple(filter(None, (self.secret, *_passwords(self.url))))


class ByteStream:
    """The body of a response, as it comes. Whoever opened it closes it, however its reader ends.

    `give_back` is called once nothing of the response is open any more.
    """

    def __init__(
        self, call: Call, response: httpx.Response, give_back: Callable[[], Awaitable[None]]
    ) -> None:
        self.response = response
        self._call = call
        self._give_back: Callable[[], Awaitable[None]] | None = give_back
        # Not httpx's decoded bytes: it inflates without a bound, and as often as it is told to.
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  a transport's is
        self._chunks = aiter(response.stream)
        self._inflater: Inflater | None = None
        self._received = 0
        self._complete = False
        self._ended = False  # nothing comes any more, and the generators below have ended

    async def receive(self) -> bytes:
        """Return the next piece, of at most 64 KiB where it was compressed; `b""` at the end.

        Raises a `ProviderError` if the connection breaks, or if there is no end of what comes.
        """
        inflater = self._inflater = self._inflater or self._made()
        try:
            while not (piece := inflater.piece()):
                try:
                    inflater.feed(await self._chunks.__anext__())
                except StopAsyncIteration:
                    self._ended = True
                    return b""
        except zlib.error as error:
            raise self.broken(f"its answer cannot be inflated: {error}") from error
        except HTTPX_ERRORS as error:
            secrets = self._call.secrets
            raise failure(error, self._call.provider, secrets) from cause(error, secrets)
        if inflater.holds:
            await trio.lowlevel.checkpoint()  # nothing else waits while there is more to inflate
        self._received += len(piece)
        if self._received > _MOST_BYTES:
            raise self.broken(f"its answer is larger than {_MOST_BYTES} bytes")
        return piece

    def complete(self) -> None:
        """Say that nothing of interest comes any more, so that the connection may be kept."""
        self._complete = True

    def broken(self, message: str, error_type: str | None = None) -> ProviderStreamError:
        """The error for a stream that is not what its protocol says."""
        error = self._told(ProviderStreamError, message, error_type)
        assert isinstance(error, ProviderStreamError)  # noqa: S101  as was asked for
        return error

    def reported(self, said: Explanation) -> ProviderError:
        """The error that the stream reports."""
        id = request_id(self.response.headers)
        provider, secrets = self._call.provider, self._call.secrets
        return reported(said, provider, secrets, request_id=id, may_pass=True)

    async def no_stream(self, beginning: bytes) -> ProviderError | None:
        """The error for a response that is none of the protocol's streams; None for an empty one.

        `beginning` is what was received; a little more is read, if it comes at once.
        """
        body = bytearray(beginning)
        with trio.move_on_after(_LOOK_SECONDS):
            try:
                while len(body) < _LOOK_BYTES and (piece := await self.receive()):
                    body += piece
            except ProviderError:
                pass  # what has come must do
        return no_stream(
            bytes(body[:_LOOK_BYTES]),
            self.response.headers,
            self._call.provider,
            self._call.secrets,
            coding=self._inflater.unknown if self._inflater is not None else None,
        )

    def _made(self) -> Inflater:
        try:
            return Inflater(self.response.headers.get("content-encoding", ""))
        except CodedTwice as error:
            message = f"its answer is compressed more than once ({error}), which is refused"
            raise self._told(ProviderError, message) from None

    def _told(
        self, kind: type[ProviderError], message: str, error_type: str | None = None
    ) -> ProviderError:
        id = request_id(self.response.headers)
        provider, secrets = self._call.provider, self._call.secrets
        return told(kind, message, provider, secrets, error_type=error_type, request_id=id)

    async def aclose(self) -> None:
        """Close the response, and its connection with it unless it was read to the end."""
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        try:
            if self._complete and not self._ended:
                # A connection is used again only if its response was read to the end.
                with trio.move_on_after(_DRAIN_SECONDS):
                    await self._exhaust()
            if not self._ended:
                await self._unwind()
        finally:
            try:
                await self.response.aclose()
            finally:
                await give_back()  # noqa: ASYNC102 what it closes, httpx shields

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
            self._ended = True
        except HTTPX_ERRORS:
            pass  # nobody reads it any more


def _passwords(url: str) -> tuple[str, ...]:
    """What a URL has before its host: as it stands, as it is meant, and as it is sent."""
    try:
        user, password = urlsplit(url).username or "", urlsplit(url).password or ""
    except ValueError:  # no URL: nothing is sent to it
        return ()
    if not password:
        return tuple(filter(None, (user, unquote(user))))
    sent = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return password, unquote(password), sent


async def read(stream: ByteStream, limit: int) -> bytes:
    """The whole body, or what comes of it up to `limit` bytes."""
    body = bytearray()
    while len(body) < limit and (chunk := await stream.receive()):
        body += chunk
    return bytes(body[:limit])
