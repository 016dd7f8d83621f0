"""Tools as models are told of them, and their calls as models send them, made into blocks.

The arguments of a call may not parse, and its id may be missing.
"""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import msgspec

from wingman.conversation import Message, ToolUseBlock
from wingman.providers.base import ToolSpec

__all__ = ["CallIds", "function_spec", "tool_use"]


class CallIds:
    """Ids for tool calls that never repeat within a history.

    Some servers give none, some the same for all, some begin again with `call_0` each time; but
    results are matched to calls by id, and a call is cancelled by it.
    """

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._taken = {use.id for message in messages for use in message.tool_uses}

    def unique(self, offered: str | None) -> str:
        """The id that the server offers, if it can be had; else a new one."""
        id = offered if offered and offered not in self._taken else f"call_{uuid4().hex[:24]}"
        self._taken.add(id)
        return id


def tool_use(id: str, name: str, arguments: str, cut: bool = False) -> ToolUseBlock:
    """A call whose arguments are JSON text: empty means none, what is no object is malformed.

    Where the call may have been `cut`, empty means that the arguments did not come.
    """
    if not arguments.strip():
        return ToolUseBlock(id, name, {}, malformed=arguments if cut else None)
    try:
        input = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return ToolUseBlock(id, name, {}, malformed=arguments)
    if not isinstance(input, dict):
        return ToolUseBlock(id, name, {}, malformed=arguments)
    return ToolUseBlock(id, name, input)


def function_spec(tool: ToolSpec) -> dict[str, Any]:
    """A tool as a `function`, the form of chat completions, which Ollama's API has as well."""
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
    }
    return {"type": "function", "function": function}
