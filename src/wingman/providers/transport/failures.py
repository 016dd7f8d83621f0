"""What can go wrong on the way to a provider, as Wingman's errors: the one place that maps it.

The sources: what httpx raises, or lets through of what it stands on (`failure`), responses that are
not good (`refusal`), and errors that come in a stream, or in place of one (`reported`). None ever
repeats a secret: providers echo keys, and so do HTTP libraries that find one malformed. `told` sees
to it, and makes every one of these errors.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import httpx
import msgspec

from wingman.errors import (
    ProviderError,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)
from wingman.providers.transport.explaining import (
    NOTHING_SAID,
    Explanation,
    explained,
    page_text,
    shortened,
)
from wingman.providers.transport.kinds import FOR_ITS_CONTENT, class_of_report, class_of_status
from wingman.providers.transport.scrubbing import is_clean, scrub

__all__ = [
    "HTTPX_ERRORS",
    "SENDING_ERRORS",
    "cause",
    "could_not_ask",
    "failure",
    "is_failure",
    "refusal",
    "reported",
    "request_id",
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
    kind = class_of_status(status, said.words)
    return told(
        kind,
        message or "refused, and did not say why",
        provider,
        secrets,
        status=status,
        error_type=said.kind,
        request_id=request_id(headers) or said.request_id,
        refused=kind is ProviderRejected and status in FOR_ITS_CONTENT,
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
    kind, refused = class_of_report(said, may_pass)
    return told(
        kind,
        said.message or NOTHING_SAID,
        provider,
        secrets,
        error_type=said.kind,
        request_id=request_id or said.request_id,
        refused=refused,
    )


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


def _read(body: bytes, content_type: str) -> Explanation:
    try:
        return explained(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode(errors="replace").strip()
    if content_type.lower().startswith("text/html"):
        return Explanation(page_text(text))
    return Explanation(text)
