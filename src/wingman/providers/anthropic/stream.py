"""What Anthropic's Messages API streams, as parts: pure and stateful, no network.

`message_start`, then of each content block `content_block_start`, its deltas and
`content_block_stop`, then `message_delta` with the reason and the cumulative usage, then
`message_stop`. `ping`s and unknown events may come anywhere and are passed over, an `error` too
may come anywhere, and a stream that ends before `message_stop` has broken.
Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import attrs
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
from wingman.providers.wire import (
    CallIds,
    Characters,
    HeldCalls,
    Json,
    ToolNames,
    Usual,
    arguments_text,
    count,
    fields,
    finish_reason,
    index,
    named_error,
    object_in,
    reason_word,
    reported,
    text,
    tool_use,
    word,
)
from wingman.sse import Fault, ServerSentEvent

__all__ = ["AnthropicTranslator"]

_KNOWN: Final = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "message",  # the name of an event that has none: its data tells
    }
)

_DELTAS: Final = ("content_block_delta", "message")

_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)


class _Piece(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    type: Literal["text_delta"]


class _TextDelta(msgspec.Struct, forbid_unknown_fields=True):
    """An event with a piece of text, and nothing else."""

    delta: _Piece
    index: int
    type: Literal["content_block_delta"]


@attrs.define(eq=False)
class _Block:
    """A content block as it grows: it begins as the start event has it, deltas add to it."""

    start: Json
    thinking: list[str] = attrs.field(factory=list)
    signature: str = ""
    input: list[str] = attrs.field(factory=list)
    text_characters: Characters = attrs.field(factory=Characters)
    thinking_characters: Characters = attrs.field(factory=Characters)
    input_characters: Characters = attrs.field(factory=Characters)

    @property
    def type(self) -> str:
        """What it is."""
        return word(self.start.get("type"))

    def say(self, said: str, thought: str) -> Iterator[Part]:
        """Take pieces of text and of thinking."""
        if said := self.text_characters.feed(said):
            yield TextDelta(said)
        if thought := self.thinking_characters.feed(thought):
            self.thinking.append(thought)
            yield ThinkingDelta(thought)

    def end(self) -> Iterator[Part]:
        """Return what was held back of a character."""
        if rest := self.text_characters.end():
            yield TextDelta(rest)
        if rest := self.thinking_characters.end():
            self.thinking.append(rest)
            yield ThinkingDelta(rest)


class AnthropicTranslator:
    """Server-Sent Events of one message in, parts out. `provider` marks the thinking as its own.

    `names` are those of the tools.
    """

    def __init__(self, provider: str, ids: CallIds, names: ToolNames | None = None) -> None:
        self.finished = False
        self._provider = provider
        self._ids = ids
        self._names = names or ToolNames()
        self._open: dict[int, _Block] = {}
        self._calls = HeldCalls()
        self._usage = dict.fromkeys(_COUNTS, 0)
        self._begun = False  # whether there has been a content block
        self._reason: FinishReason | None = None
        self._usual = Usual(_TextDelta)

    def feed(self, event: ServerSentEvent) -> Iterable[Part]:
        """Return the parts that this event brings."""
        if event.name in _DELTAS and (delta := self._usual.read(event.data)) is not None:
            return self._block(delta.index).say(delta.delta.text, "")
        return self._read(event)

    def _read(self, event: ServerSentEvent) -> Iterator[Part]:
        if event.name == "error":
            raise named_error(event.data)
        if event.name not in _KNOWN or (data := object_in(event.data)) is None:
            return
        if (fault := reported(data)) is not None:
            raise fault
        yield from self._translate(data)

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the message is not complete."""
        if not self.finished:
            raise Fault("its stream ended before the message did")
        if self._open:
            raise Fault("the message ended within a content block")
        if self._reason is None and not self._begun and not self._usage["output_tokens"]:
            raise Fault("its stream has nothing in it but its end")
        yield from self._calls.release()
        yield Finished(self._reason or "end_turn")

    def _translate(self, event: Json) -> Iterator[Part]:
        match event.get("type"):
            case "content_block_delta":
                yield from self._grow(index(event.get("index")) or 0, fields(event.get("delta")))
            case "content_block_start":
                yield from self._start(index(event.get("index")) or 0, event.get("content_block"))
            case "content_block_stop":
                yield from self._close(self._open.pop(index(event.get("index")) or 0, None))
            case "message_start":
                if not isinstance(message := event.get("message"), dict):
                    raise Fault("its stream begins with a message that is none")
                if usage := fields(message.get("usage")):
                    yield self._used(usage)
            case "message_delta":
                yield from self._end_of_message(event)
            case "message_stop":
                self.finished = True
            case _:
                pass  # an event that is not known here

    def _start(self, at: int, start: object) -> Iterator[Part]:
        yield from self._calls.release()
        self._begun = True
        block = self._open[at] = _Block(fields(start))
        block.signature = word(block.start.get("signature"))
        said, thought = block.start.get("text"), block.start.get("thinking")
        yield from block.say(text(said, "a block's text"), text(thought, "a block's thinking"))

    def _grow(self, at: int, delta: Json) -> Iterator[Part]:
        block = self._block(at)
        block.signature += word(delta.get("signature"))
        partial = text(delta.get("partial_json"), "a call's input")
        if piece := block.input_characters.feed(partial):
            block.input.append(piece)
        said, thought = delta.get("text"), delta.get("thinking")
        yield from block.say(text(said, "a delta's text"), text(thought, "a delta's thinking"))

    def _block(self, at: int) -> _Block:
        if (block := self._open.get(at)) is None:
            raise Fault(f"a delta belongs to no content block: index {at}")
        return block

    def _close(self, block: _Block | None) -> Iterator[Part]:
        if block is None:
            return
        yield from block.end()
        match block.type:
            case "thinking":
                thinking = "".join(block.thinking)
                yield ThinkingBlock(thinking, block.signature or None, self._provider)
            case "redacted_thinking":
                yield RedactedThinkingBlock(word(block.start.get("data")), self._provider)
            case "tool_use":
                yield from self._calls.add(self._call(block))
            case _:
                pass  # text, of which all has come; or a block that is not known here

    def _call(self, block: _Block) -> ToolUseBlock:
        id = self._ids.unique(word(block.start.get("id")))
        name = self._names.own(word(block.start.get("name")))
        arguments = "".join(block.input)
        if not arguments.strip():
            arguments = arguments_text(block.start.get("input"))
        return tool_use(id, name, arguments)

    def _end_of_message(self, event: Json) -> Iterator[Part]:
        if (said := reason_word(fields(event.get("delta")).get("stop_reason"))) is not None:
            self._reason = finish_reason(said, "the message")
            yield from self._calls.release(cut=self._reason in ("max_tokens", "refusal"))
        if usage := fields(event.get("usage")):
            yield self._used(usage)

    def _used(self, latest: Json) -> UsageUpdate:
        """Counts are cumulative, and an event that does not know one leaves it out."""
        for name in _COUNTS:
            self._usage[name] = max(self._usage[name], count(latest.get(name)) or 0)
        fresh, output, written, read = self._usage.values()
        return UsageUpdate(Usage(fresh + written + read, output, read, written))
