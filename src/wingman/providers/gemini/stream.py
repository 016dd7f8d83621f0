"""What Google's Gemini API streams, as parts: pure and stateful, no network.

Chunks, each with a candidate whose content has parts: text, thoughts, whole function calls. A part
may bear a signature, which goes back with this very part and is merged with no other. The last
chunk has a finish reason (none of which means "tool call"); usage is cumulative. A prompt that is
blocked has no candidate. There is no `[DONE]`: the end of the stream is the end.
Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from collections.abc import Iterator, Sequence
from typing import Final

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
from wingman.providers.wire import (
    CallIds,
    Characters,
    HeldCalls,
    Json,
    ToolNames,
    arguments_text,
    count,
    fields,
    finish_reason,
    items,
    named_error,
    object_in,
    reason_word,
    reported,
    text,
    tool_use,
    whole,
    word,
)
from wingman.sse import Fault, ServerSentEvent

__all__ = ["ID", "MORE", "GeminiTranslator"]

ID: Final = "gemini"
"""The provider's id, and whose the signatures are."""

MORE: Final = ".:"
"""The characters that the name of a function may have here, and nowhere else."""

_PAYLOAD: Final = ("candidates", "usageMetadata", "promptFeedback", "responseId")


class GeminiTranslator:
    """Server-Sent Events of one response in, parts out. `tools` are the names of those it has."""

    def __init__(self, ids: CallIds, tools: Sequence[str] = ()) -> None:
        self.finished = False  # what comes after the reason may still be usage
        self._ids = ids
        self._names = ToolNames(tools, also=MORE)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._said_characters = Characters()
        self._thought_characters = Characters()
        self._calls = HeldCalls()
        self._called = False
        self._reason: FinishReason | None = None

    def feed(self, event: ServerSentEvent) -> Iterator[Part]:
        """Return the parts that this event brings."""
        if event.name == "error":
            raise named_error(event.data)
        if (chunk := object_in(event.data)) is None:
            return
        if (fault := reported(chunk, *_PAYLOAD)) is not None:
            raise fault
        if usage := fields(chunk.get("usageMetadata")):
            yield _used(usage)
        blocked = reason_word(fields(chunk.get("promptFeedback")).get("blockReason"))
        if blocked not in (None, "BLOCK_REASON_UNSPECIFIED"):
            self._reason = "refusal"
        for candidate in items(chunk.get("candidates"), "candidates")[:1]:
            content = fields(candidate.get("content"))
            for part in items(content.get("parts"), "a candidate's parts"):
                yield from self._part(part)
            yield from self._finish(candidate)

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the response is not complete."""
        if self._reason is None:
            raise Fault("its stream ended before the response did")
        yield from self._thought()
        yield from self._whole()
        yield from self._calls.release(cut=self._reason in ("max_tokens", "refusal"))
        calls = self._called and self._reason == "end_turn"
        yield Finished("tool_use" if calls else self._reason)

    def _part(self, part: Json) -> Iterator[Part]:
        signature = word(part.get("thoughtSignature")) or None
        said = text(part.get("text"), "a part's text")
        if part.get("functionCall") is not None:
            yield from self._thought()
            yield from self._said()
            yield from self._calls.add(self._call(fields(part["functionCall"]), signature))
        elif part.get("thought") is True:
            yield from self._said()
            yield from self._think(said, signature)
        elif said or signature:
            yield from self._thought()
            yield from self._say(said, signature)

    def _think(self, text: str, signature: str | None) -> Iterator[Part]:
        yield from self._calls.release()
        if text := self._thought_characters.feed(text):
            self._thinking.append(text)
            yield ThinkingDelta(text)
        if signature:
            yield from self._thought(signature)

    def _thought(self, signature: str | None = None) -> Iterator[Part]:
        if rest := self._thought_characters.end():
            self._thinking.append(rest)
            yield ThinkingDelta(rest)
        if self._thinking or signature:
            yield ThinkingBlock("".join(self._thinking), signature, ID)
            self._thinking.clear()

    def _say(self, text: str, signature: str | None) -> Iterator[Part]:
        """Text that is signed is a block of its own: the text before it must not be merged."""
        yield from self._calls.release()
        if signature:
            yield from self._said()
            text = whole(text)
        if text := self._said_characters.feed(text):
            self._text.append(text)
            yield TextDelta(text)
        if signature:
            yield TextBlock(text, signature, ID)
            self._text.clear()

    def _whole(self) -> Iterator[Part]:
        if rest := self._said_characters.end():
            self._text.append(rest)
            yield TextDelta(rest)

    def _said(self) -> Iterator[Part]:
        yield from self._whole()
        if self._text:
            yield TextBlock("".join(self._text))
            self._text.clear()

    def _call(self, call: Json, signature: str | None) -> ToolUseBlock:
        self._called = True
        id, name = self._ids.unique(word(call.get("id"))), self._names.own(word(call.get("name")))
        block = tool_use(id, name, arguments_text(call.get("args")))
        if call.get("willContinue") or call.get("partialArgs"):
            # Arguments in pieces come only where they are asked for, which is not done here.
            block = ToolUseBlock(id, name, {}, malformed=arguments_text(call))
        owner = ID if signature else None
        return msgspec.structs.replace(block, signature=signature, provider=owner)

    def _finish(self, candidate: Json) -> Iterator[Part]:
        reason = reason_word(candidate.get("finishReason"))
        said = word(candidate.get("finishMessage"))
        if reason is None or self._reason == "refusal":
            return
        if reason == "MALFORMED_FUNCTION_CALL" and (name := self._meant(said)):
            # The call is known by what the API quotes of it: the model may be told, and try again.
            yield from self._thought()
            self._called = True
            yield from self._calls.add(
                ToolUseBlock(self._ids.unique(None), name, {}, malformed=said)
            )
            self._reason = "end_turn"
            return
        try:
            self._reason = finish_reason(reason, "the response")
        except Fault as fault:
            text = f"{fault.message}: {said}" if said else fault.message
            raise Fault(text, reason) from None

    def _meant(self, quoted: str) -> str | None:
        """The tool that is named first."""
        named = [(quoted.find(name), name) for name in self._names.tools if name in quoted]
        return self._names.own(min(named)[1]) if named else None


def _used(usage: Json) -> UsageUpdate:
    thoughts = count(usage.get("thoughtsTokenCount")) or 0
    prompt = count(usage.get("promptTokenCount")) or 0
    return UsageUpdate(
        Usage(
            prompt + (count(usage.get("toolUsePromptTokenCount")) or 0),
            (count(usage.get("candidatesTokenCount")) or 0) + thoughts,
            cache_read_tokens=count(usage.get("cachedContentTokenCount")) or 0,
            reasoning_tokens=thoughts,
        )
    )
