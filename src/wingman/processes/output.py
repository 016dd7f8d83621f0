"""Text of any length in bounded memory: head, tail, and how much is missing between them."""

import codecs

import attrs

from wingman.processes.screen import Screen

__all__ = ["Output", "clip"]

_NOTE_ROOM = 60  # characters for the note on what was cut


def _note(cut: int) -> str:
    return f"\n[… {cut:,} characters cut …]\n"


def clip(text: str, limit: int, length: int = 0) -> str:
    """The head of a text, `limit` characters with the note on what was cut.

    Where `text` is no more than the head of it, `length` is that of the whole.
    """
    length = max(length, len(text))
    if length <= limit:
        return text
    kept = text[: max(limit - _NOTE_ROOM, 0)]
    return kept + _note(length - len(kept))


@attrs.define
class Output:
    """What a process wrote, decoded as it comes; holds some `2 * limit` characters, never more.

    Undecodable bytes become U+FFFD, and so does NUL, which PostgreSQL will not store as text. With
    `on_screen`, it is what a terminal would show in the end, and some 70,000 characters more are
    held (see `Screen`).
    """

    limit: int
    on_screen: bool = False
    _head: str = attrs.field(default="", init=False)
    _tail: str = attrs.field(default="", init=False)
    _length: int = attrs.field(default=0, init=False)
    _screen: Screen = attrs.field(factory=Screen, init=False)
    _decoder: codecs.IncrementalDecoder = attrs.field(
        factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"), init=False
    )

    def add(self, data: bytes | bytearray, *, final: bool = False) -> str:
        """Take the next bytes, and return the text they complete. `final`: there are no more."""
        text = self._decoder.decode(data, final).replace("\0", "\ufffd")
        kept = self._screen.write(text) if self.on_screen else text
        self._length += len(kept)
        self._head, self._tail = self._with(kept)
        if len(self._tail) > 2 * self._half:  # trimmed now and then, not at every piece
            self._tail = self._tail[-self._half :]
        return text

    @property
    def text(self) -> str:
        """All of it, or its head and its tail: at most `limit` characters with the note."""
        rest = self._screen.rest
        length = self._length + len(rest)
        head, tail = self._with(rest)
        if length <= self.limit:
            return head
        # The head holds `limit` characters, in case all fits; of those the first half is shown.
        end = (head + tail)[-self._half :] if self._half else ""
        return head[: self._half] + _note(length - 2 * self._half) + end

    def _with(self, text: str) -> tuple[str, str]:
        """The head and the tail with what comes next."""
        into_head = max(self.limit - len(self._head), 0)
        return self._head + text[:into_head], self._tail + text[into_head:]

    @property
    def _half(self) -> int:
        return max(self.limit - _NOTE_ROOM, 0) // 2
