"""The keyless model: it does what the user's message says, word for word, and needs no key.

It is no language model. Each line `!tool rest` is one tool call, several such lines are parallel
calls of one step, a line `---` begins the next step; when all is done it quotes the results. It
keeps no state: how far it has come it reads off the history, so that a run can be resumed.
"""

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec
import trio

from wingman.conversation import Message, TextBlock, ToolResultBlock
from wingman.providers.base import Part, Request, ToolSpec
from wingman.providers.scripted.provider import ID
from wingman.providers.scripted.reply import ToolCalls, reply
from wingman.providers.transport import Transport
from wingman.under_trio import require_trio

__all__ = ["Keyless"]

_CALL: Final = re.compile(r"!(?P<name>[\w.-]+)(?:\s+(?P<rest>.*))?")
_QUOTED: Final = 4000
_HELP: Final = """\
I am Wingman's keyless model: no language model, I only do what a message says. Each line of the \
form `!tool rest` is one tool call; `rest` is the tool's first required parameter, or a JSON \
object. Lines that follow each other are parallel calls, a line `---` begins the next step:

!bash ls
---
!read README.md

For a language model, give the agent another provider, such as anthropic, openai or ollama."""


@attrs.frozen
class Keyless:
    """The keyless model. `piece_delay` is in seconds, before each of its words."""

    model: str = "keyless"
    piece_delay: float = attrs.field(default=0.0, kw_only=True)
    id: str = attrs.field(default=ID, init=False)

    async def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference: the next step of the user's message, or the closing text."""
        require_trio()
        await trio.lowlevel.checkpoint()
        for part in reply(_next(request), request, piece_size=8):
            if self.piece_delay:
                await trio.sleep(self.piece_delay)
            yield part


def _next(request: Request) -> str | ToolCalls:
    asked, since = _task(request.messages)
    steps = list(_plan(asked))
    done = sum(1 for message in since if message.tool_uses)
    if not steps:
        return _tools_help(request.tools)
    if done < len(steps):
        tools = {tool.name: tool for tool in request.tools}
        return ToolCalls(*((name, _input(tools.get(name), rest)) for name, rest in steps[done]))
    return _report(since)


def _task(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """The last thing that the user says, and what has followed it.

    Messages of the user that follow each other come joined, a block each: what the earlier ones
    asked for was cut off, and is not to be done now.
    """
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        texts = [block.text for block in message.content if isinstance(block, TextBlock)]
        if message.role == "user" and texts:
            return texts[-1], messages[index + 1 :]
    return "", messages


def _plan(text: str) -> Iterator[list[tuple[str, str]]]:
    """The steps of a message, each its calls: a tool's name and the rest of the line."""
    step: list[tuple[str, str]] = []
    for line in [*map(str.strip, text.splitlines()), "---"]:
        if call := _CALL.fullmatch(line):
            step.append((call["name"], call["rest"] or ""))
        elif line == "---" and step:
            yield step
            step = []


def _input(tool: ToolSpec | None, rest: str) -> dict[str, Any]:
    if not rest:
        return {}
    given = _json(rest)
    if isinstance(given, dict):
        return given
    schema = tool.input_schema if tool is not None else {}
    properties: Mapping[str, Any] = schema.get("properties", {})
    name = next(iter([*schema.get("required", ()), *properties]), "input")
    textual = properties.get(name, {}).get("type", "string") == "string"
    return {name: rest if textual or given is None else given}


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _tools_help(tools: Sequence[ToolSpec]) -> str:
    names = ", ".join(tool.name for tool in tools) or "none"
    return f"{_HELP}\n\nThe tools here: {names}."


def _report(since: Sequence[Message]) -> str:
    """What the calls gave, each in the order it was asked for."""
    results = {
        block.tool_use_id: block
        for message in since
        for block in message.content
        if isinstance(block, ToolResultBlock)
    }
    quotes = [
        _quote(use.name, results[use.id])
        for message in since
        for use in message.tool_uses
        if use.id in results
    ]
    return "\n\n".join(["Done, as told (I am no language model). The results:", *quotes])


def _quote(name: str, result: ToolResultBlock) -> str:
    content = result.content.rstrip("\n")
    if len(content) > _QUOTED:
        content = f"{content[:_QUOTED]}\n… and {len(content) - _QUOTED} characters more"
    return f"{name} {'failed' if result.is_error else 'gave'}:\n{content}"
