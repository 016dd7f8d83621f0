"""StepDraft: one step as far as it has come. Parts in, blocks out; no I/O."""

from collections.abc import Iterable
from typing import Self, assert_never

import attrs
import msgspec

from wingman.conversation import (
    NO_USAGE,
    Block,
    CutShort,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
    Withheld,
)
from wingman.events import Event, Text, Thinking, ToolUse
from wingman.ids import new_id
from wingman.providers import (
    Finished,
    FinishReason,
    Part,
    TextDelta,
    ThinkingDelta,
    UsageUpdate,
)
from wingman.run.history import complete_step

__all__ = ["StepDraft"]


@attrs.define(eq=False)
class StepDraft:
    """The assistant's message as it grows, then the results of its calls as they come.

    `taken` are the ids of the session's earlier tool calls: a provider that repeats one (some
    count from zero in every response) has its call renamed, since results are matched by id.
    `left_behind` is what calls without a result had to show when they were cut short, by id.
    `withheld` is what the model was not sent.
    """

    taken: set[str]
    withheld: Withheld | None = None
    results: dict[str, ToolResultBlock] = attrs.field(factory=dict)
    left_behind: dict[str, str] = attrs.field(factory=dict)
    usage: Usage = NO_USAGE
    finish: FinishReason | None = None
    _blocks: list[Block] = attrs.field(factory=list)
    _text: list[str] = attrs.field(factory=list)
    _thinking: list[str] = attrs.field(factory=list)

    @classmethod
    def recorded(cls, message: Message, results: Iterable[ToolResultBlock]) -> Self:
        """A step as an earlier process has recorded it, with the results that there are."""
        draft = cls(set(), message.withheld, {each.tool_use_id: each for each in results})
        draft._blocks += message.content
        draft.finish = "tool_use"
        return draft

    def add(self, part: Part) -> Event | None:
        """Take one part of the stream; return what the world learns of it, if anything."""
        match part:
            case TextDelta(text=text):
                if not text:
                    return None
                self._close_thinking()
                self._text.append(text)
                return Text(text)
            case ThinkingDelta(text=text):
                self._close_text()
                self._thinking.append(text)
                return Thinking(text)
            case ThinkingBlock() | RedactedThinkingBlock():
                self._thinking.clear()
                self._close_text()
                self._blocks.append(part)
            case TextBlock():
                self._close_thinking()
                self._text.clear()
                self._blocks.append(part)
            case ToolUseBlock():
                self._close()
                block = self._with_own_id(part)
                self._blocks.append(block)
                return ToolUse(block.id, block.name, block.input)
            case UsageUpdate(usage=usage):
                self.usage = usage
            case Finished(reason=reason):
                self.finish = reason
            case _:
                assert_never(part)
        return None

    @property
    def tool_calls(self) -> int:
        """How many tools the model has called in it so far."""
        return sum(isinstance(block, ToolUseBlock) for block in self._blocks)

    def message(self, cut_short: CutShort | None = None) -> Message:
        """The assistant's message as it is now."""
        self._close()
        return Message("assistant", tuple(self._blocks), cut_short, self.withheld)

    def messages(
        self, unanswered: str = "", cut_short: CutShort | None = None
    ) -> tuple[Message, ...]:
        """The step's messages; what is missing of it is marked with `cut_short`."""
        unfinished = cut_short if self.finish is None else None
        return complete_step(
            self.message(unfinished), self.results, unanswered, cut_short, self.left_behind
        )

    def _with_own_id(self, block: ToolUseBlock) -> ToolUseBlock:
        if not block.id or block.id in self.taken:
            block = msgspec.structs.replace(block, id=f"call_{new_id()}")
        self.taken.add(block.id)
        return block

    def _close(self) -> None:
        self._close_thinking()
        self._close_text()

    def _close_text(self) -> None:
        if self._text:
            self._blocks.append(TextBlock("".join(self._text)))
            self._text.clear()

    def _close_thinking(self) -> None:
        # Thinking that its provider never closed has no signature: it is kept to be read.
        if self._thinking:
            self._blocks.append(ThinkingBlock("".join(self._thinking)))
            self._thinking.clear()
