"""The JSON of events, read as leniently as it may be: bytes in, plain values out.

What is essential to an answer is read strictly: its text, the arguments of its calls. What is
optional is read as what it was meant to be (`"0"` and `0.0` are an index), and dropped where it
makes no sense: one odd number does not cost a run whose whole text has come. A server's reports of
errors are found in whatever shape they come.
"""

import json
from typing import Any, Final, TypeAlias

import msgspec

from wingman.providers.transport import NOTHING_SAID, Explanation, explained, is_error
from wingman.providers.wire.characters import whole
from wingman.sse import Fault

__all__ = [
    "Json",
    "count",
    "fields",
    "index",
    "is_done",
    "items",
    "named_error",
    "object_in",
    "reported",
    "text",
    "word",
]

Json: TypeAlias = dict[str, Any]

_MOST: Final = 2**53
_UNREAD: Final = "its stream has an event that its protocol does not know"


def object_in(data: bytes) -> Json | None:
    """The object that an event is. None for what says nothing: a word, `null`, `[DONE]`.

    A text in it may have halves of characters, as `characters.py` describes. Raises `Fault` for
    what begins as an object and is none.
    """
    data = data.strip()
    if not data.startswith((b"{", b"[")) or is_done(data):
        return None
    value = _decoded(data)
    if isinstance(value, list):  # as some servers put an error
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, dict) else None


def is_done(data: bytes) -> bool:
    """Whether an event is the `[DONE]` with which many streams end."""
    return data.lstrip()[:1] == b"[" and data.strip().upper() == b"[DONE]"


def reported(event: Json, *payload: str) -> Fault | None:
    """The error that an object reports, if it does.

    One without a type and without any field of `payload` does if it has a message.
    """
    return fault_of(explained(event)) if is_error(event, payload) else None


def fault_of(said: Explanation) -> Fault:
    """What a server says, as a `Fault`."""
    return Fault(whole(said.message) or NOTHING_SAID, said.kind, said)


def named_error(data: bytes) -> Fault:
    """What an event says whose very name is `error`, be it JSON or a plain text."""
    try:
        said = explained(_decoded(data.strip()))
    except Fault:
        said = Explanation(data.decode(errors="replace").strip())
    return fault_of(said)


def text(value: Any, what: str) -> str:
    """A text that must not be lost: null is none. Raises `Fault` if it is no text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise Fault(f"{_UNREAD}: {what} is no text")


def word(value: Any) -> str:
    """A name, an id or the like; empty where there is none."""
    if isinstance(value, str):
        return whole(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def index(value: Any) -> int | None:
    """A place in a list; None where it is not told."""
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def count(value: Any) -> int | None:
    """How many there are of something; None where that is not told, or makes no sense."""
    if type(value) is int and 0 <= value < _MOST:
        return value
    number = _number(value)
    return round(number) if number is not None and 0 <= number < _MOST else None


def fields(value: Any) -> Json:
    """An optional object; empty where there is none."""
    return value if isinstance(value, dict) else {}


def items(value: Any, what: str) -> list[Json]:
    """The objects of a list: null is none, one alone is a list. Raises `Fault` for what is none."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise Fault(f"{_UNREAD}: {what} is no list")
    return [item for item in value if isinstance(item, dict)]


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value[:30])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _MOST else None  # NaN is less than nothing


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Python's own takes more: halves of characters, control characters in texts, NaN.
        for halves in ("surrogatepass", "surrogateescape"):
            try:
                return json.loads(data.decode("utf-8", halves), strict=False)
            except UnicodeDecodeError:
                continue
            except (ValueError, RecursionError):
                break
        raise Fault(f"{_UNREAD}: {error}") from error
