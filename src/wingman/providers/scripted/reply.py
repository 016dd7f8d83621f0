"""What one step of a scripted model says: the items of a script, and their parts.

Usage is an estimate that grows with the texts: a token for every four characters, rounded up.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
import msgspec

from wingman.conversation import (
    Block,
    ImageBlock,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from wingman.providers.base import Finished, Part, Request, TextDelta, UsageUpdate

__all__ = ["Delay", "Fail", "Item", "Parts", "ToolCalls", "reply"]


@attrs.frozen(init=False)
class ToolCalls:
    """A step that asks for tools, all at once; `text` is said before."""

    calls: tuple[tuple[str, Mapping[str, Any]], ...]
    text: str = ""

    def __init__(self, *calls: tuple[str, Mapping[str, Any]], text: str = "") -> None:
        self.__attrs_init__(calls, text)


@attrs.frozen
class Fail:
    """A step that fails, in the middle of its stream where there is text `after` which to fail."""

    error: Exception
    after: str = ""


@attrs.frozen(init=False)
class Parts:
    """A step given part by part, for what the others do not say; nothing is added to it."""

    parts: tuple[Part, ...]

    def __init__(self, *parts: Part) -> None:
        self.__attrs_init__(parts)


@attrs.frozen
class Delay:
    """A step with delays of its own, in seconds: before its first part, and before each other."""

    item: "str | ToolCalls | Fail | Parts"
    first: float = 0.0
    each: float = 0.0


Item: TypeAlias = str | ToolCalls | Fail | Parts | Delay
"""What one inference gives; a string is a final response."""


def reply(
    item: str | ToolCalls | Fail | Parts, request: Request, piece_size: int
) -> Iterator[Part]:
    """The parts of one step; raises where a `Fail` does."""
    match item:
        case Parts(parts):
            yield from parts
        case Fail(error, text):
            yield from _pieces(text, piece_size)
            raise error
        case str(text):
            yield from _pieces(text, piece_size)
            yield UsageUpdate(Usage(_asked(request), _tokens(len(text))))
            yield Finished("end_turn")
        case ToolCalls(calls, text):
            yield from _pieces(text, piece_size)
            blocks = _blocks(calls, request)
            yield from blocks
            size = len(text) + sum(_size(block) for block in blocks)
            yield UsageUpdate(Usage(_asked(request), _tokens(size)))
            yield Finished("tool_use")


def _pieces(text: str, size: int) -> Iterator[Part]:
    for start in range(0, len(text), size):
        yield TextDelta(text[start : start + size])


def _blocks(calls: Iterable[tuple[str, Mapping[str, Any]]], request: Request) -> list[ToolUseBlock]:
    """The calls, numbered on from those of the history, so that no id comes twice in it."""
    taken = {use.id for message in request.messages for use in message.tool_uses}
    number = len(taken)
    blocks = []
    for name, input in calls:
        number += 1
        while f"toolu_{number}" in taken:
            number += 1
        blocks.append(ToolUseBlock(f"toolu_{number}", name, dict(input)))
    return blocks


def _asked(request: Request) -> int:
    sizes = (_size(block) for message in request.messages for block in message.content)
    return _tokens(len(request.system) + sum(sizes))


def _size(block: Block) -> int:
    match block:
        case TextBlock(text):
            return len(text)
        case ToolResultBlock(content=content):
            return len(content)
        case ToolUseBlock(name=name, input=input):
            return len(name) + len(msgspec.json.encode(input))
        case ThinkingBlock(thinking):
            return len(thinking)
        case RedactedThinkingBlock(data):
            return len(data)
        case ImageBlock(data=data):
            return len(data)


def _tokens(characters: int) -> int:
    return -(-characters // 4)
