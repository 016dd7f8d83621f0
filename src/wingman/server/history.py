"""A session with its history, as the body of a response: in pieces, where it is long."""

import logging
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec
from quart import Response, request
from quart.wrappers.response import ResponseBody

from wingman.api import SessionView
from wingman.conversation import Message
from wingman.errors import WingmanError
from wingman.server.errors import AnswerCut
from wingman.server.exchange import json_response

__all__ = ["history_response"]

logger = logging.getLogger("wingman.server")

_encode = msgspec.json.Encoder().encode
_END: Final = b"]}"


async def history_response(
    view: SessionView, beginning: Sequence[Message], rest: AsyncIterator[Sequence[Message]]
) -> Response:
    """A session, of whose history the beginning is there, and the rest is read as it is sent."""
    following = await anext(rest, None)
    if following is None:
        return json_response(msgspec.structs.replace(view, history=tuple(beginning)))
    response = json_response(None)
    del response.headers["Content-Length"]
    if request.method != "HEAD":
        response.response = _Pieces(view, (beginning, following), rest)
    return response


class _Pieces(ResponseBody):
    """The JSON of a session, some messages at a time."""

    def __init__(
        self,
        view: SessionView,
        there: Sequence[Sequence[Message]],
        rest: AsyncIterator[Sequence[Message]],
    ) -> None:
        self._head = _encode(view).removesuffix(b"}") + b',"history":['
        self._there = list(there)
        self._rest = rest
        self._over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        messages = await self._next()
        if messages is None:
            self._over = True
            return _END
        piece = self._head + b",".join(map(_encode, messages))
        self._head = b","
        return piece

    async def _next(self) -> Sequence[Message] | None:
        if self._there:
            return self._there.pop(0)
        try:
            return await anext(self._rest, None)
        except WingmanError as error:
            logger.warning("the answer to %s was cut off: %s", request.path, error.message)
            raise AnswerCut from error
