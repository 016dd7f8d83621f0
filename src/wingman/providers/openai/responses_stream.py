"""What OpenAI's Responses API streams, as parts: pure and stateful, no network.

Items of output come one after the other: `response.output_item.added`, deltas of the item's kind,
`response.output_item.done` with the item as a whole. `response.completed`, `.incomplete` or
`.failed` is the end; there is no `[DONE]`. An `error` may come anywhere, and of many kinds of
events and items only these are known here: the others are passed over. Text that came in no delta
is taken from the first event that has it as a whole, and only once.
Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from wingman.conversation import RedactedThinkingBlock, ThinkingBlock, ToolUseBlock
from wingman.providers.base import Finished, FinishReason, Part, TextDelta, ThinkingDelta
from wingman.providers.openai.responses_items import SaidOnce, ended, function_call, used
from wingman.providers.wire import (
    CallIds,
    Characters,
    HeldCalls,
    Json,
    ToolNames,
    fields,
    index,
    items,
    named_error,
    object_in,
    reported,
    text,
    whole,
    word,
)
from wingman.sse import Fault, ServerSentEvent

__all__ = ["ID", "ResponsesTranslator"]

ID: Final = "openai"
"""The provider's id, and whose the encrypted reasoning is."""

_TERMINAL: Final = frozenset(
    {
        "response.cancelled",
        "response.completed",
        "response.done",
        "response.failed",
        "response.incomplete",
    }
)


class ResponsesTranslator:
    """Server-Sent Events of one response in, parts out. `names` are those of the tools."""

    def __init__(self, ids: CallIds, names: ToolNames | None = None) -> None:
        self.finished = False
        self._ids = ids
        self._names = names or ToolNames()
        self._said = SaidOnce()
        self._thinking: list[str] = []
        self._characters = Characters()  # of the thinking
        self._arguments: dict[int, list[str]] = {}  # of the calls that are not done, by index
        self._done: set[int] = set()  # the items that are, by index
        self._calls = HeldCalls()
        self._called = False
        self._refused = False
        self._reason: FinishReason = "end_turn"

    def feed(self, event: ServerSentEvent) -> Iterator[Part]:
        """Return the parts that this event brings."""
        if event.name == "error":
            raise named_error(event.data)
        if (data := object_in(event.data)) is None:
            return
        if (fault := reported(data, "response")) is not None:
            raise fault
        yield from self._translate(word(data.get("type")), data)

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the response is not complete."""
        if not self.finished:
            raise Fault("its stream ended before the response did")
        yield Finished(self._why())

    def _translate(self, kind: str, event: Json) -> Iterator[Part]:
        at = index(event.get("output_index")) or 0
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                piece = text(event.get("delta"), "a delta")
                yield from self._text(kind, self._said.piece(event, piece))
            case "response.output_text.done":
                yield from self._text(kind, self._said.all(event, event.get("text")))
            case "response.refusal.done":
                yield from self._text(kind, self._said.all(event, event.get("refusal")))
            case "response.content_part.done":
                yield from self._part(event, fields(event.get("part")))
            case "response.reasoning_summary_part.added":
                yield from self._think("\n\n" if index(event.get("summary_index")) else "")
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield from self._think(text(event.get("delta"), "a delta"))
            case "response.function_call_arguments.delta":
                piece = text(event.get("delta"), "a delta")
                self._arguments.setdefault(at, []).append(piece)
            case "response.function_call_arguments.done":
                given = event.get("arguments")
                if event.get("output_index") is not None and at in self._arguments and given:
                    self._arguments[at] = [text(given, "a call's arguments")]
            case "response.output_item.added":
                self._said.begin(event, _item(event))
                if word(_item(event).get("type")) == "function_call":
                    self._arguments.setdefault(at, [])
            case "response.output_item.done":
                yield from self._item_done(at, event, _item(event))
            case _ if kind in _TERMINAL:
                yield from self._end(kind, fields(event.get("response")))
            case _:
                pass  # an event that is not known here

    def _text(self, kind: str, said: str) -> Iterator[Part]:
        if said:
            yield from self._calls.release()
            self._refused = self._refused or kind.startswith("response.refusal")
            yield TextDelta(said)

    def _part(self, event: Json, part: Json) -> Iterator[Part]:
        match word(part.get("type")):
            case "output_text" | "text":
                said = self._said.all(event, part.get("text"))
                yield from self._text("response.output_text", said)
            case "refusal":
                said = self._said.all(event, part.get("refusal"))
                yield from self._text("response.refusal", said)
            case _:
                pass  # no text

    def _think(self, piece: str) -> Iterator[Part]:
        if piece := self._characters.feed(piece):
            yield from self._calls.release()
            self._thinking.append(piece)
            yield ThinkingDelta(piece)

    def _thought(self) -> Iterator[Part]:
        """Close reasoning that is not encrypted: it can be read, but not go back."""
        if rest := self._characters.end():
            self._thinking.append(rest)
            yield ThinkingDelta(rest)
        if self._thinking:
            yield ThinkingBlock("".join(self._thinking), provider=ID)
            self._thinking.clear()

    def _item_done(self, at: int, event: Json, item: Json) -> Iterator[Part]:
        self._done.add(at)
        kind = word(item.get("type"))
        encrypted = kind == "reasoning" and bool(word(item.get("encrypted_content")))
        if encrypted:
            yield from self._calls.release()
            self._thinking.clear()
            self._characters.end()
            data = whole(msgspec.json.encode(item).decode())
            yield RedactedThinkingBlock(data, ID)
            return
        yield from self._thought()
        if kind == "message":
            for place, part in enumerate(items(item.get("content"), "a message's content")):
                yield from self._part(event | {"content_index": place}, part)
            yield from self._text("response.output_text", self._said.end(event))
        elif kind == "function_call":
            self._called = True
            pieces = "".join(self._arguments.pop(at, []))
            yield from self._calls.add(self._call(item, pieces))

    def _call(self, item: Json, pieces: str) -> ToolUseBlock:
        id, name = self._ids.unique(word(item.get("call_id"))), word(item.get("name"))
        return function_call(id, self._names.own(name), item, pieces)

    def _end(self, kind: str, response: Json) -> Iterator[Part]:
        self._reason = ended(kind, response)
        if not self._done:  # some servers tell of the output but here
            for at, item in enumerate(items(response.get("output"), "the output")):
                yield from self._item_done(at, {"output_index": at}, item)
        yield from self._thought()
        yield from self._text("response.output_text", self._said.end())
        yield from self._calls.release(cut=self._reason in ("max_tokens", "refusal"))
        if usage := fields(response.get("usage")):
            yield used(usage)
        if self._reason == "end_turn" and self._arguments:
            raise Fault("the response ended within a function call")
        self.finished = True

    def _why(self) -> FinishReason:
        if self._refused:
            return "refusal"
        return "tool_use" if self._called and self._reason == "end_turn" else self._reason


def _item(event: Json) -> Json:
    if not isinstance(item := event.get("item"), dict):
        raise Fault("its stream has an event that its protocol does not know: it lacks its item")
    return item
