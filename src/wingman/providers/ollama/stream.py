"""What Ollama's chat API streams, as parts: pure and stateful, no network.

NDJSON: each line has a piece of the message, whole tool calls, or an `error` though the status was
200. The last line is `done`, and has the counts.
Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from wingman.conversation import ThinkingBlock, Usage
from wingman.providers.base import (
    Finished,
    FinishReason,
    Part,
    TextDelta,
    ThinkingDelta,
    UsageUpdate,
)
from wingman.providers.wire import CallIds, decode, tool_use
from wingman.sse import Fault

__all__ = ["ID", "OllamaTranslator"]

ID: Final = "ollama"
"""The provider's id, and whose the reasoning is."""


class _Function(msgspec.Struct):
    name: str
    arguments: dict[str, Any] | str | None = None


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    message: _Said | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: str | None = None


class OllamaTranslator:
    """Lines of one answer in, parts out: pure and stateful, no network.

    Calls come whole. The line that is `done` has the counts; a failure is a line with `error`.
    """

    def __init__(self, ids: CallIds) -> None:
        self.finished = False
        self._ids = ids
        self._thinking: list[str] = []
        self._called = False
        self._reason: FinishReason = "end_turn"

    def feed(self, line: bytes) -> Iterator[Part]:
        """Return the parts that this line brings."""
        if not line.strip():
            return
        said = decode(line, _Line)
        if said.error is not None:
            raise Fault(said.error)
        if said.message is not None:
            yield from self._message(said.message)
        if said.done:
            self.finished = True
            self._reason = "max_tokens" if said.done_reason == "length" else "end_turn"
            yield UsageUpdate(Usage(said.prompt_eval_count or 0, said.eval_count or 0))

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the answer is not complete."""
        if not self.finished:
            raise Fault("its stream ended before the answer did")
        yield from self._thought()
        calls = self._called and self._reason == "end_turn"
        yield Finished("tool_use" if calls else self._reason)

    def _message(self, message: _Said) -> Iterator[Part]:
        if message.thinking:
            self._thinking.append(message.thinking)
            yield ThinkingDelta(message.thinking)
        if message.content:
            yield from self._thought()
            yield TextDelta(message.content)
        for call in message.tool_calls or ():
            yield from self._thought()
            self._called = True
            arguments = call.function.arguments
            text = arguments if isinstance(arguments, str) else _json(arguments or {})
            yield tool_use(self._ids.unique(call.id), call.function.name, text)

    def _thought(self) -> Iterator[Part]:
        if self._thinking:
            yield ThinkingBlock("".join(self._thinking), provider=ID)
            self._thinking.clear()


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
