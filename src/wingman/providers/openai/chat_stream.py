"""What a chat completions API streams, as parts: pure and stateful, no network.

OpenAI's own stream is chunks with one choice, then one with no choice and the usage, then
`[DONE]`. What compatible servers do otherwise, and is understood here: no usage; `choices` null;
an error within the stream, in any shape; a whole `message` in place of a `delta`; no `[DONE]`, or
what cannot be read in its place (the end of the stream will do once a finish reason has come);
reasoning under one of two names, or as a part of the content; calls as `chat_calls.py` describes.
A stream that has nothing but `[DONE]` is no answer.
Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

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
from wingman.providers.openai.chat_calls import ChatCall, ChatCalls
from wingman.providers.wire import (
    CallIds,
    Characters,
    Json,
    ToolNames,
    Usual,
    count,
    fields,
    finish_reason,
    is_done,
    items,
    named_error,
    object_in,
    reason_word,
    reported,
    text,
    tool_use,
)
from wingman.sse import Fault, ServerSentEvent

__all__ = ["ChatTranslator"]

_WHAT: Final = "the completion"


class _Delta(msgspec.Struct, forbid_unknown_fields=True):
    content: str
    role: Any = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    reasoning: None = None
    reasoning_content: None = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    delta: _Delta
    index: Any = None
    finish_reason: None = None
    logprobs: Any = None


class _Chunk(msgspec.Struct, forbid_unknown_fields=True):
    """A chunk with a piece of text, and nothing else of interest."""

    choices: tuple[_Choice]
    id: Any = None
    object: Literal["chat.completion.chunk"] | None = None
    created: Any = None
    model: Any = None
    system_fingerprint: Any = None
    service_tier: Any = None
    obfuscation: Any = None
    provider: Any = None
    usage: None = None


class ChatTranslator:
    """Server-Sent Events of one completion in, parts out. `provider` marks the reasoning.

    Reasoning is not signed here; its `signature` is the name of the field that it came in, by which
    it goes back. `names` are those of the tools.
    """

    def __init__(self, provider: str, ids: CallIds, names: ToolNames | None = None) -> None:
        self.finished = False
        self._provider = provider
        self._ids = ids
        self._names = names or ToolNames()
        self._reason: FinishReason | None = None
        self._refused = False
        self._said = False  # whether anything has come of the answer
        self._text = Characters()
        self._thinks = False  # whether there is thinking that is not closed
        self._thinking: list[str] = []
        self._thought = Characters()
        self._field: str | None = None
        self._calls = ChatCalls()
        self._usual = Usual(_Chunk)

    def feed(self, event: ServerSentEvent) -> Iterable[Part]:
        """Return the parts that this event brings."""
        if event.name != "error" and (chunk := self._usual.read(event.data)) is not None:
            return self._say(chunk.choices[0].delta.content)
        return self._read(event)

    def _read(self, event: ServerSentEvent) -> Iterator[Part]:
        if is_done(event.data):
            self.finished = True
            return
        if event.name == "error":
            raise named_error(event.data)
        try:
            chunk = object_in(event.data)
        except Fault:
            if self._reason is None:
                raise
            return  # the answer is whole: what comes behind it costs no run
        if chunk is None:
            return
        if (fault := reported(chunk, "choices", "usage")) is not None:
            raise fault
        for choice in items(chunk.get("choices"), "choices")[:1]:
            yield from self._choice(choice)
        if usage := fields(chunk.get("usage")):
            yield _used(usage)

    def end(self) -> Iterator[Part]:
        """Return the calls and `Finished`; raise `Fault` if the completion is not complete."""
        if not self.finished and self._reason is None:
            raise Fault("its stream ended before the completion did")
        yield from self._close_thinking()
        if rest := self._text.end():
            yield TextDelta(rest)
        if self._reason is None and not self._said and not self._calls.all:
            raise Fault("its stream has nothing in it but its end")
        for call in self._calls.all:
            name = self._names.own(call.name)
            yield tool_use(self._ids.unique(call.id), name, call.arguments, self._cut(call))
        yield Finished(self._why())

    def _choice(self, choice: Json) -> Iterator[Part]:
        delta = fields(choice.get("delta"))
        if not delta and not self._said and not self._calls.all:
            delta = fields(choice.get("message"))  # what is not sent in pieces
        if delta:
            yield from self._delta(delta)
        if (fault := reported(choice, *choice)) is not None:
            raise fault  # as OpenRouter tells of what failed behind it
        if (word := reason_word(choice.get("finish_reason"))) is not None:
            self._reason = finish_reason(word, _WHAT)

    def _delta(self, delta: Json) -> Iterator[Part]:
        said, thought = _said(delta.get("content"))
        # Some servers send their reasoning under both names.
        for name in ("reasoning_content", "reasoning"):
            if not thought and isinstance(given := delta.get(name), str) and given:
                thought, self._field = given, name
        self._thinks = self._thinks or bool(thought)
        if thought and (thought := self._thought.feed(thought)):
            self._said = True
            self._thinking.append(thought)
            yield ThinkingDelta(thought)
        refusal = text(delta.get("refusal"), "a refusal")
        self._refused = self._refused or bool(refusal)
        yield from self._say(said + refusal)
        self._calls.feed(items(delta.get("tool_calls"), "tool_calls"))
        if (older := delta.get("function_call")) is not None:  # before there were `tool_calls`
            self._calls.feed([{"index": 0, "function": older}])

    def _say(self, said: str) -> Iterable[Part]:
        if not said:
            return ()
        closed = tuple(self._close_thinking()) if self._thinks else ()
        self._said = True
        said = self._text.feed(said)
        return (*closed, TextDelta(said)) if said else closed

    def _close_thinking(self) -> Iterator[Part]:
        self._thinks = False
        if rest := self._thought.end():
            self._thinking.append(rest)
            yield ThinkingDelta(rest)
        if self._thinking:
            yield ThinkingBlock("".join(self._thinking), self._field, self._provider)
            self._thinking.clear()

    def _cut(self, call: ChatCall) -> bool:
        cut_short = self._reason in ("max_tokens", "refusal")
        return cut_short and call is self._calls.all[-1]

    def _why(self) -> FinishReason:
        if self._refused:
            return "refusal"
        if self._reason is None or self._reason == "end_turn":
            return "tool_use" if self._calls.all else "end_turn"
        return self._reason


def _said(content: Any) -> tuple[str, str]:
    """The text and the reasoning of a delta's content, which Mistral sends in parts."""
    if not isinstance(content, list):
        return text(content, "a delta's content"), ""
    said, thoughts = "", ""
    for part in content:
        if isinstance(part, str):
            said += part
        elif isinstance(part, dict):
            said += text(part.get("text"), "a part's text")
            thinking = part.get("thinking")
            if isinstance(thinking, str | list):
                thoughts += _said(thinking)[0]
    return said, thoughts


def _used(usage: Json) -> UsageUpdate:
    prompt = fields(usage.get("prompt_tokens_details"))
    completion = fields(usage.get("completion_tokens_details"))
    return UsageUpdate(
        Usage(
            count(usage.get("prompt_tokens")) or 0,
            count(usage.get("completion_tokens")) or 0,
            cache_read_tokens=count(prompt.get("cached_tokens")) or 0,
            reasoning_tokens=count(completion.get("reasoning_tokens")) or 0,
        )
    )
