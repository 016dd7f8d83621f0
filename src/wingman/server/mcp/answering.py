"""The answer to a call of `run_agent`: what is told of its run on the way, and the run's end."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

import attrs
import trio
from quart.wrappers.response import ResponseBody

from wingman.server.mcp.clients import Call, Waiting
from wingman.server.mcp.jsonrpc import CANCELLED, Id, Refused, answer, refusal
from wingman.server.mcp.progress import Progress
from wingman.server.mcp.running import Started
from wingman.server.mcp.versions import in_words_of
from wingman.server.sse import KEEP_ALIVE, KEEP_ALIVE_SECONDS
from wingman.sse import frame

__all__ = ["CallAnswer", "CallFrames", "cancelled"]

_EVENT: Final = "message"


def cancelled(id: Id) -> bytes:
    """The answer to a request that its client has cancelled."""
    return refusal(id, Refused(CANCELLED, "The request was cancelled"))


@attrs.frozen(eq=False)
class CallAnswer:
    """The answer to one request: the end of the run that it waits for."""

    id: Id
    stateless: bool
    call: Call
    waiting: Waiting
    started: Started

    async def message(self) -> bytes:
        """The answer, once there is one."""
        result = await self.started.result()
        self.waiting.answered()
        if self.call.cancelled:
            # It is not read any more; but without it the client's stream would not be at its end.
            return cancelled(self.id)
        return answer(self.id, in_words_of(self.stateless, result))


class CallFrames(ResponseBody):
    """The answer as a stream of Server-Sent Events: what is told of the run, then its end.

    The next event is looked for when the last one is sent: a client that stops reading holds one.
    """

    def __init__(self, answer: CallAnswer, progress: Progress | None) -> None:
        self._answer = answer
        self._progress = progress
        self._over = False

    async def __aenter__(self) -> Self:
        if self._progress is not None:
            await self._progress.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            await self._progress.__aexit__(kind, value, traceback)  # noqa: ASYNC102 it does not wait

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        with trio.move_on_after(KEEP_ALIVE_SECONDS):
            return await self._next()
        return KEEP_ALIVE

    async def _next(self) -> bytes:
        if self._progress is not None and not self._progress.over:
            messages = await self._progress.next()
            if messages:
                return b"".join(frame(None, _EVENT, message) for message in messages)
        message = await self._answer.message()
        self._over = True
        return frame(None, _EVENT, message)
