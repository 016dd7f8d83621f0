"""Lists that come in pages: all entries, one after the other, each page when it is needed."""

import re
from collections import deque
from typing import Final, Generic, Self, TypeVar

from wingman.client.answers import decode
from wingman.client.exchange import Exchange, Request

__all__ = ["Pages"]

T = TypeVar("T")

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
        return self._page.popleft()
