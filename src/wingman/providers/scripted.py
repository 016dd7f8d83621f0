"""Scripted: a provider that says what it is told to. For tests of one's own agents.

It goes through the same protocol as the real ones, with delays and failures where they are wanted:

    Scripted([ToolCalls(("forecast", {"city": "Bern"})), "It will rain."])
    Scripted(lambda request: f"You said: {request.messages[-1].text}")
    Scripted([Delay("slow but sure", 2.0), Fail(ProviderTimeout("…", provider="scripted"))])

Delays are `trio.sleep`s, so that virtual time (`autojump_clock`) makes them free. Its usage is an
estimate that grows with the texts: a token for every four characters, rounded up.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from inspect import isawaitable
from typing import Any, Final, TypeAlias

import attrs
import msgspec
import trio

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
from wingman.errors import ProviderError
from wingman.providers.base import (
    Finished,
    Part,
    Request,
    TextDelta,
    UsageUpdate,
)

__all__ = ["Delay", "Fail", "Item", "Parts", "Script", "Scripted", "ToolCalls", "reply"]

ID: Final = "scripted"


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

Script: TypeAlias = Iterable[Item] | Callable[[Request], Item | Awaitable[Item]]


def _steps(script: Script) -> tuple[Item, ...] | Callable[[Request], Item | Awaitable[Item]]:
    if isinstance(script, str):
        raise TypeError("a script is a list of items or a function: write [text] for one response")
    return script if callable(script) else tuple(script)


@attrs.define(eq=False)
class Scripted:
    """Answers from a script: a list, one item an inference, or a function of the request.

    `delay` and `piece_delay` are in seconds, before the first part and before each other; a `Delay`
    overrides both. Text comes in pieces of `piece_size` characters. The list is consumed across
    all runs that share the instance; when it is used up, an inference raises `ProviderError`.
    `requests` are those it was asked, in order, all of them: this is for tests.
    """

    script: Script = attrs.field(converter=_steps, repr=False)
    delay: float = attrs.field(default=0.0, kw_only=True)
    piece_delay: float = attrs.field(default=0.0, kw_only=True)
    piece_size: int = attrs.field(default=16, kw_only=True, validator=attrs.validators.ge(1))
    model: str = attrs.field(default="scripted", kw_only=True)
    id: str = attrs.field(default=ID, init=False)
    requests: list[Request] = attrs.field(factory=list, init=False, repr=False)
    _used: int = attrs.field(default=0, init=False, repr=False)

    async def stream(self, request: Request) -> AsyncGenerator[Part, None]:
        """Run one inference: the next item of the script."""
        self.requests.append(request)
        item = await self._next(request)
        wait, each = self.delay, self.piece_delay
        if isinstance(item, Delay):
            wait, each, item = item.first, item.each, item.item
        await trio.sleep(wait)
        first = True
        for part in reply(item, request, self.piece_size):
            if each and not first:
                await trio.sleep(each)
            first = False
            yield part

    async def _next(self, request: Request) -> Item:
        if callable(self.script):
            item = self.script(request)
            return await item if isawaitable(item) else item
        steps = tuple(self.script)
        self._used += 1
        if self._used > len(steps):
            raise ProviderError(
                f"the script is used up: it has {len(steps)} items, "
                f"and this is inference {self._used}",
                provider=self.id,
            )
        return steps[self._used - 1]


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
