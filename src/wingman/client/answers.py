"""What a server answers, as values and errors of Wingman.

A later server may say more than this client knows: fields are passed over, and a word that it does
not know, such as a new status, is given as it stands.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import msgspec

from wingman import errors
from wingman.api import ErrorAnswer
from wingman.client.lenient import convert
from wingman.errors import BadAnswer, NotFound, ProviderError, RunFailed, Unavailable, WingmanError

__all__ = ["compressed", "decode", "error_named", "error_of", "failure_of", "not_wingman"]

T = TypeVar("T")

_AT_ONCE: Final = 0.1
_UNREADABLE: Final = 1.0
_LONGEST: Final = 1e9
"""What a `Retry-After` comes to, in seconds: one that is over, an unreadable one, and the most."""

_CLASSES: Final[Mapping[str, type[WingmanError]]] = {
    "unauthorized": errors.Unauthorized,
    "forbidden_host": errors.Forbidden,
    "forbidden_origin": errors.Forbidden,
    "session_deleted": errors.SessionDeleted,
    "session_busy": errors.SessionBusy,
    "request_id_conflict": errors.RequestIdConflict,
    "waits_for_itself": errors.WaitsForItself,
    "forbidden_tool": errors.ForbiddenTool,
    "not_reloaded": errors.NotReloaded,
    "message_read": errors.MessageRead,
    "already_resolved": errors.AlreadyResolved,
    "run_ended": errors.NotInFlight,
    "run_queued": errors.NotInFlight,
    "provider_not_configured": errors.ProviderNotConfigured,
    "context_too_long": errors.ContextTooLong,
    "invalid_request": errors.InvalidRequest,
    "not_found": errors.RequestError,
    "method_not_allowed": errors.RequestError,
    "request_timeout": errors.RequestError,
    "body_too_large": errors.RequestError,
    "unsupported_media_type": errors.RequestError,
    "unknown_transfer_encoding": errors.RequestError,
    "mailbox_full": errors.MailboxFull,
    "session_quarantined": errors.SessionQuarantined,
    "mcp_unavailable": errors.McpUnavailable,
    "overloaded": errors.Overloaded,
    "shutting_down": errors.ShuttingDown,
    "session_elsewhere": errors.SessionElsewhere,
    "session_moved": errors.SessionMoved,
    "node_lost": errors.NodeLost,
    "no_node": errors.NoNode,
    "store_unavailable": errors.StoreUnavailable,
    "store_error": errors.StoreError,
    "provider_error": errors.ProviderError,
    "provider_auth": errors.ProviderAuthError,
    "provider_timeout": errors.ProviderTimeout,
    "output_invalid": errors.OutputInvalid,
    "run_failed": errors.RunFailed,
}


def decode(data: bytes, type: type[T], request: str) -> T:
    """The JSON of a good answer as a value. Raises `BadAnswer` where it is none."""
    try:
        return msgspec.json.decode(data, type=type)
    except msgspec.ValidationError:
        pass  # something that this client does not know: looked at more closely
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswer(f"The answer is not JSON: another service? - at {request}") from error
    try:
        return convert(msgspec.json.decode(data), type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswer(f"The answer is not Wingman's: {error} - at {request}") from error


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, request: str, about: Mapping[str, str]
) -> WingmanError:
    """The error that an answer is: of the class that its code has."""
    try:
        detail = msgspec.json.decode(body, type=ErrorAnswer).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return not_wingman(request, status, headers)
    error = error_named(detail.code, detail.message, detail.run_id, about, status=status)
    error.request_id = detail.request_id
    if isinstance(error, Unavailable):
        error.retry_after = _seconds(headers.get("retry-after"))
    return error


def error_named(
    code: str,
    message: str,
    run_id: str | None = None,
    about: Mapping[str, str] | None = None,
    *,
    status: int = 500,
) -> WingmanError:
    """An error of the class that its code has, with the server's own text."""
    kind = _CLASSES.get(code)
    if kind is None and code.endswith("_not_found"):
        kind = NotFound
    if kind is None and status in (429, 503):
        kind = Unavailable
    if kind is None:
        kind = errors.RequestError if 400 <= status < 500 else WingmanError
    # The classes make their texts of parts; here the text is there, and has the parts in it.
    error = kind.__new__(kind, message)
    WingmanError.__init__(error, message)
    error.code, error.run_id = code, run_id
    match error:
        case NotFound():
            error.kind = code.removesuffix("_not_found")
            error.id = (about or {}).get(error.kind, "")
        case ProviderError():
            error.provider = message.partition(":")[0]
            error.status = error.error_type = None
        case Unavailable():
            error.retry_after = 0.0
        case _:
            pass
    return error


def failure_of(code: str, message: str, run_id: str) -> WingmanError:
    """What a run failed with, as it is recorded."""
    error = error_named(code, message, run_id)
    return RunFailed(message, code, run_id) if type(error) is WingmanError else error


def not_wingman(request: str, status: int, headers: Mapping[str, str]) -> BadAnswer:
    """What is no answer of Wingman's."""
    what = headers.get("content-type", "").partition(";")[0].strip()[:100] or "no content type"
    if 300 <= status < 400:
        what = "a redirect, which is not followed"
    elif coding := compressed(headers):
        what = f"compressed with {coding[:20]}, which was not asked for"
    return BadAnswer(
        f"The answer is not Wingman's ({status}, {what}): is another service at this address, "
        f"or does a proxy stand between? - at {request}",
        status,
        _seconds(headers.get("retry-after")),
    )


def compressed(headers: Mapping[str, str]) -> str:
    """With what an answer is compressed; empty where it is not."""
    coding = headers.get("content-encoding", "").strip().lower()
    return "" if coding == "identity" else coding


def _seconds(text: str | None) -> float:
    """`Retry-After` in seconds, be it a number or a date (RFC 9110, 10.2.3).

    0 where it is not there. One that is over, or that nobody can read, still says to ask again.
    """
    if text is None:
        return 0.0
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(max(_AT_ONCE, float(text)), _LONGEST)
    try:
        when = parsedate_to_datetime(text)
        left = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return _UNREADABLE
    return min(max(_AT_ONCE, left), _LONGEST)
