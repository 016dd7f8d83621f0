"""What OpenAI's Responses API streams, as parts: pure and stateful, no network.

Items of output come one after the other: `response.output_item.added`, deltas of the item's kind,
`response.output_item.done` with the item as a whole. `response.completed`, `.incomplete` or
`.failed` is the end; there is no `[DONE]`. An `error` may come anywhere, and of many kinds of
events and items only these are known here: the others are passed over.
Source: https://platform.openai.com/docs/api-reference/responses-streaming
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

__all__ = ["ID", "ResponsesTranslator"]

ID: Final = "openai"
"""The provider's id, and whose the encrypted reasoning is."""

_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_KNOWN: Final = _TERMINAL | {
    "error",
    "response.function_call_arguments.delta",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_text.delta",
    "response.reasoning_text.delta",
    "response.refusal.delta",
}


class _Item(msgspec.Struct):
    type: str
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    status: str | None = None
    encrypted_content: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    usage: _Usage | None = None
    error: _Error | None = None
    incomplete_details: _Incomplete | None = None


class _Kind(msgspec.Struct):
    type: str = ""


class _Event(msgspec.Struct):
    type: str
    output_index: int = 0
    summary_index: int = 0
    delta: str = ""
    item: msgspec.Raw = msgspec.Raw()
    response: _Response | None = None
    error: _Error | None = None
    message: str | None = None
    code: str | int | None = None


class ResponsesTranslator:
    """Server-Sent Events of one response in, parts out."""

    def __init__(self, ids: CallIds) -> None:
        self.finished = False
        self._ids = ids
        self._thinking: list[str] = []
        self._arguments: dict[int, str] = {}  # of the calls that are not done, by output index
        self._called = False
        self._refused = False
        self._reason: FinishReason = "end_turn"

    def feed(self, event: ServerSentEvent) -> Iterator[Part]:
        """Return the parts that this event brings."""
        kind = decode(event.data, _Kind).type
        if kind in _KNOWN:
            yield from self._translate(decode(event.data, _Event))

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the response is not complete."""
        if not self.finished:
            raise Fault("its stream ended before the response did")
        yield from self._thought()
        yield Finished(self._why())

    def _translate(self, event: _Event) -> Iterator[Part]:
        match event.type:
            case "response.output_text.delta":
                yield from _text(event.delta)
            case "response.refusal.delta":
                self._refused = True
                yield from _text(event.delta)
            case "response.reasoning_summary_part.added":
                yield from self._think("\n\n" if event.summary_index else "")
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield from self._think(event.delta)
            case "response.function_call_arguments.delta":
                arguments = self._arguments.get(event.output_index, "")
                self._arguments[event.output_index] = arguments + event.delta
            case "response.output_item.added":
                if decode(event.item, _Item).type == "function_call":
                    self._arguments.setdefault(event.output_index, "")
            case "response.output_item.done":
                yield from self._done(event)
            case "error":
                raise _fault(event.error or _Error(event.message, code=event.code))
            case _:
                yield from self._end(event)

    def _think(self, piece: str) -> Iterator[Part]:
        if piece:
            self._thinking.append(piece)
            yield ThinkingDelta(piece)

    def _thought(self) -> Iterator[Part]:
        """Close reasoning that is not encrypted: it can be read, but not go back."""
        if self._thinking:
            yield ThinkingBlock("".join(self._thinking), provider=ID)
            self._thinking.clear()

    def _done(self, event: _Event) -> Iterator[Part]:
        item = decode(event.item, _Item)
        if item.type == "reasoning" and item.encrypted_content:
            self._thinking.clear()
            yield RedactedThinkingBlock(bytes(event.item).decode(), ID)
            return
        yield from self._thought()
        if item.type == "function_call":
            self._called = True
            pieces = self._arguments.pop(event.output_index, "")
            yield self._call(item, pieces if item.arguments is None else item.arguments)

    def _call(self, item: _Item, arguments: str) -> ToolUseBlock:
        id, name = self._ids.unique(item.call_id), item.name or ""
        return tool_use(id, name, arguments, cut=item.status == "incomplete")

    def _end(self, event: _Event) -> Iterator[Part]:
        response = event.response or _Response()
        if response.usage is not None:
            yield _used(response.usage)
        if event.type == "response.failed":
            raise _fault(response.error or _Error())
        if event.type == "response.incomplete":
            details = response.incomplete_details
            filtered = details is not None and details.reason == "content_filter"
            self._reason = "refusal" if filtered else "max_tokens"
        elif self._arguments:
            raise Fault("the response ended within a function call")
        self.finished = True

    def _why(self) -> FinishReason:
        if self._refused:
            return "refusal"
        return "tool_use" if self._called and self._reason == "end_turn" else self._reason


def _text(text: str) -> Iterator[Part]:
    if text:
        yield TextDelta(text)


def _used(usage: _Usage) -> UsageUpdate:
    read, thought = usage.input_tokens_details, usage.output_tokens_details
    return UsageUpdate(
        Usage(
            usage.input_tokens or 0,
            usage.output_tokens or 0,
            cache_read_tokens=(read and read.cached_tokens) or 0,
            reasoning_tokens=(thought and thought.reasoning_tokens) or 0,
        )
    )


def _fault(error: _Error) -> Fault:
    kind: Any = error.code or error.type
    return Fault(error.message or "it reports an error", None if kind is None else str(kind))
