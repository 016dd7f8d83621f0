"""A model with a window that holds it to it, and counts as its API would."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence

import trio

from wingman.conversation import Block, Message, Usage
from wingman.errors import ProviderRejected
from wingman.providers import Finished, Part, Request, TextDelta, Transport, UsageUpdate, WindowOf
from wingman.run.context import characters_of, images_of

Answer = Callable[[Request], Sequence[Part | Block]]

AN_IMAGE = 1_600


class Windowed:
    """A provider whose requests may have `window` tokens, the answer's `max_tokens` included.

    It counts `rate` tokens a character. `requests` are those that it took, and `refused` the sizes
    of those that it did not; `summaries` are those in which it was asked for a summary.
    """

    id = "scripted"

    def __init__(
        self,
        window: int,
        answer: Answer,
        *,
        rate: float = 0.25,
        tells: bool = True,
        summary: Answer | None = None,
        max_tokens: int | None = None,
        model: str = "windowed",
        says: str = "prompt is too long: {tokens} tokens > {window} maximum",
    ) -> None:
        self.model = model
        self.window = window
        self.answer = answer
        self.rate = rate
        self.tells = tells
        self.summary: Answer = summary or summarised
        self.max_tokens = max_tokens if max_tokens is not None else window // 8
        self.says = says
        self.requests: list[Request] = []
        self.summaries: list[Request] = []
        self.refused: list[int] = []

    def context_window(self, window_of: WindowOf) -> int | None:
        return self.window if self.tells else None

    def tokens_of(self, request: Request) -> int:
        tools = sum(
            len(tool.name) + len(tool.description) + len(json.dumps(dict(tool.input_schema)))
            for tool in request.tools
        )
        text = len(request.system) + tools + sum(map(characters_of, request.messages))
        return round(text * self.rate) + AN_IMAGE * sum(map(images_of, request.messages))

    async def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        await trio.lowlevel.checkpoint()
        tokens = self.tokens_of(request)
        if tokens > self.window - self.max_tokens:
            self.refused.append(tokens)
            said = self.says.format(tokens=tokens, window=self.window)
            raise ProviderRejected(said, provider=self.id, status=400)
        is_summary = request.system.startswith("You summarise")
        (self.summaries if is_summary else self.requests).append(request)
        yield UsageUpdate(Usage(tokens, 0))
        parts = (self.summary if is_summary else self.answer)(request)
        for part in parts:
            await trio.lowlevel.checkpoint()
            yield part  # type: ignore[misc]
        yield UsageUpdate(Usage(tokens, 7))
        calls = any(type(part).__name__ == "ToolUseBlock" for part in parts)
        yield Finished("tool_use" if calls else "end_turn")


def summarised(request: Request) -> Sequence[Part | Block]:
    """A summary of no great length."""
    return [TextDelta("Goal: to go on. "), TextDelta(f"Read: {len(request.messages[0].text)}.")]


def said(text: str) -> Answer:
    """It always says this."""
    return lambda request: [TextDelta(text)]


def grows(before: Sequence[Message], after: Sequence[Message]) -> bool:
    """Whether a later request begins as the earlier one: a cache of that one is of use."""
    if not before:
        return True
    *whole, last = before
    if list(after[: len(whole)]) != whole or len(after) < len(before):
        return False
    same = after[len(whole)]
    return same.role == last.role and same.content[: len(last.content)] == last.content
