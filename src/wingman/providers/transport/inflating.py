"""A compressed body, inflated in small pieces: what a few bytes may become is bounded first.

Wingman asks for bodies that are not coded. A server or a proxy that codes one all the same is
understood where it is gzip or deflate, once. What is coded more than once is refused: 269 bytes
may be a gigabyte.
"""

import zlib
from typing import Final

__all__ = ["PIECE", "CodedTwice", "Inflater", "codings"]

PIECE: Final = 64 * 1024
"""The most bytes that come of one step."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_NOT_CODED: Final = frozenset({"", "identity", "none"})


class CodedTwice(Exception):
    """A body has more than one coding; the text names them."""


def codings(header: str) -> list[str]:
    """The codings that a `content-encoding` names, in lower case, but for those that are none."""
    named = (name.strip().lower() for name in header.split(","))
    return [name for name in named if name not in _NOT_CODED]


class Inflater:
    """Bytes of a body in, pieces of at most 64 KiB out.

    `unknown` is the coding that is not known here, if there is one: the bytes are handed on as they
    are. Raises `CodedTwice` at once, and `zlib.error` for what cannot be inflated.
    """

    def __init__(self, content_encoding: str) -> None:
        named = codings(content_encoding)
        if len(named) > 1:
            raise CodedTwice(", ".join(named)[:100])
        coding = named[0] if named else ""
        self.unknown: str | None = None
        self._bits: int | None = None
        self._begun = False
        if coding in ("gzip", "x-gzip"):
            self._bits = _GZIP
        elif coding == "deflate":
            self._bits = zlib.MAX_WBITS
        elif coding:
            self.unknown = coding[:100]
        self._stream = None if self._bits is None else zlib.decompressobj(self._bits)
        self._waiting = b""

    @property
    def holds(self) -> bool:
        """Whether there is more to come of what was fed."""
        return bool(self._waiting)

    def feed(self, data: bytes) -> None:
        """Take what the network gives; the pieces before it have been taken."""
        self._waiting = data

    def piece(self) -> bytes:
        """The next piece; `b""` where more must be fed."""
        while self._waiting:
            if self._stream is None:
                piece, self._waiting = self._waiting, b""
                return piece
            if self._stream.eof:  # another member follows
                self._stream = zlib.decompressobj(_GZIP if self._bits == _GZIP else -15)
            piece = self._inflated(self._stream)
            self._begun = True
            if piece:
                return piece
        return b""

    def _inflated(self, stream: "zlib._Decompress") -> bytes:
        try:
            piece = stream.decompress(self._waiting, PIECE)
        except zlib.error:
            if self._begun or self._bits != zlib.MAX_WBITS:
                raise
            # Some send `deflate` without the header of zlib's format that the name stands for.
            self._stream = stream = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = stream.decompress(self._waiting, PIECE)
        self._waiting = stream.unconsumed_tail or stream.unused_data
        return piece
