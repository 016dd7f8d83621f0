"""Lists that come in pages: all entries, one after the other, each page when it is needed."""

import re
from collections import deque
from typing import Final, Generic, Self, TypeVar

from wingman.client.answers import decode
from wingman.client.exchange import Exchange, Reply, Request
from wingman.errors import BadAnswer

__all__ = ["Pages", "next_cursor"]

T = TypeVar("T")

_MOST_EMPTY: Final = 100
_CURSOR: Final = re.compile(r"[?&]cursor=([0-9]{1,18})(?:&|$)")
_NEXT: Final = re.compile(r'<(/[^>]*)>\s*;\s*rel="?next"?')


class Pages(Generic[T]):
    """The entries of a list, and of the pages that its header `Link` leads to (RFC 8288).

    An async iterator. It holds one page, and may be left anywhere.
    """

    def __init__(self, exchange: Exchange, first: Request, type: type[tuple[T, ...]]) -> None:
        self._exchange = exchange
        self._next: Request | None = first
        self._type = type
        self._page: deque[T] = deque()
        self._empty = 0  # pages in a row

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._page:
            request = self._next
            if request is None:
                raise StopAsyncIteration
            reply = await self._exchange.reply(request)
            self._page.extend(decode(reply.body, self._type, str(request)))
            found = _NEXT.search(reply.headers.get("link", ""))
            self._next = Request("GET", found[1], about=request.about) if found else None
            self._empty = 0 if self._page else self._empty + 1
            if found and (found[1] == request.target or self._empty > _MOST_EMPTY):
                raise BadAnswer(f"The server's pages do not come to an end - at {request}")
        return self._page.popleft()


def next_cursor(reply: Reply, request: Request) -> int | None:
    """The cursor in what the header `Link` leads to; None where it leads nowhere.

    Raises `BadAnswer` where there is none in it.
    """
    link = _NEXT.search(reply.headers.get("link", ""))
    if link is None:
        return None
    cursor = _CURSOR.search(link[1])
    if cursor is None:
        raise BadAnswer(f"The server's `Link` has no cursor - at {request}")
    return int(cursor[1])
