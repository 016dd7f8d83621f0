"""RequestBody: what a request of httpx's sends, with nothing to close.

httpx's own body is an async generator. A cancel leaves it to the garbage collector, and Trio warns
of that.
"""

from collections.abc import AsyncIterator, Iterable

import httpx

__all__ = ["RequestBody"]


class RequestBody(httpx.AsyncByteStream):
    """Bytes in pieces, sent one after the other."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pieces(self._pieces)


class _Pieces(AsyncIterator[bytes]):
    """The pieces of a body, as they are asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._left = iter(pieces)

    async def __anext__(self) -> bytes:
        for piece in self._left:
            return piece
        raise StopAsyncIteration
