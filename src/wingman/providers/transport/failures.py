"""What can go wrong on the way to a provider, as Wingman's errors: the one place that maps it.

The sources: what httpx raises, or lets through of what it stands on (`failure`), responses that are
not good (`refusal`), errors that come in a stream (`reported`), and what comes in place of one
(`no_stream`). None ever repeats a secret: providers echo keys, and so do HTTP libraries that find
one malformed. `told` sees to it, and makes every one of these errors.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import httpx
import msgspec

from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)
from wingman.providers.transport.explaining import (
    NOTHING_SAID,
    Explanation,
    explained,
    is_error,
    is_page,
    page_text,
    shortened,
)
from wingman.providers.transport.retry import passes
from wingman.providers.transport.scrubbing import is_clean, scrub

__all__ = [
    "HTTPX_ERRORS",
    "SENDING_ERRORS",
    "cause",
    "could_not_ask",
    "failure",
    "is_failure",
    "no_stream",
    "refusal",
    "reported",
    "request_id",
    "stray",
    "told",
]

HTTPX_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
"""The roots of all that httpx raises; a test holds it to that."""

_LET_THROUGH = (OSError, UnicodeError)  # UnicodeError: a host that is no name, such as `a..b`

SENDING_ERRORS = (*HTTPX_ERRORS, *_LET_THROUGH, RuntimeError)
"""What sending a request may raise that `is_failure` tells from bugs."""

_LONGEST_MESSAGE: Final = 1000
_LONGEST_WORD: Final = 200
_LONGEST_READ: Final = 4 * _LONGEST_MESSAGE

_FOR_ITS_CONTENT: Final = frozenset({400, 413, 422})
_FRAMED: Final = ("data:", "event:", ":")

# What the names of errors say that come with a good status. The first that fits counts.
_QUOTA: Final = re.compile(r"quota|billing|credit|insufficient_?balance|payment")
_ABSENT: Final = re.compile(r"not_?found|no_such|decommission|deprecated|disabled")
_PASSING: Final = re.compile(
    r"overloaded|rate.?limit|too many requests|try again|temporarily", re.IGNORECASE
)
"""What a message says of an error that may pass, where that has no name."""
_KINDS: Final[tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = (
    (_QUOTA, ProviderRateLimited),
    (
        re.compile(r"authenti|unauthori|permission|forbidden|api_?key|access_?denied"),
        ProviderAuthError,
    ),
    (_ABSENT, ProviderRejected),
    (
        re.compile(
            r"rate_?limit|overload|throttl|too_?many|exhausted|unavailable|timeout|timed_?out|"
            r"server_?error|internal|api_error|capacity|busy|deadline|connection|gateway"
        ),
        ProviderStreamError,
    ),
    (
        re.compile(
            r"invalid_?(request|prompt|argument|param|image|base64|json|value|schema)|bad_?request|"
            r"validation|unprocessable|image|too_?large|context_?(length|window)|content_policy|"
            r"unsupported|malformed|string_above_max"
        ),
        ProviderRejected,
    ),
)

_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.TooManyRedirects,
)

_RETRIED = (
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
)


def could_not_ask(error: Exception) -> bool:
    """Whether the request may not have reached the provider, so that asking again makes sense.

    `RemoteProtocolError` is among them: a kept-alive connection that the server closes just as it
    is used again looks like this. A provider that is silent for the whole timeout is not.
    """
    return isinstance(error, _RETRIED) or _has_no_thread(error)


def is_failure(error: Exception) -> bool:
    """Whether what sending a request has raised is a failure to reach the provider, and no bug."""
    return isinstance(error, (*HTTPX_ERRORS, *_LET_THROUGH)) or _has_no_thread(error)


def failure(error: Exception, provider: str, secrets: Iterable[str] = ()) -> ProviderError:
    """What httpx raised or let through, as an error of ours; raise it `from` its `cause`."""
    detail = str(error)
    said = f"{type(error).__name__}: {detail}" if detail else type(error).__name__
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return told(ProviderTimeout, f"no connection in time ({said})", provider, secrets)
    if isinstance(error, httpx.TimeoutException):
        text = f"silent for longer than the timeout ({said})"
        return told(ProviderTimeout, text, provider, secrets)
    if _has_no_thread(error):
        text = (
            "its name could not be resolved, as this process can start no thread: it is at a "
            f"limit of processes or of memory ({said})"
        )
        return told(ProviderError, text, provider, secrets)
    if isinstance(error, (*_NEVER_SENT, *_LET_THROUGH)):
        return told(ProviderError, f"could not be reached ({said})", provider, secrets)
    return told(ProviderStreamError, f"the connection broke ({said})", provider, secrets)


def cause(error: Exception, secrets: Iterable[str]) -> Exception | None:
    """The exception to raise an error of ours from: none where its traceback shows a secret."""
    return error if is_clean(error, secrets) else None


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    provider: str,
    secrets: Iterable[str] = (),
) -> ProviderError:
    """A response that is not good, as an error of ours, with what the provider says of it."""
    said = _read(body, headers.get("content-type", ""))
    message = said.message
    if 300 <= status < 400:
        message = "answered with a redirect, which is not followed: correct its base URL"
    kind = _refusal_class(status, said.words)
    return told(
        kind,
        message or "refused, and did not say why",
        provider,
        secrets,
        status=status,
        error_type=said.kind,
        request_id=request_id(headers) or said.request_id,
        refused=kind is ProviderRejected and status in _FOR_ITS_CONTENT,
    )


def reported(
    said: Explanation,
    provider: str,
    secrets: Iterable[str] = (),
    *,
    request_id: str | None = None,
    may_pass: bool,
) -> ProviderError:
    """An error that came with a good status: in a stream, or in place of one.

    A `ProviderStreamError`, which is worth another try, where it may pass. `may_pass` says so of
    one that has no name that tells.
    """
    kind, refused = _reported_class(said, may_pass)
    return told(
        kind,
        said.message or NOTHING_SAID,
        provider,
        secrets,
        error_type=said.kind,
        request_id=request_id or said.request_id,
        refused=refused,
    )


def no_stream(
    body: bytes,
    headers: Mapping[str, str],
    provider: str,
    secrets: Iterable[str] = (),
    *,
    coding: str | None = None,
) -> ProviderError | None:
    """A good response out of which nothing could be read, as an error that says what it is.

    `body` is its beginning, `coding` a content coding that is not known. None where the body has
    nothing to say: it is empty, or is but the beginning of a stream.
    """
    id, type = request_id(headers), headers.get("content-type", "").partition(";")[0].strip()
    if coding is not None and body:
        text = (
            f"its answer has the content coding {coding!r}, which was not asked for and is not "
            "known: look at its base URL, and at the proxies before it"
        )
        return told(ProviderError, text, provider, secrets, request_id=id)
    text = body.decode(errors="replace")
    if not text.strip():
        return None
    if type.lower() == "text/html" or is_page(text):
        title = page_text(text)
        shown = f" ({title!r})" if title else ""
        text = f"answered with a web page{shown} and not with a stream: look at its base URL"
        return told(ProviderError, text, provider, secrets, request_id=id)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _no_json(text, type, id, provider, secrets)
    if isinstance(value, dict) and is_error(value):
        return reported(explained(value), provider, secrets, request_id=id, may_pass=False)
    said = explained(value).message or text
    text = f"answered with JSON and not with a stream: {said[:_LONGEST_WORD]}"
    return told(ProviderError, text, provider, secrets, request_id=id)


def stray(tail: bytes) -> Explanation | None:
    """What stands in a stream's last bytes that is of no protocol, such as a proxy's error."""
    text = "\n".join(line for line in tail.decode(errors="replace").splitlines() if _strays(line))
    if not text.strip():
        return None
    if is_page(text):
        return Explanation(f"a web page came in the middle of the stream ({page_text(text)!r})")
    try:
        return explained(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Explanation(f"its stream has what is no event: {text.strip()[:_LONGEST_WORD]!r}")


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own id of a request: what its support asks for. It may hold a secret."""
    return headers.get("request-id") or headers.get("x-request-id")


def told(
    kind: type[ProviderError],
    message: str,
    provider: str,
    secrets: Iterable[str],
    *,
    status: int | None = None,
    error_type: str | None = None,
    request_id: str | None = None,
    refused: bool = False,
) -> ProviderError:
    """An error of a provider. All of its texts are scrubbed here, whatever they were made of."""
    secrets = tuple(secrets)

    def clean(text: str, longest: int) -> str:
        return shortened(scrub(text[:_LONGEST_READ], secrets), longest)

    return kind(
        clean(message, _LONGEST_MESSAGE),
        provider=provider,
        status=status,
        error_type=clean(error_type, _LONGEST_WORD) if error_type else None,
        request_id=clean(request_id, _LONGEST_WORD) if request_id else None,
        refused=refused,
    )


def _has_no_thread(error: Exception) -> bool:
    """Whether no thread could be started: a name is resolved in one, where none is idle."""
    return isinstance(error, RuntimeError) and "new thread" in str(error)


def _refusal_class(status: int, words: str) -> type[ProviderError]:
    if "api_key_invalid" in words:
        return ProviderAuthError  # Gemini says so with a 400
    match status:
        case 401 | 403:
            return ProviderAuthError
        case 408 | 504:
            return ProviderTimeout
        case 409:
            return ProviderError
        case 429:
            return ProviderRateLimited
        case _:
            return ProviderRejected if 300 <= status < 500 else ProviderError


def _reported_class(said: Explanation, may_pass: bool) -> tuple[type[ProviderError], bool]:
    """The class of an error that came with a good status, and whether the content was refused."""
    if said.status is not None:
        kind = _refusal_class(said.status, said.words)
        if passes(said.status, {}):
            return (
                ProviderRateLimited if _QUOTA.search(said.words) else ProviderStreamError
            ), False
        return kind, kind is ProviderRejected and said.status in _FOR_ITS_CONTENT
    for names, kind in _KINDS:
        if names.search(said.words):
            return kind, kind is ProviderRejected and names is not _ABSENT
    may_pass = may_pass or (not said.words and _PASSING.search(said.message) is not None)
    return (ProviderStreamError if may_pass else ProviderError), False


def _read(body: bytes, content_type: str) -> Explanation:
    try:
        return explained(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode(errors="replace").strip()
    if content_type.lower().startswith("text/html"):
        return Explanation(page_text(text))
    return Explanation(text)


def _no_json(
    text: str, type: str, id: str | None, provider: str, secrets: Iterable[str]
) -> ProviderError | None:
    lines = text.splitlines()
    if any(line.startswith(_FRAMED) for line in lines):  # a stream that broke off
        said = stray(text.encode())
        if said is None:
            return None
        return reported(said, provider, secrets, request_id=id, may_pass=True)
    if text.lstrip().startswith(("{", "[")):
        return None
    shown = " ".join(text.split())[:_LONGEST_WORD]
    if sum(not char.isprintable() or char == "\ufffd" for char in shown) > len(shown) // 4:
        shown = "bytes that are no text"
    kind = f" ({type})" if type else ""
    text = f"answered with what is no stream{kind}: {shown}"
    return told(ProviderError, text, provider, secrets, request_id=id)


def _strays(line: str) -> bool:
    """Whether a line belongs to no stream: neither to Server-Sent Events nor to NDJSON."""
    line = line.strip()
    if not line or line in ("data", "event") or line.startswith((*_FRAMED, "id:", "retry:")):
        return False
    if not line.startswith('{"'):
        return True
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False  # it broke off
    return isinstance(value, dict) and is_error(value)
