"""View: what a session's models are shown of its history: all of it, or a summary and the rest.

Nothing of a history is deleted. Where it has been compacted, a summary stands in place of its
oldest messages, and old tool results after them are shown shortened. Between two compactions a view
only grows at its end, so that what a provider has cached of it stays good.
"""

from collections.abc import Sequence
from typing import Final

import attrs
import msgspec

from wingman.conversation import Block, Message, ToolResultBlock
from wingman.store import Compacted

__all__ = ["View", "is_boundary", "shortened", "view_of"]

_LONGEST_OLD: Final = 240  # characters of a tool result that is shown shortened
_TOKENS_A_CHARACTER: Final = 0.25  # before a provider has counted any
_SUMMARY: Final = (
    "[The beginning of this conversation is left out. This is a summary of it:]\n\n{summary}\n\n"
    "[End of the summary. The conversation goes on:]"
)


@attrs.define(eq=False)
class View:
    """The view of one session. `compacted` is its last compaction, None: there was none.

    `rate` is how many tokens a character has, as the provider has last counted them.
    """

    compacted: Compacted | None = None
    rate: float = _TOKENS_A_CHARACTER
    _base: list[Message] = attrs.field(factory=list, repr=False)
    _of: list[Message] | None = attrs.field(default=None, repr=False)
    _taken: int = 0

    def follow(self, history: list[Message]) -> list[Message]:
        """The view of a history, which is a list that only grows; the same list as long as neither
        is another one."""
        if self.compacted is None:
            return history
        if self._of is not history:
            self._of, self._taken = history, len(history)
            self._base = view_of(history, self.compacted)
        self._base += history[self._taken :]
        self._taken = len(history)
        return self._base

    def become(self, compacted: Compacted | None) -> None:
        """The history is compacted anew, or is read as it is stored."""
        self.compacted, self._of = compacted, None


def view_of(history: Sequence[Message], compacted: Compacted) -> list[Message]:
    """What a compaction makes of a history."""
    summary = [Message.user(_SUMMARY.format(summary=compacted.summary))] if compacted.upto else []
    old = map(shortened, history[compacted.upto : compacted.shortened])
    rest = history[max(compacted.upto, compacted.shortened) :]
    return [*summary, *old, *rest]


def is_boundary(message: Message) -> bool:
    """Whether a view may begin with this message: it answers no tool call."""
    return not any(isinstance(block, ToolResultBlock) for block in message.content)


def shortened(message: Message) -> Message:
    """The message with its long tool results cut, and their images and other forms gone."""
    if is_boundary(message):
        return message
    return msgspec.structs.replace(message, content=tuple(map(_short, message.content)))


def _short(block: Block) -> Block:
    if not isinstance(block, ToolResultBlock):
        return block
    content = block.content
    if len(content) > _LONGEST_OLD + 80:  # else the note would be longer than what it saves
        left = len(content) - _LONGEST_OLD
        content = (
            f"{content[:_LONGEST_OLD]}\n[… {left:,} characters of this old result are left out …]"
        )
    if block.images:
        content += f"\n[{len(block.images)} images of this old result are left out.]"
    return msgspec.structs.replace(block, content=content, images=(), structured=None)
