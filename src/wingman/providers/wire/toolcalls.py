"""Tools as models are told of them, and their calls as models send them, made into blocks.

The arguments of a call may not parse, and its id may be missing.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any
from uuid import uuid4

import msgspec

from wingman.conversation import ToolUseBlock
from wingman.providers.base import ToolSpec
from wingman.providers.wire.characters import whole
from wingman.providers.wire.decoding import decode
from wingman.providers.wire.naming import ToolNames
from wingman.sse import Fault

__all__ = ["CallIds", "HeldCalls", "arguments_text", "function_spec", "tool_use"]


class CallIds:
    """Ids for tool calls that never repeat within a history.

    Some servers give none, some the same for all, some begin again with `call_0` each time; but
    results are matched to calls by id, and a call is cancelled by it. `before` are the history's.
    """

    def __init__(self, before: Collection[str] = ()) -> None:
        self._before = before
        self._taken: set[str] = set()

    def unique(self, offered: str | None) -> str:
        """The id that the server offers, if it can be had; else a new one."""
        taken = not offered or offered in self._taken or offered in self._before
        id = f"call_{uuid4().hex[:24]}" if taken or offered is None else offered
        self._taken.add(id)
        return id


class HeldCalls:
    """Holds back a call without arguments until it is known whether it was cut.

    A response that reaches its limit may end within a call before any of its arguments came: that
    one must not be run as if it had none. Whatever follows a call says that it was whole.
    """

    def __init__(self) -> None:
        self._held: ToolUseBlock | None = None

    def add(self, call: ToolUseBlock) -> Iterator[ToolUseBlock]:
        """Take a call; return those that may go on."""
        yield from self.release()
        if call.input or call.malformed is not None:
            yield call
        else:
            self._held = call

    def release(self, cut: bool = False) -> Iterator[ToolUseBlock]:
        """Return the call that is held back, if any; one that was `cut` is malformed."""
        call, self._held = self._held, None
        if call is not None:
            yield msgspec.structs.replace(call, malformed="") if cut else call


def tool_use(id: str, name: str, arguments: str, cut: bool = False) -> ToolUseBlock:
    """A call whose arguments are JSON text: empty means none, what is no object is malformed.

    Where the call may have been `cut`, empty means that the arguments did not come.
    """
    arguments = whole(arguments)
    if not arguments.strip():
        return ToolUseBlock(id, name, {}, malformed=arguments if cut else None)
    try:
        input = decode(arguments.encode(), dict[str, Any])
    except Fault:
        return ToolUseBlock(id, name, {}, malformed=arguments)
    return ToolUseBlock(id, name, input)


def arguments_text(value: Any) -> str:
    """The arguments of a call as JSON text, which some servers send as the object they are."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value)  # which takes halves of characters
    except RecursionError:
        return "(nested too deeply)"


def function_spec(tool: ToolSpec, names: ToolNames) -> dict[str, Any]:
    """A tool as a `function`, the form of chat completions, which Ollama's API has as well."""
    function = {
        "name": names.sent(tool.name),
        "description": tool.description,
        "parameters": tool.input_schema,
    }
    return {"type": "function", "function": function}
