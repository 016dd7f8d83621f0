"""The tool `webfetch`: a page of the public web, as text."""

import errno
import functools
import ssl
from typing import Annotated

import attrs
import httpx
import msgspec
import trio

from wingman.errors import ToolError
from wingman.processes import clip
from wingman.tools.addresses import addresses_of
from wingman.tools.base import ToolContext
from wingman.tools.decorator import tool
from wingman.tools.threads import run_in_thread

__all__ = ["webfetch"]

_LARGEST_BODY = 5_000_000  # bytes, decompressed
_LARGEST_HTML = 1_000_000  # bytes; its conversion takes seconds
_MOST_REDIRECTS = 5
_CONNECT_TIMEOUT = 10.0  # seconds, for each address
_LONGEST_CHAIN = 10  # exceptions behind one another
_ERROR_SHOWN = 2_000  # characters of an error's page
_HEADERS = {
    "User-Agent": "wingman-webfetch",
    "Accept": "text/markdown, text/html, text/*;q=0.9, */*;q=0.1",
}
_HTML = {"text/html", "application/xhtml+xml"}
_TEXT = {"application/json", "application/xml", "application/javascript", "application/yaml"}

Seconds = Annotated[float, msgspec.Meta(gt=0, le=120)]


@attrs.frozen
class _Page:
    """What a server answered. `charset` is what its header says; `cut_at`: the body was longer."""

    status: int
    media_type: str
    charset: str | None
    body: bytes
    cut_at: int | None

    @property
    def text(self) -> str:
        try:
            text = self.body.decode(self.charset or "utf-8", "replace")
        except LookupError:
            text = self.body.decode("utf-8", "replace")
        return text.replace("\0", "\ufffd")


@tool
async def webfetch(url: str, context: ToolContext, timeout: Seconds = 30) -> str:
    """Fetch a page of the public web and return it as text: HTML as Markdown, JSON and text as is.

    Redirects are followed. Other kinds of content (images, PDF, archives) and addresses that are
    not public are refused.

    Args:
        url: The address, http:// or https://.
        timeout: Seconds for all of it, 120 at most.
    """
    with trio.move_on_after(timeout):
        page = await _fetch(url, context)
        text = await _readable(page, url, context)
        note = f"\n[Only the first {page.cut_at:,} bytes were read.]" if page.cut_at else ""
        return clip(text, context.max_output - len(note)) + note
    raise ToolError(f"{url} took longer than {timeout:g} s: try again later, or another source.")


async def _fetch(url: str, context: ToolContext) -> _Page:
    """Get the page, following redirects, each as suspect as the first address.

    The environment's proxies are not used: one would resolve the name again, and connect to an
    address at which nobody has looked.
    """
    try:
        target = httpx.URL(url)
        async with httpx.AsyncClient(
            verify=await run_in_thread(_tls, context, "the loading of certificates"),
            trust_env=False,
            headers=_HEADERS,
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT),
        ) as client:
            for _ in range(1 + _MOST_REDIRECTS):
                response = await _ask(client, target)
                try:
                    if not response.has_redirect_location:
                        return await _read(response)
                    target = target.join(response.headers["location"])
                finally:
                    await response.aclose()
    except OSError as error:  # no descriptor is left for the certificates, or there are none
        raise ToolError(f"{url} could not be fetched: {error}. Try again later.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ToolError(f"{url} could not be fetched: {_reason(error)}. Check the URL.") from error
    raise ToolError(f"{url} redirects more than {_MOST_REDIRECTS} times.")


def _reason(error: BaseException) -> str:
    """What it says, or what was behind it: httpx wraps a refused certificate without a word, and a
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
    return said or type(error).__name__


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all calls: to load the certificates takes tens of milliseconds."""
    return httpx.create_ssl_context()


async def _ask(client: httpx.AsyncClient, url: httpx.URL) -> httpx.Response:
    """Ask the host's first address that can be connected to, by number, under the host's name."""
    if url.scheme not in {"http", "https"} or not url.host:
        raise ToolError(f"{url} cannot be fetched: only http:// and https:// addresses can.")
    host = url.raw_host.decode()
    failure: httpx.TransportError = httpx.ConnectError("no address")
    for address in await addresses_of(host, url.port or (443 if url.scheme == "https" else 80)):
        request = client.build_request(
            "GET",
            url.copy_with(host=address),
            headers={"Host": url.netloc.decode()},
            extensions={"sni_hostname": host},  # the certificate is checked against it as well
        )
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            failure = error
    raise failure


async def _read(response: httpx.Response) -> _Page:
    """The body, as far as it is taken."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    most = _LARGEST_HTML if media_type in _HTML else _LARGEST_BODY
    body = bytearray()
    # To break out of the iteration would leave its generators to the garbage collector.
    with trio.CancelScope() as enough:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > most:
                enough.cancel()
    return _Page(
        status=response.status_code,
        media_type=media_type,
        charset=response.charset_encoding,
        body=bytes(body[:most]),
        cut_at=most if len(body) > most else None,
    )


async def _readable(page: _Page, url: str, context: ToolContext) -> str:
    """The page as text for a model; `ToolError` where it is an error's page, or no text."""
    if page.status >= 400:
        said = clip(page.text, _ERROR_SHOWN) if _is_text(page) else ""
        raise ToolError(f"{url} answered with HTTP {page.status}. {said}".strip())
    if page.media_type in _HTML:
        return await run_in_thread(
            lambda: _markdown(page, url), context, "the conversion of a page to Markdown"
        )
    if not _is_text(page):
        raise ToolError(
            f"{url} is {page.media_type or 'binary'}, not text: "
            "where it is needed, fetch it to a file with `curl` in bash."
        )
    return page.text


def _markdown(page: _Page, url: str) -> str:
    from wingman.tools.markdown import to_markdown  # noqa: PLC0415 - 0.1 s, for who fetches HTML

    try:
        return to_markdown(page.body, page.charset).replace("\0", "\ufffd")
    except RecursionError as error:
        raise ToolError(f"{url} is nested too deep to convert: use `curl` in bash.") from error


def _is_text(page: _Page) -> bool:
    kind = page.media_type
    if not kind:
        return b"\0" not in page.body
    return (
        kind.startswith("text/")
        or kind in _HTML | _TEXT
        or kind.endswith(("+json", "+xml", "+yaml"))
    )
