"""What Google's Gemini API streams, as parts: pure and stateful, no network.

Chunks, each with a candidate whose content has parts: text, thoughts, whole function calls. A part
may bear a signature, which goes back with this very part and is merged with no other. The last
chunk has a finish reason (none of which means "tool call"); usage is cumulative. A prompt that is
blocked has no candidate. There is no `[DONE]`: the end of the stream is the end.
Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from wingman.conversation import TextBlock, ThinkingBlock, ToolUseBlock, Usage
from wingman.providers.base import (
    Finished,
    FinishReason,
    Part,
    TextDelta,
    ThinkingDelta,
    UsageUpdate,
)
from wingman.providers.wire import CallIds, decode
from wingman.sse import Fault, ServerSentEvent

__all__ = ["ID", "GeminiTranslator"]

ID: Final = "gemini"
"""The provider's id, and whose the signatures are."""

_REASONS: Final[dict[str, FinishReason]] = {
    "MAX_TOKENS": "max_tokens",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "LANGUAGE": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "IMAGE_SAFETY": "refusal",
    "IMAGE_PROHIBITED_CONTENT": "refusal",
}

_FAILURES: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "OTHER",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)


class _FunctionCall(msgspec.Struct):
    name: str = ""
    id: str | None = None
    args: Any = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _FunctionCall | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Error(msgspec.Struct):
    message: str | None = None
    status: str | None = None
    code: int | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: _Usage | None = None
    prompt_feedback: _Feedback | None = None
    error: _Error | None = None


class GeminiTranslator:
    """Server-Sent Events of one response in, parts out. `tools` are the names of those it has."""

    def __init__(self, ids: CallIds, tools: Sequence[str] = ()) -> None:
        self.finished = False  # what comes after the reason may still be usage
        self._ids = ids
        self._tools = tools
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._called = False
        self._reason: FinishReason | None = None

    def feed(self, event: ServerSentEvent) -> Iterator[Part]:
        """Return the parts that this event brings."""
        chunk = decode(event.data, _Chunk)
        if (error := chunk.error) is not None:
            kind = error.status or (str(error.code) if error.code is not None else None)
            raise Fault(error.message or "it reports an error", kind)
        if chunk.usage_metadata is not None:
            yield _used(chunk.usage_metadata)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._reason = "refusal"
        for candidate in (chunk.candidates or ())[:1]:
            for part in (candidate.content and candidate.content.parts) or ():
                yield from self._part(part)
            yield from self._finish(candidate)

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the response is not complete."""
        if self._reason is None:
            raise Fault("its stream ended before the response did")
        yield from self._thought()
        calls = self._called and self._reason == "end_turn"
        yield Finished("tool_use" if calls else self._reason)

    def _part(self, part: _Part) -> Iterator[Part]:
        if part.function_call is not None:
            yield from self._thought()
            yield from self._said()
            yield self._call(part.function_call, part.thought_signature)
        elif part.thought:
            yield from self._said()
            yield from self._think(part.text or "", part.thought_signature)
        elif part.text or part.thought_signature:
            yield from self._thought()
            yield from self._say(part.text or "", part.thought_signature)

    def _think(self, text: str, signature: str | None) -> Iterator[Part]:
        if text:
            self._thinking.append(text)
            yield ThinkingDelta(text)
        if signature:
            yield from self._thought(signature)

    def _thought(self, signature: str | None = None) -> Iterator[Part]:
        if self._thinking or signature:
            yield ThinkingBlock("".join(self._thinking), signature, ID)
            self._thinking.clear()

    def _say(self, text: str, signature: str | None) -> Iterator[Part]:
        """Text that is signed is a block of its own: the text before it must not be merged."""
        if signature:
            yield from self._said()
        if text:
            self._text.append(text)
            yield TextDelta(text)
        if signature:
            yield TextBlock(text, signature, ID)
            self._text.clear()

    def _said(self) -> Iterator[Part]:
        if self._text:
            yield TextBlock("".join(self._text))
            self._text.clear()

    def _call(self, call: _FunctionCall, signature: str | None) -> ToolUseBlock:
        self._called = True
        id, args = self._ids.unique(call.id), {} if call.args is None else call.args
        malformed = None if isinstance(args, dict) else msgspec.json.encode(args).decode()
        input = args if malformed is None else {}
        owner = ID if signature else None
        return ToolUseBlock(id, call.name, input, malformed, signature, owner)

    def _finish(self, candidate: _Candidate) -> Iterator[Part]:
        reason, said = candidate.finish_reason, candidate.finish_message or ""
        if not reason or self._reason == "refusal":
            return
        if reason == "MALFORMED_FUNCTION_CALL" and (name := self._meant(said)):
            # The call is known by what the API quotes of it: the model may be told, and try again.
            yield from self._thought()
            self._called = True
            yield ToolUseBlock(self._ids.unique(None), name, {}, malformed=said)
        elif reason in _FAILURES:
            raise Fault(f"the response ended in {reason}{': ' if said else ''}{said}", reason)
        self._reason = _REASONS.get(reason, "end_turn")

    def _meant(self, quoted: str) -> str | None:
        """The tool that is named first."""
        named = [(quoted.find(name), name) for name in self._tools if name in quoted]
        return min(named)[1] if named else None


def _used(usage: _Usage) -> UsageUpdate:
    thoughts = usage.thoughts_token_count or 0
    return UsageUpdate(
        Usage(
            (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
            (usage.candidates_token_count or 0) + thoughts,
            cache_read_tokens=usage.cached_content_token_count or 0,
            reasoning_tokens=thoughts,
        )
    )
