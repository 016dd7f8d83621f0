"""One event's JSON into a value, also where its text is cut in the middle of a character.

Most events of a stream are alike, a piece of text each: `Usual` reads those of exactly that form,
at a third of the cost, and leaves all others to who reads leniently.
"""

import re
from typing import Final, Generic, TypeVar

import msgspec

from wingman.sse import Fault

__all__ = ["Usual", "decode"]

T = TypeVar("T")

# An escape of a JSON text: a pair of surrogates, one of them alone, or any other.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


_MISSES: Final = 8


class Usual(Generic[T]):
    """Reads events of one form, a Struct that forbids unknown fields.

    After eight others in a row it looks at none any more: each costs the attempt.
    """

    def __init__(self, type: type[T]) -> None:
        self._decode = msgspec.json.Decoder(type).decode
        self._misses = 0

    def read(self, data: bytes) -> T | None:
        """The event; None where it has another form, or halves of characters."""
        if self._misses >= _MISSES:
            return None
        try:
            event = self._decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._misses += 1
            return None
        self._misses = 0
        return event


def _without_half(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape["half"] is None else rb"\ufffd"


def decode(data: bytes, type: type[T]) -> T:
    """Decode one event's JSON; unknown fields are passed over.

    Servers that cut text by UTF-16 units send halves of a character: each becomes U+FFFD.
    """
    try:
        try:
            return msgspec.json.decode(data, type=type)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            whole = _ESCAPE.sub(_without_half, data)
            if whole == data:
                raise
            return msgspec.json.decode(whole, type=type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(f"its stream has an event that its protocol does not know: {error}") from error
