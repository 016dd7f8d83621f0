"""One call under way: its time, its progress, and the server's questions for a person."""

import logging
from collections.abc import Mapping
from math import inf
from typing import Any, Final

import attrs
import trio
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from wingman.foreign import contained, reason
from wingman.mcp.diary import Diary, visible
from wingman.tools import ToolContext

__all__ = ["CallUnderWay"]

_LONGEST_PROGRESS: Final = 300
_LONGEST_QUESTION: Final = 4_000


@attrs.define(eq=False)
class CallUnderWay:
    """A call that the server works on. It has so many `seconds`; the time that a person takes to
    answer the server's questions is not counted."""

    context: ToolContext
    diary: Diary
    seconds: float
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _asking: set[trio.CancelScope] = attrs.field(factory=set, init=False)
    _left: float = attrs.field(default=inf, init=False)

    def begin(self) -> None:
        """Its time begins."""
        self.scope.deadline = trio.current_time() + self.seconds

    def end(self) -> None:
        """It is over: nobody need answer its questions any more."""
        for asking in self._asking:
            asking.cancel()

    def progress(self, params: Mapping[str, Any]) -> None:
        """Tell of a notification of progress."""
        done, total = _number(params.get("progress")), _number(params.get("total"))
        message = params.get("message")
        words = visible(message, _LONGEST_PROGRESS) if isinstance(message, str) else ""
        steps = f"{done}/{total}" if total else done
        if text := f"{words} ({steps})" if words and steps else words or steps:
            self.context.progress(f"{text}\n")

    async def elicit(self, params: ElicitRequestParams) -> ElicitResult:
        """Have a person answer what the server asks. It is declined where there is nobody to ask,
        and where the server wants a page to be opened."""
        elicit = self.context.elicit
        if elicit is None or not isinstance(params, ElicitRequestFormParams):
            return ElicitResult(action="decline")
        with trio.CancelScope() as asking:
            self._pause(asking)
            try:
                answer = await elicit(params.message[:_LONGEST_QUESTION], params.requested_schema)
            except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
                failure = reason(contained(error))
                self.diary.note(logging.WARNING, f"its question was not answered: {failure}")
                answer = None
            finally:
                self._go_on(asking)
            if answer is None:
                return ElicitResult(action="decline")
            return ElicitResult(action="accept", content=dict(answer))
        return ElicitResult(action="cancel")

    def _pause(self, asking: trio.CancelScope) -> None:
        if not self._asking:
            self._left = self.scope.deadline - trio.current_time()
            self.scope.deadline = inf
        self._asking.add(asking)

    def _go_on(self, asking: trio.CancelScope) -> None:
        self._asking.discard(asking)
        if not self._asking:
            self.scope.deadline = trio.current_time() + self._left


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
