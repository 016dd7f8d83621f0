"""Compressed bodies, with a bound while they are inflated."""

import gzip
import io
import zlib
from collections.abc import Callable

from wingman.processes.working import Refused

__all__ = ["inflate"]

_PIECE = 65_536  # bytes
_ELSE = "look for another source, or fetch it to a file with `curl` in bash."


def inflate(body: bytes, codings: list[str], most: int) -> tuple[bytes, bool]:
    """The body without its content coding, `most` bytes of it; and whether it is whole.

    A body that breaks off, or is damaged on its way, is as long as it could be read. Raises
    `Refused` for a coding that was not asked for, and for more than one.
    """
    codings = [coding for coding in codings if coding not in {"", "identity"}]
    if not codings:
        return body[:most], True
    if len(codings) > 1:
        raise Refused(f"is compressed more than once ({', '.join(codings)[:100]}): {_ELSE}")
    if codings[0] in {"gzip", "x-gzip"}:
        return _as_far_as_it_goes(gzip.GzipFile(fileobj=io.BytesIO(body)).read1, most)
    if codings[0] == "deflate":
        return _as_far_as_it_goes(_Deflated(body).read, most)
    raise Refused(f"is compressed as {codings[0][:100]}, which was not asked for: {_ELSE}")


def _as_far_as_it_goes(read: Callable[[int], bytes], most: int) -> tuple[bytes, bool]:
    found = bytearray()
    try:
        while len(found) < most and (piece := read(min(_PIECE, most - len(found)))):
            found += piece
    except (EOFError, OSError, zlib.error) as error:  # OSError: gzip's own, for what is no gzip
        if not found:
            raise Refused(f"is said to be compressed, and is not or is damaged: {_ELSE}") from error
        return bytes(found), False
    return bytes(found), True


class _Deflated:
    """A body of the coding `deflate`: zlib's format, or without its head, as some servers send."""

    def __init__(self, body: bytes) -> None:
        has_head = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS)
        self._body = io.BytesIO(body)

    def read(self, most: int) -> bytes:
        """The next bytes, `most` of them, none at the end."""
        while not self._inflater.eof:
            data = self._inflater.unconsumed_tail or self._body.read(_PIECE)
            piece = self._inflater.decompress(data, most)
            if piece:
                return piece
            if not data:
                raise EOFError("the body breaks off")
        return b""
