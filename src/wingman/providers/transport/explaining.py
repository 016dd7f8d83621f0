"""What a provider says of an error, found in whatever shape it says it: values in, values out.

Shapes that are understood: `{"error": {"type", "message"}}` (Anthropic, OpenAI), the same with
`code`, `status` and `details` (Google, at times in a list), `{"error": "…"}` (Ollama), `message`,
`msg`, `detail`, `errors` and their like at the top, nested in one another or written as JSON in a
string; a web page, of which the title is shown; and plain text.
"""

import html
import re
from typing import Any, Final

import attrs
import msgspec

__all__ = [
    "NOTHING_SAID",
    "Explanation",
    "explained",
    "is_error",
    "is_page",
    "page_text",
    "shortened",
]

NOTHING_SAID: Final = "it reports an error"

_LONGEST: Final = 1000
_LONGEST_WORD: Final = 200
_DEEPEST: Final = 6
_MOST: Final = 3
_PAGE: Final = 16 * 1024

_MESSAGES: Final = (
    "message",
    "error_message",
    "errormessage",
    "error_msg",
    "msg",
    "error_description",
    "detail",
    "details",
    "description",
    "status_msg",
    "faultstring",
    "reason",
    "title",
    "text",
)
_SIGNS: Final = frozenset({"error", "errors", "fault", "base_resp"})
_TELLING: Final = ("message", "msg", "detail", "error_message", "errormessage", "error_msg")
_NESTED: Final = ("error", "errors", "fault", "base_resp")
_KINDS: Final = ("type", "code", "error_code", "errorcode", "__type", "err_code", "status_code")
_NO_KINDS: Final = frozenset({"error", "about:blank", "none", ""})
_NUMBERS: Final = ("code", "status", "status_code", "statuscode", "http_status", "error_code")

_TAG: Final = re.compile(r"<[^<>]*>")
_TITLE: Final = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
_UNSEEN: Final = re.compile(r"<(script|style)\b", re.IGNORECASE)
_PAGES: Final = ("<!doctype html", "<html", "<head", "<body")


@attrs.frozen
class Explanation:
    """What is said of an error. `kind` is its type, or its code; `status` an HTTP status in it.

    `words` are all its names, in lower case: what they say decides whether it may pass.
    """

    message: str = ""
    kind: str | None = None
    words: str = ""
    status: int | None = None
    request_id: str | None = None


def explained(value: Any) -> Explanation:
    """What a JSON value says of an error."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0]
    if not isinstance(value, dict):
        return Explanation(_said(value) or ("" if value is None else _json(value)))
    top = _lower(value)
    inner = top
    for _ in range(_DEEPEST):
        nested = next((n for name in _NESTED if (n := _object(inner.get(name)))), None)
        if nested is None:
            break
        inner = nested
    named = [inner, top] if inner is not top else [top]
    # `{"error": "Bad Request", "message": "name is too long"}`: the first is but its kind.
    title = _said(top["error"]) if isinstance(top.get("error"), str | list) else ""
    message = _message(inner) or _message(top) or title
    if behind := _said(_lower(inner.get("metadata")).get("raw")):  # as OpenRouter quotes others
        message = f"{message}: {behind}"
    kinds = [word for each in named for word in _names(each)]
    if title and title != message:
        kinds.append(title)
    return Explanation(
        message or ("" if inner is top and not _tells(top) else _json(value)),
        kinds[0] if kinds else None,
        " ".join(kinds).lower()[:_LONGEST],
        next((number for each in named if (number := _status(each))), None),
        _said(top.get("request_id") or inner.get("request_id")) or None,
    )


def is_error(value: dict[str, Any], payload: tuple[str, ...] = ()) -> bool:
    """Whether an object of a stream reports an error.

    One without a type, and without any of the fields of `payload` that the protocol's own objects
    have, does if it has a message.
    """
    if not _SIGNS.isdisjoint(value) and _says_so(value):
        return True
    kind = value.get("type")
    if kind == "error" or value.get("object") == "error":
        return True
    is_event = kind is not None and ":" not in str(kind)  # RFC 9457 has a URL in its place
    if is_event or any(name in value for name in payload):
        return False
    lower = _lower(value)
    return any(isinstance(lower.get(n), str | list) and lower[n] for n in _TELLING) or bool(
        _status(lower)
    )


def _says_so(value: dict[str, Any]) -> bool:
    error, base = value.get("error"), value.get("base_resp")
    if error or error == {} or value.get("errors") or isinstance(value.get("fault"), dict):
        return True
    return isinstance(base, dict) and bool(base.get("status_code"))


def is_page(text: str) -> bool:
    """Whether a body is a web page, by its first characters."""
    return text[:200].lstrip("\ufeff \t\r\n").lower().startswith(_PAGES)


def page_text(page: str) -> str:
    """The title of a web page, or the beginning of what it says: no markup, one line."""
    page = page[:_PAGE]
    title = _TITLE.search(page)
    text = title[1] if title is not None and title[1].strip() else _TAG.sub(" ", _seen(page))
    return shortened(html.unescape(" ".join(text.split())[:_LONGEST_WORD]), _LONGEST_WORD)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A text that can be stored and shown: not too long, with no NUL and no half of a character."""
    return text[:longest].encode(errors="replace").decode().replace("\0", "\ufffd")


def _seen(page: str) -> str:
    """The page without its scripts and styles."""
    pieces, at, lower = [], 0, page.lower()
    while (unseen := _UNSEEN.search(page, at)) is not None:
        pieces.append(page[at : unseen.start()])
        at = lower.find(f"</{unseen[1].lower()}", unseen.end())
        if at < 0:
            return " ".join(pieces)
    return " ".join([*pieces, page[at:]])


def _message(value: dict[str, Any]) -> str:
    return next((said for name in _MESSAGES if (said := _said(value.get(name)))), "")


def _said(value: Any, deep: int = 0) -> str:
    """The words in a value: a string, or such as stand in an object or a list."""
    if deep > _DEEPEST:
        return ""
    if isinstance(value, str):
        return _unwrapped(value, deep)
    if isinstance(value, list):
        said = [text for item in value[:_MOST] if (text := _said(item, deep + 1))]
        return "; ".join(said)
    if isinstance(value, dict):
        lower = _lower(value)
        for name in (*_NESTED, *_MESSAGES):
            if text := _said(lower.get(name), deep + 1):
                place = lower.get("loc")
                return f"{_place(place)}: {text}" if isinstance(place, list) else text
    return ""


def _unwrapped(text: str, deep: int) -> str:
    """A text, or the message in it if it is an error's JSON, as where one server quotes another."""
    text = text.strip()
    if text.startswith(("{", "[")):
        try:
            return _said(msgspec.json.decode(text), deep + 1) or text
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return text
    return text


def _place(loc: list[Any]) -> str:
    return ".".join(str(part) for part in loc[:10] if isinstance(part, str | int))


def _names(error: dict[str, Any]) -> list[str]:
    """What an error is called: its type, what Google's APIs call it, its code."""
    details = error.get("details")
    reasons = [
        detail.get("reason")
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, dict)
    ]
    type, *codes = (error.get(name) for name in _KINDS)
    status = error.get("status")
    named = [type, *reasons, status if isinstance(status, str) else None, *codes]
    return [
        word
        for name in named
        if isinstance(name, str | int) and not isinstance(name, bool)
        if (word := str(name)[:_LONGEST_WORD]).lower() not in _NO_KINDS
    ]


def _status(error: dict[str, Any]) -> int | None:
    for name in _NUMBERS:
        number = error.get(name)
        if isinstance(number, str) and len(number) == 3 and number.isdecimal():
            number = int(number)
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return None


def _tells(top: dict[str, Any]) -> bool:
    return not top.keys() <= {"error", "type", "object", "event_id", "sequence_number"}


def _object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, list) and value:
        value = value[0]
    return _lower(value) if isinstance(value, dict) else None


def _lower(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    return {str(name).lower(): inner for name, inner in value.items()}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
