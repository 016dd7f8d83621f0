"""A session with its history, as the body of a response: in pieces, where it is long."""

import logging
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec
from quart import Response, request
from quart.wrappers.response import ResponseBody

from wingman.conversation import Message
from wingman.errors import WingmanError
from wingman.server.errors import AnswerCut
from wingman.server.exchange import json_response
from wingman.session import SessionPages

__all__ = ["history_response"]

logger = logging.getLogger("wingman.server")

_encode = msgspec.json.Encoder().encode
_END: Final = b"]}"


async def history_response(session: SessionPages) -> Response:
    """A session with its history; of a long one, the rest is read as it is sent."""
    following = await session.more()
    if following is None:
        view = msgspec.structs.replace(session.view, history=tuple(session.beginning))
        return json_response(view)
    response = json_response(None)
    del response.headers["Content-Length"]
    if request.method != "HEAD":
        response.response = _Pieces(session, following)
    return response


class _Pieces(ResponseBody):
    """The JSON of a session, some messages at a time."""

    def __init__(self, session: SessionPages, following: Sequence[Message]) -> None:
        self._session = session
        self._head = _encode(session.view).removesuffix(b"}") + b',"history":['
        self._there = [session.beginning, following]
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
            return await self._session.more()
        except WingmanError as error:
            id = self._session.view.id
            logger.warning("the answer with session %s was cut off: %s", id, error.message)
            raise AnswerCut from error
