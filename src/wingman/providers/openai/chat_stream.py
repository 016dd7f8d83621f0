"""What a chat completions API streams, as parts: pure and stateful, no network.

OpenAI's own stream is chunks with one choice, then one with no choice and the usage, then
`[DONE]`. What compatible servers do otherwise, and is understood here: no usage; `choices` null;
an error within the stream; no `[DONE]` (the end of the stream will do once a finish reason has
come); reasoning under one of two names, or as a part of the content; calls without an id, without
an index, all under one index, or with arguments that are an object or an empty string.
Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Iterator
from typing import Any, Final

import attrs
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
from wingman.sse import Fault, ServerSentEvent

__all__ = ["ChatTranslator"]

_REASONS: Final[dict[str, FinishReason]] = {
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
}

_FAILURES: Final = frozenset({"error", "insufficient_system_resource"})


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _CallDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _ContentPart(msgspec.Struct):
    text: str | None = None
    thinking: "str | list[_ContentPart] | None" = None


class _Delta(msgspec.Struct):
    content: str | list[_ContentPart] | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: _Error | str | None = None


@attrs.define
class _Call:
    """A tool call as it grows."""

    id: str = ""
    name: str = ""
    pieces: list[str] = attrs.field(factory=list)  # of the arguments: there may be many

    @property
    def arguments(self) -> str:
        """The arguments so far."""
        return "".join(self.pieces)

    def grow(self, delta: _CallDelta) -> None:
        self.id = self.id or delta.id or ""
        if (function := delta.function) is None:
            return
        self.name = self.name or function.name or ""
        if isinstance(function.arguments, dict):
            self.pieces = [msgspec.json.encode(function.arguments).decode()]
        elif function.arguments:
            self.pieces.append(function.arguments)

    def is_another(self, delta: _CallDelta) -> bool:
        """Whether the delta begins a new call, though its index is this one's."""
        new_id = bool(delta.id and self.id and delta.id != self.id)
        return new_id and bool(delta.function and delta.function.name)


class ChatTranslator:
    """Server-Sent Events of one completion in, parts out. `provider` marks the reasoning.

    Reasoning is not signed here; its `signature` is the name of the field that it came in, by which
    it goes back.
    """

    def __init__(self, provider: str, ids: CallIds) -> None:
        self.finished = False
        self._provider = provider
        self._ids = ids
        self._reason: FinishReason | None = None
        self._refused = False
        self._thinking: list[str] = []
        self._field: str | None = None
        self._calls: list[_Call] = []
        self._by_index: dict[int | None, _Call] = {}

    def feed(self, event: ServerSentEvent) -> Iterator[Part]:
        """Return the parts that this event brings."""
        if event.data.strip() == b"[DONE]":
            self.finished = True
            return
        chunk = decode(event.data, _Chunk)
        if chunk.error is not None:
            raise _fault(chunk.error)
        for choice in (chunk.choices or ())[:1]:
            yield from self._choice(choice)
        if chunk.usage is not None:
            yield _used(chunk.usage)

    def end(self) -> Iterator[Part]:
        """Return the calls and `Finished`; raise `Fault` if the completion is not complete."""
        if not self.finished and self._reason is None:
            raise Fault("its stream ended before the completion did")
        yield from self._thought()
        for call in self._calls:
            yield tool_use(self._ids.unique(call.id), call.name, call.arguments, self._cut(call))
        yield Finished(self._why())

    def _choice(self, choice: _Choice) -> Iterator[Part]:
        if choice.delta is not None:
            yield from self._delta(choice.delta)
        if choice.finish_reason in _FAILURES:
            raise Fault("the completion ended in an error", choice.finish_reason)
        if choice.finish_reason:
            self._reason = _REASONS.get(choice.finish_reason, "end_turn")

    def _delta(self, delta: _Delta) -> Iterator[Part]:
        text, thinking = _said(delta.content)
        # Some servers send their reasoning under both names.
        for name in ("reasoning_content", "reasoning"):
            if not thinking and (thinking := getattr(delta, name) or ""):
                self._field = name
        if thinking:
            self._thinking.append(thinking)
            yield ThinkingDelta(thinking)
        self._refused = self._refused or bool(delta.refusal)
        if text := text + (delta.refusal or ""):
            yield from self._thought()
            yield TextDelta(text)
        for call in delta.tool_calls or ():
            self._call_of(call).grow(call)

    def _call_of(self, delta: _CallDelta) -> _Call:
        call = self._by_index.get(delta.index)
        if delta.index is None and not delta.id and self._calls:
            call = self._calls[-1]
        if call is None or call.is_another(delta):
            call = self._by_index[delta.index] = _Call()
            self._calls.append(call)
        return call

    def _thought(self) -> Iterator[Part]:
        if self._thinking:
            yield ThinkingBlock("".join(self._thinking), self._field, self._provider)
            self._thinking.clear()

    def _cut(self, call: _Call) -> bool:
        return self._reason == "max_tokens" and call is self._calls[-1]

    def _why(self) -> FinishReason:
        if self._refused:
            return "refusal"
        if self._reason is None or self._reason == "end_turn":
            return "tool_use" if self._calls else "end_turn"
        return self._reason


def _said(content: str | list[_ContentPart] | None) -> tuple[str, str]:
    """The text and the reasoning of a delta's content, which Mistral sends in parts."""
    if not isinstance(content, list):
        return content or "", ""
    text = "".join(part.text or "" for part in content)
    thoughts = [part.thinking for part in content if part.thinking]
    return text, "".join(t if isinstance(t, str) else _said(t)[0] for t in thoughts)


def _used(usage: _Usage) -> UsageUpdate:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return UsageUpdate(
        Usage(
            usage.prompt_tokens or 0,
            usage.completion_tokens or 0,
            cache_read_tokens=(prompt and prompt.cached_tokens) or 0,
            reasoning_tokens=(completion and completion.reasoning_tokens) or 0,
        )
    )


def _fault(error: _Error | str) -> Fault:
    if isinstance(error, str):
        return Fault(error)
    kind = error.type or error.code
    return Fault(error.message or "it reports an error", None if kind is None else str(kind))
