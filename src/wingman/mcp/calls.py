"""The calls of a server's tools that are in flight on one connection.

A call that is cancelled answers at once: the SDK tells the server, and nothing waits for that (see
`traffic.py`). What the server answers to it later is dropped.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import count
from typing import Any, Final

import attrs
import trio
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult
from pydantic import ValidationError

from wingman.errors import ToolError
from wingman.foreign import contained, reason
from wingman.mcp.diary import Diary
from wingman.mcp.results import output_of
from wingman.mcp.traffic import Traffic
from wingman.mcp.underway import CallUnderWay
from wingman.tools import ToolContext, ToolOutput

__all__ = ["Calls", "words_of"]

_LONGEST_ERROR: Final = 4_000
_CLOSED: Final = "Connection closed"  # the SDK's words; its code is one that servers use as well
_TO_LEARN_WHY: Final = 1.0  # seconds; a pipe closes before its program's exit code is known
_current: ContextVar[CallUnderWay | None] = ContextVar("wingman_mcp_call", default=None)


@attrs.define(eq=False)
class Calls:
    """The calls that are in flight. `ended`: no more can be made, and `why` says it in a sentence.

    `seconds` are what each has.
    """

    server: str
    seconds: float
    client: Client
    traffic: Traffic
    diary: Diary
    ended: trio.Event
    why: Callable[[], str]
    in_flight: set[CallUnderWay] = attrs.field(factory=set, init=False)
    _tokens: Iterator[int] = attrs.field(factory=lambda: count(1), init=False)

    async def call(self, tool: str, input: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        """Call a tool by the name that the server has for it. Raises `ToolError`."""
        if self.ended.is_set():
            raise ToolError(f"The call was not executed. {self.why()}")
        call = CallUnderWay(context, self.diary, self.seconds)
        token = f"wingman-{next(self._tokens)}"
        self.in_flight.add(call)
        self.traffic.progress[token] = call.progress
        self.traffic.unsent.add(token)
        current = _current.set(call)
        try:
            with call.scope:
                call.begin()
                return output_of(await self._result(tool, input, token), context.max_output)
        finally:
            _current.reset(current)
            call.end()
            self.in_flight.discard(call)
            self.traffic.progress.pop(token, None)
            self.traffic.unsent.discard(token)
        raise ToolError(
            f"The MCP server {self.server!r} has not answered within {self.seconds:g} s. It was "
            "told that the call is cancelled; the call may have had its effect."
        )

    async def elicit(
        self, _context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult:
        """Ask for the call that a question of the server belongs to.

        Up to the protocol of 2025-11-25 a question names no call: then it is that of the only one
        in flight, or of none, and is declined.
        """
        call = _current.get()
        if call is None and len(self.in_flight) == 1:
            (call,) = self.in_flight
        return ElicitResult(action="decline") if call is None else await call.elicit(params)

    async def _result(self, tool: str, input: Mapping[str, Any], token: str) -> CallToolResult:
        try:
            meta: Any = {"progressToken": token}
            return await self.client.call_tool(tool, dict(input), meta=meta)
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            failure = contained(error)
        if isinstance(failure, MCPError) and failure.error.message == _CLOSED:
            with trio.move_on_after(_TO_LEARN_WHY):
                await self.ended.wait()
        if self.ended.is_set():
            if token in self.traffic.unsent:
                raise ToolError(f"The call was not executed. {self.why()}")
            raise ToolError(f"The call was in flight, and may have had its effect. {self.why()}")
        raise ToolError(self.diary.shown(words_of(failure), _LONGEST_ERROR)) from failure


def words_of(error: BaseException) -> str:
    """What the SDK raised, as a sentence."""
    match error:
        case MCPError():
            return f"The MCP server answered with an error: {error.error.message}"
        case ValidationError():
            first = error.errors(include_url=False, include_input=False)[0]
            at = ".".join(map(str, first["loc"]))
            return f"The MCP server's answer is not what the protocol says: {first['msg']}, at {at}"
        case _:
            return reason(error)
