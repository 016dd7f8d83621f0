"""Lines of bytes, as they come in pieces."""

from collections.abc import Iterator

import attrs

__all__ = ["LineTooLong", "Lines"]


class LineTooLong(Exception):
    """A line is longer than anybody will hold."""


@attrs.define
class Lines:
    """Makes lines of pieces, in time that is linear in what comes. It holds one line at most, of at
    most `longest` bytes."""

    longest: int
    _parts: list[bytes] = attrs.field(factory=list, init=False)
    _length: int = attrs.field(default=0, init=False)

    def add(self, piece: bytes | bytearray) -> Iterator[bytes]:
        """The lines that this piece completes, without their ends. Raises `LineTooLong`."""
        *ends, rest = bytes(piece).split(b"\n")
        for end in ends:
            self._hold(end)
            yield b"".join(self._parts)
            self._parts, self._length = [], 0
        if rest:
            self._hold(rest)

    def _hold(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > self.longest:
            raise LineTooLong
        self._parts.append(part)
