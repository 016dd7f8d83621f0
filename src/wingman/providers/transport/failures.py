"""What can go wrong on the way to a provider, as Wingman's errors: the one place that maps it.

Two sources: what httpx raises, or lets through of what it stands on (`failure`), and responses that
are not good (`refusal`). Neither ever repeats a secret: providers echo keys, and so do HTTP
libraries that find one malformed.
"""

from collections.abc import Mapping
from typing import Any

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

__all__ = [
    "HTTPX_ERRORS",
    "SENDING_ERRORS",
    "could_not_ask",
    "failure",
    "is_failure",
    "refusal",
    "request_id",
    "scrub",
]

HTTPX_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)
"""The roots of all that httpx raises; a test holds it to that."""

_LET_THROUGH = (OSError, UnicodeError)  # UnicodeError: a host that is no name, such as `a..b`

SENDING_ERRORS = (*HTTPX_ERRORS, *_LET_THROUGH, RuntimeError)
"""What sending a request may raise that `is_failure` tells from bugs."""

_LONGEST_MESSAGE = 1000

_FOR_ITS_CONTENT = frozenset({400, 413, 422})

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


def failure(error: Exception, provider: str, secret: str | None = None) -> ProviderError:
    """What httpx raised or let through, as an error of ours; raise it `from` its cause."""
    detail = scrub(str(error), secret)
    said = f"{type(error).__name__}: {detail}" if detail else type(error).__name__
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return ProviderTimeout(f"no connection in time ({said})", provider=provider)
    if isinstance(error, httpx.TimeoutException):
        return ProviderTimeout(f"silent for longer than the timeout ({said})", provider=provider)
    if _has_no_thread(error):
        return ProviderError(
            "its name could not be resolved, as this process can start no thread: it is at a "
            f"limit of processes or of memory ({said})",
            provider=provider,
        )
    if isinstance(error, (*_NEVER_SENT, *_LET_THROUGH)):
        return ProviderError(f"could not be reached ({said})", provider=provider)
    return ProviderStreamError(f"the connection broke ({said})", provider=provider)


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, provider: str, secret: str | None = None
) -> ProviderError:
    """A response that is not good, as an error of ours, with what the provider says of it."""
    message, error_type, body_id = _explanation(body)
    if 300 <= status < 400:
        message = "answered with a redirect, which is not followed: correct its base URL"
    kind = _refusal_class(status, error_type)
    return kind(
        scrub(message, secret)[:_LONGEST_MESSAGE] or "refused, and did not say why",
        provider=provider,
        status=status,
        error_type=scrub(error_type, secret) if error_type else None,
        request_id=request_id(headers) or body_id,
        refused=kind is ProviderRejected and status in _FOR_ITS_CONTENT,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own id of a request: what its support asks for."""
    return headers.get("request-id") or headers.get("x-request-id")


def scrub(text: str, secret: str | None) -> str:
    """The text without the secret."""
    return text.replace(secret, "…") if secret else text


def _has_no_thread(error: Exception) -> bool:
    """Whether no thread could be started: a name is resolved in one, where none is idle."""
    return isinstance(error, RuntimeError) and "new thread" in str(error)


def _refusal_class(status: int, error_type: str | None) -> type[ProviderError]:
    if error_type == "API_KEY_INVALID":
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


def _explanation(body: bytes) -> tuple[str, str | None, str | None]:
    """The message, the type and the request id that an error's body gives.

    Anthropic and OpenAI: `{"error": {"type": …, "message": …}}`; Gemini: the same with `status` and
    `details`, at times in a list; Ollama: `{"error": "…"}`; others `message` or `detail` at the
    top. A body that is no JSON is taken as the message.
    """
    try:
        top = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode(errors="replace").strip(), None, None
    if isinstance(top, list) and len(top) == 1 and isinstance(top[0], dict):
        top = top[0]
    if not isinstance(top, dict):
        return str(top), None, None
    error = top.get("error")
    inner = error if isinstance(error, dict) else top
    message = error if isinstance(error, str) else inner.get("message") or top.get("detail")
    return (
        _text(message),
        _text(inner.get("type") or _reason(inner) or inner.get("code")) or None,
        _text(top.get("request_id")) or None,
    )


def _reason(error: dict[str, Any]) -> str | None:
    """What Google's APIs call an error: the reason in its details, or its status."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(reason := detail.get("reason"), str):
            return reason
    status = error.get("status")
    return status if isinstance(status, str) else None


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()
