"""Characters that come in halves, made whole: text in pieces in, text in pieces out.

Servers that cut a text by UTF-16 units send one half of a character in one piece and the other in
the next; such as cut it by bytes do the same with the bytes of UTF-8. In a Python text the former
are surrogates, and the latter too, as `surrogateescape` has them. What never becomes whole is
U+FFFD.
"""

import codecs
import re
from typing import Final

__all__ = ["Characters", "whole"]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_BYTES: Final = re.compile("[\udc80-\udcff]+")


class Characters:
    """Makes one text whole, piece by piece. It holds back three code units at most."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece; return what is whole of it and of what was held back."""
        if not self._held and _SURROGATE.search(piece) is None:
            return piece
        text = _PAIR.sub(_joined, self._held + piece)
        text, self._held = _without_beginning(text)
        return _filled(text)

    def end(self) -> str:
        """The text is over: return what stands for the half that was held back, if any."""
        held, self._held = self._held, ""
        return _filled(held)


def whole(text: str) -> str:
    """A text that is all there, with whole characters."""
    characters = Characters()
    return characters.feed(text) + characters.end()


def _joined(pair: re.Match[str]) -> str:
    high, low = map(ord, pair[0])
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _without_beginning(text: str) -> tuple[str, str]:
    """The text, and the beginning of a character at its end, which more may follow."""
    if "\ud800" <= text[-1:] <= "\udbff":
        return text[:-1], text[-1]
    tail = re.search("[\udc80-\udcff]{1,3}$", text)
    if tail is None:
        return text, ""
    for begin in range(tail.start(), len(text)):
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            if decoder.decode(_as_bytes(text[begin:])) == "":
                return text[:begin], text[begin:]
        except UnicodeDecodeError:
            continue
    return text, ""


def _filled(text: str) -> str:
    if _SURROGATE.search(text) is None:
        return text
    text = _BYTES.sub(lambda run: _as_bytes(run[0]).decode(errors="replace"), text)
    return _SURROGATE.sub("\ufffd", text)


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
