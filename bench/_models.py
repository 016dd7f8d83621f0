"""Models that cost nothing: a provider whose parts are made once, and agents that have one."""

import itertools
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import trio

from wingman import Agent, tool
from wingman.conversation import ToolResultBlock, ToolUseBlock
from wingman.providers import Finished, Part, Request, TextDelta, Transport

__all__ = ["EVENTFUL", "EVENTS", "NAPS", "TEXT", "TOOLS", "Costless", "text"]

EVENTS: Final = 50
NAP_SECONDS: Final = 0.05


class Costless:
    """Says the same each time, at once, and remembers nothing.

    With `calls`, tools and their inputs, it asks for these first, and answers when it has results.
    """

    id = "costless"
    model = "none"

    def __init__(
        self, answer: Sequence[str], calls: Sequence[tuple[str, dict[str, Any]]] = ()
    ) -> None:
        self._answer: tuple[Part, ...] = (*map(TextDelta, answer), Finished("end_turn"))
        self._calls = tuple(calls)
        self._ids = itertools.count()

    async def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        if self._calls and not isinstance(request.messages[-1].content[-1], ToolResultBlock):
            for name, given in self._calls:
                yield ToolUseBlock(f"call_{next(self._ids)}", name, given)
            yield Finished("tool_use")
            return
        for part in self._answer:
            yield part


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def nap() -> str:
    """Sleep for 50 ms."""
    await trio.sleep(NAP_SECONDS)
    return "slept"


def text(name: str, *pieces: str) -> Agent:
    """An agent whose model says these pieces."""
    return Agent(name, provider=Costless(pieces))


TEXT: Final = text("text", "A short answer.")
EVENTFUL: Final = text("eventful", *"x" * (EVENTS - 1))
TOOLS: Final = Agent(
    "tools",
    provider=Costless(["Three."], [("add", {"a": 1, "b": 2})]),
    tools=[add],
)
NAPS: Final = Agent(
    "naps",
    provider=Costless(["Rested."], [("nap", {})] * 8),
    tools=[nap],
)
