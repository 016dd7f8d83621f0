"""What Anthropic's Messages API streams, as parts: pure and stateful, no network.

`message_start`, then of each content block `content_block_start`, its deltas and
`content_block_stop`, then `message_delta` with the reason and the cumulative usage, then
`message_stop`. `ping`s and unknown events may come anywhere and are passed over, an `error` too
may come anywhere, and a stream that ends before `message_stop` has broken.
Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from wingman.conversation import RedactedThinkingBlock, ThinkingBlock, ToolUseBlock, Usage
from wingman.providers.base import (
    Finished,
    FinishReason,
    Part,
    TextDelta,
    ThinkingDelta,
    UsageUpdate,
)
from wingman.providers.wire import CallIds, decode, tool_use
from wingman.sse import Fault, ServerSentEvent

__all__ = ["AnthropicTranslator"]

_REASONS: Final[dict[str | None, FinishReason]] = {
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "refusal": "refusal",
}

_KNOWN: Final = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
        "message",  # the name of an event that has none: its data tells
    }
)


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None


class _Block(msgspec.Struct):
    """A content block as it grows: it begins as the start event has it, deltas add to it."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] = {}
    partial_json: str = ""


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Error(msgspec.Struct):
    message: str = "it reports an error"
    type: str | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: _Error | None = None


class AnthropicTranslator:
    """Server-Sent Events of one message in, parts out. `provider` marks the thinking as its own."""

    def __init__(self, provider: str, ids: CallIds) -> None:
        self.finished = False
        self._provider = provider
        self._ids = ids
        self._open: dict[int, _Block] = {}
        self._usage = _Usage()
        self._reason: FinishReason = "end_turn"

    def feed(self, event: ServerSentEvent) -> Iterator[Part]:
        """Return the parts that this event brings."""
        if event.name in _KNOWN:
            yield from self._translate(decode(event.data, _Event))

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the message is not complete."""
        if not self.finished:
            raise Fault("its stream ended before the message did")
        if self._open:
            raise Fault("the message ended within a content block")
        yield Finished(self._reason)

    def _translate(self, event: _Event) -> Iterator[Part]:
        match event:
            case _Event(type="content_block_delta", delta=_Delta() as delta):
                yield from self._grow(event.index, delta)
            case _Event(type="content_block_start", content_block=_Block() as block):
                self._open[event.index] = block
                yield from _pieces(block.text, block.thinking)
            case _Event(type="content_block_stop"):
                yield from self._close(self._open.pop(event.index, None))
            case _Event(type="message_start", message=_Message(usage=_Usage() as usage)):
                yield self._used(usage)
            case _Event(type="message_delta"):
                if event.delta and event.delta.stop_reason:
                    self._reason = _REASONS.get(event.delta.stop_reason, "end_turn")
                if event.usage:
                    yield self._used(event.usage)
            case _Event(type="message_stop"):
                self.finished = True
            case _Event(type="error"):
                error = event.error or _Error()
                raise Fault(error.message, error.type)

    def _grow(self, index: int, delta: _Delta) -> Iterator[Part]:
        if (block := self._open.get(index)) is None:
            raise Fault(f"a delta belongs to no content block: index {index}")
        block.thinking += delta.thinking
        block.signature += delta.signature
        block.partial_json += delta.partial_json
        yield from _pieces(delta.text, delta.thinking)

    def _close(self, block: _Block | None) -> Iterator[Part]:
        match block:
            case _Block(type="thinking"):
                yield ThinkingBlock(block.thinking, block.signature or None, self._provider)
            case _Block(type="redacted_thinking"):
                yield RedactedThinkingBlock(block.data, self._provider)
            case _Block(type="tool_use"):
                id = self._ids.unique(block.id)
                if block.partial_json.strip():
                    yield tool_use(id, block.name, block.partial_json)
                else:
                    yield ToolUseBlock(id, block.name, block.input)

    def _used(self, latest: _Usage) -> UsageUpdate:
        """Counts are cumulative, and an event that does not know one leaves it out."""
        for field in latest.__struct_fields__:
            count = getattr(latest, field)
            if count is not None:
                setattr(self._usage, field, max(count, getattr(self._usage, field) or 0))
        fresh = self._usage.input_tokens or 0
        written = self._usage.cache_creation_input_tokens or 0
        read = self._usage.cache_read_input_tokens or 0
        output = self._usage.output_tokens or 0
        return UsageUpdate(Usage(fresh + written + read, output, read, written))


def _pieces(text: str, thinking: str) -> Iterator[Part]:
    if text:
        yield TextDelta(text)
    if thinking:
        yield ThinkingDelta(thinking)
