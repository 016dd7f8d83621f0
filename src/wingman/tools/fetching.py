"""The exchange with a server of the web: a URL, the redirects it leads to, and the last answer.

The URL is parsed once, and each connection is made where the parts of that lead: whatever httpcore
connects to has passed `addresses_of`. The environment's proxies are not used: one would resolve the
name again, and connect to an address at which nobody has looked.
"""

import errno
import functools
import re
import ssl
from collections.abc import Iterable
from typing import Any

import attrs
import httpcore
import httpx
import trio

from wingman.errors import ToolError
from wingman.tools.addresses import addresses_of
from wingman.tools.base import ToolContext
from wingman.tools.threads import run_in_thread

__all__ = ["Answer", "fetch", "shown"]

_MOST_REDIRECTS = 5
_CONNECT_TIMEOUT = 10.0  # seconds, for each address
_LONGEST_CHAIN = 10  # exceptions behind one another
_LONGEST_REASON = 500  # characters
_LONGEST_SHOWN = 200  # characters of a URL, in an error
_READ = 4_096  # bytes; thousands of tiny chunks or answers in one read would hold the loop
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = (
    (b"User-Agent", b"wingman-webfetch"),
    (b"Accept", b"text/markdown, text/html, text/*;q=0.9, */*;q=0.1"),
    (b"Accept-Encoding", b"gzip"),
    (b"Connection", b"close"),
)
_USER = re.compile(r"(?<=//)[^/?#@]*@")  # it may be a secret
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?")
_LAST_PORT = 65_535
# Programs disagree on what a URL with these means, and so on which host it names.
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]")


@attrs.frozen
class Answer:
    """What a server answered: `body` as it came, compressed or not; `is_cut`: it was longer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_cut: bool

    def header(self, name: str) -> str:
        """The values of a header, the last of which counts where there should be one."""
        wanted = name.encode()
        values = [value for key, value in self.headers if key.lower() == wanted]
        return ", ".join(value.decode("latin-1") for value in values)


async def fetch(url: str, context: ToolContext, most: int) -> Answer:
    """Get what is at a URL, and `most` bytes of it; each redirect is as suspect as the URL itself.

    Raises `ToolError`.
    """
    target = _parsed(url.strip(), None)
    try:
        async with httpcore.AsyncConnectionPool(
            ssl_context=await run_in_thread(_tls, context, "the loading of certificates"),
            network_backend=_PublicOnly(),
        ) as pool:
            for _ in range(1 + _MOST_REDIRECTS):
                answer = await _ask(pool, target, most)
                location = answer.header("location")
                if answer.status not in _REDIRECTS or not location:
                    return answer
                target = _parsed(location, target)
                if not context.allows("webfetch", str(target)):
                    raise ToolError(
                        f"{shown(url)} redirects to {shown(str(target))}, which may need the "
                        "user's permission: fetch that address itself if you need it."
                    )
    except OSError as error:  # no descriptor is left for the certificates, or there are none
        raise ToolError(f"{shown(url)} could not be fetched: {error}. Try again later.") from error
    except _FAILURES as error:
        raise ToolError(
            f"{shown(url)} could not be fetched: {_reason(error)}. Check the URL."
        ) from error
    raise ToolError(f"{shown(url)} redirects more than {_MOST_REDIRECTS} times.")


def _parsed(text: str, base: httpx.URL | None) -> httpx.URL:
    """A URL of the web, whose parts are the ones that are connected to; relative to `base`."""
    if _AMBIGUOUS.search(text):
        raise ToolError(
            f"{shown(text)} cannot be fetched: it has a backslash or a control character in it. "
            "Write it without."
        )
    try:
        url = httpx.URL(text) if base is None else base.join(text)
        host = url.host and url.raw_host.decode()
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise ToolError(f"{shown(text)} is no URL: {_reason(error)}. Check it.") from error
    if url.scheme not in {"http", "https"} or not host:
        raise ToolError(
            f"{shown(text)} cannot be fetched: only http:// and https:// addresses can."
        )
    if not _HOST.fullmatch(host):
        raise ToolError(f"{shown(text)} is no URL: {shown(host)} is no name of a host. Check it.")
    if url.userinfo:
        raise ToolError(
            f"{shown(text)} was given with a user "
            "name before its host: webfetch logs in nowhere. Write it without, or use `curl`."
        )
    if url.port is not None and not 0 < url.port <= _LAST_PORT:
        raise ToolError(f"{shown(text)} is no URL: there is no port {url.port}. Check it.")
    return url


def shown(url: str) -> str:
    """A URL as it stands in an error: printable, and not too long."""
    text = _AMBIGUOUS.sub(lambda match: match[0].encode("unicode_escape").decode(), url)
    text = _USER.sub("", text.encode(errors="replace").decode(), count=1)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


async def _ask(pool: httpcore.AsyncConnectionPool, url: httpx.URL, most: int) -> Answer:
    host = url.raw_host.decode()
    address = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    extensions = {"timeout": {"connect": _CONNECT_TIMEOUT}, "sni_hostname": host.rstrip(".")}
    headers = [(b"Host", url.netloc), *_HEADERS]
    async with pool.stream("GET", address, headers=headers, extensions=extensions) as response:
        body = bytearray()
        if response.status not in _REDIRECTS:
            # To break out of the iteration would leave its generators to the garbage collector.
            with trio.CancelScope() as enough:
                async for piece in response.aiter_stream():
                    body += piece
                    if len(body) > most:
                        enough.cancel()
                    # Others have their turn; a cancel is for the iteration, which then ends itself.
                    await trio.lowlevel.cancel_shielded_checkpoint()
        return Answer(response.status, response.headers, bytes(body[:most]), len(body) > most)


_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
)


def _reason(error: BaseException) -> str:
    """What it says, or what was behind it: a refused certificate is wrapped without a word, and a
    want of descriptors as an address that does not answer."""
    behind: BaseException | None = error
    said = ""
    for _ in range(_LONGEST_CHAIN):
        if behind is None:
            break
        if isinstance(behind, OSError) and behind.errno in (errno.EMFILE, errno.ENFILE):
            return f"{behind.strerror} on Wingman's side, try again later"
        said = said or str(behind).rstrip(".")
        if isinstance(behind, BaseExceptionGroup):  # Trio's: an attempt for each address
            behind = behind.exceptions[0]
        else:
            behind = behind.__cause__ or behind.__context__
    return (said or type(error).__name__)[:_LONGEST_REASON]


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all calls: to load the certificates takes tens of milliseconds."""
    return httpx.create_ssl_context()


class _PublicOnly(httpcore.AsyncNetworkBackend):
    """Connects to a host's addresses in turn, to none that is not allowed."""

    def __init__(self) -> None:
        self._backend = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        for address in await addresses_of(host, port):
            try:
                stream = await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
                return _Paced(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Paced(httpcore.AsyncNetworkStream):
    """A connection that is read in small pieces, between which other tasks have their turn."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(min(max_bytes, _READ), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Paced(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
