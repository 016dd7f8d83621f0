"""The one door to the network: a `Transport` that all runs share.

It sends a `Call` and hands back bytes. It retries before the first byte of a good response and
never after it, maps everything that can go wrong to `ProviderError`s, follows no redirect (a key
goes where it was meant to go and nowhere else), and leaves no socket open behind a consumer that
breaks out, raises or is cancelled. It knows nothing of what the bytes mean.
"""

import itertools
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec
import trio

from wingman.errors import ProviderError
from wingman.foreign import contained
from wingman.providers.transport.bytestream import ByteStream, Call, read
from wingman.providers.transport.connections import Connections
from wingman.providers.transport.failures import (
    SENDING_ERRORS,
    cause,
    could_not_ask,
    failure,
    is_failure,
    refusal,
    told,
)
from wingman.providers.transport.retry import Retry, asked_delay, passes
from wingman.providers.transport.scrubbing import without
from wingman.providers.transport.sending import Requests
from wingman.under_trio import require_trio

__all__ = ["Transport"]

_log = logging.getLogger("wingman.providers")

_ERROR_BODY: Final = 64 * 1024
_JSON_BODY: Final = 16 * 1024 * 1024
_ERROR_BODY_SECONDS: Final = 10.0


class Transport:
    """The HTTP client that all runs share; an async context manager.

    `connect_timeout` and `idle_timeout` are in seconds; the latter bounds the wait for the first
    byte and between two chunks. There is no total timeout: a run's limits, or a caller's cancel
    scope, bound the whole. `over` takes the network's place in tests (`httpx.MockTransport`).
    `on_retry` is told the provider's name each time that one is asked again; what it raises is
    logged and ignored.

    The TLS context is made by the first call: who asks only local or scripted models does not pay
    for it.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        idle_timeout: float = 300.0,
        retry: Retry | None = None,
        over: httpx.AsyncBaseTransport | None = None,
        on_retry: Callable[[str], None] | None = None,
    ) -> None:
        timeout = httpx.Timeout(idle_timeout, connect=connect_timeout, pool=connect_timeout)
        self._requests = Requests(timeout)
        self._retry = retry or Retry()
        self._over = over
        self._on_retry = on_retry
        self._connections: Connections | None = None
        self._open = False

    async def __aenter__(self) -> Self:
        require_trio()
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.aclose()

    async def open_stream(self, call: Call) -> ByteStream:
        """Send a call and return the body of its good response; its reader closes it.

        Raises a `ProviderError` if there is no good response after the retries.
        """
        require_trio()
        return await self._send(call, self._retry)

    async def get_json(self, call: Call, *, retry: Retry | None = None) -> Any:
        """Send a call and return its response's JSON, of at most 16 MiB."""
        require_trio()
        stream = await self._send(call, retry or self._retry)
        try:
            body = await read(stream, _JSON_BODY)
            stream.complete()
        finally:
            await stream.aclose()
        try:
            # Whatever it says may be shown to who asked.
            return without(msgspec.json.decode(body), call.secrets)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise stream.broken(f"answered with what is not JSON: {error}") from error

    async def _send(self, call: Call, retry: Retry) -> ByteStream:
        deadline = trio.current_time() + retry.elapsed
        for attempt in itertools.count(1):
            try:
                return await self._attempt(call)
            except _Passing as passing:
                asked = passing.asked_delay
                delay = retry.backoff(attempt) if asked is None else asked
                if attempt >= retry.attempts or trio.current_time() + delay > deadline:
                    error = passing.error
                    del passing.error  # it is the error's context: they would hold each other
                    try:
                        raise error from passing.__cause__
                    finally:
                        del error  # its traceback holds this frame
                _log.warning(
                    "%s: %s; attempt %d of %d follows in %.1f s",
                    call.provider,
                    passing,
                    attempt + 1,
                    retry.attempts,
                    delay,
                )
                self._tell(call.provider)
            await trio.sleep(delay)
        raise AssertionError("unreachable")

    def _tell(self, provider: str) -> None:
        try:
            if self._on_retry is not None:
                self._on_retry(provider)
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            _log.error("on_retry raised", exc_info=contained(error))

    async def _attempt(self, call: Call) -> ByteStream:
        connections = self._opened(call)
        try:
            stream = await self._asked(call, connections)
        except SENDING_ERRORS as raised:
            if not is_failure(raised):
                raise
            # Each error is made where it is raised: a name for it would be a name in a frame of its
            # own traceback, and the two would wait for the garbage collector.
            if could_not_ask(raised):
                raise _Passing(
                    type(raised).__name__, failure(raised, call.provider, call.secrets)
                ) from cause(raised, call.secrets)
            raise failure(raised, call.provider, call.secrets) from cause(raised, call.secrets)
        response = stream.response
        if response.is_success:
            return stream
        if passes(response.status_code, response.headers):
            raise _Passing(
                f"HTTP {response.status_code}",
                await self._refused(call, stream),
                asked_delay(response.headers, datetime.now(UTC)),
            )
        raise await self._refused(call, stream)

    async def _asked(self, call: Call, connections: Connections) -> ByteStream:
        request = self._requests.of(call)
        connection = connections.take(request.url)
        response: httpx.Response | None = None
        try:
            response = await connection.transport.handle_async_request(request)
        finally:
            if response is None:
                await connections.give_back(connection)  # noqa: ASYNC102 httpx shields it
        return ByteStream(call, response, partial(connections.give_back, connection))

    async def _refused(self, call: Call, stream: ByteStream) -> ProviderError:
        response, body = stream.response, b""
        try:
            with trio.move_on_after(_ERROR_BODY_SECONDS):
                body = await read(stream, _ERROR_BODY)
                stream.complete()
        except ProviderError:
            pass  # the status says enough
        finally:
            await stream.aclose()
        return refusal(response.status_code, response.headers, body, call.provider, call.secrets)

    def _opened(self, call: Call) -> Connections:
        if not self._open:
            raise RuntimeError("open the transport first: `async with Transport() as transport:`")
        if self._connections is None:
            try:
                self._connections = Connections(self._over)
            except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
                # It reads the environment: SSL_CERT_FILE, HTTPS_PROXY and their like.
                text = (
                    "the HTTP client cannot be made: look at SSL_CERT_FILE, SSL_CERT_DIR and the "
                    f"proxies in the environment ({type(error).__name__}: {error})"
                )
                shown = cause(error, call.secrets)
                raise told(ProviderError, text, call.provider, call.secrets) from shown
        return self._connections


class _Passing(Exception):
    """An attempt failed in a way that may pass; `asked_delay` is the server's wish, in seconds."""

    def __init__(self, why: str, error: ProviderError, asked_delay: float | None = None) -> None:
        super().__init__(why)
        self.error = error
        self.asked_delay = asked_delay
