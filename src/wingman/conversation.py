"""The values a conversation is made of: messages, their content blocks, token usage.

They cross every boundary (HTTP, store, a model's API), so they are frozen `msgspec.Struct`s:
strict to decode, with the field's path in the error. The shapes are those of the HTTP contract,
which are Anthropic's content blocks; they are provider-neutral, each provider's adapter
translates them to its own wire format.

This module knows nothing of the rest of Wingman.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self, TypeAlias

import msgspec

__all__ = [
    "Block",
    "CutShort",
    "HistoryPart",
    "ImageBlock",
    "Message",
    "RedactedThinkingBlock",
    "TextBlock",
    "ThinkingBlock",
    "ToolResultBlock",
    "ToolUseBlock",
    "Usage",
    "Withheld",
]

CutShort: TypeAlias = Literal["cancelled", "failed", "interrupted", "time_limit"]
"""Why an assistant's message or a tool's result is not all that it would have been."""


class _Block(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """What all content blocks share: the tag `type`, and absent fields left out of the JSON."""


class TextBlock(_Block, frozen=True, tag="text"):
    """Text, of the user or of the model.

    `signature` is what some providers put on the model's text; it goes back to `provider` alone.
    """

    text: str
    signature: str | None = None
    provider: str | None = None


class ImageBlock(_Block, frozen=True, tag="image"):
    """An image in a user's message: `media_type` such as `image/png`, `data` in base64.

    `note` says what was changed of it before it was kept, such as its size; the model reads it.
    """

    media_type: str
    data: str
    note: str | None = None


class ThinkingBlock(_Block, frozen=True, tag="thinking"):
    """The model's reasoning; sent back unchanged, with its signature, to the provider it came from.

    `provider` is the id of the provider whose `signature` it is: another one cannot verify it.
    """

    thinking: str
    signature: str | None = None
    provider: str | None = None


class RedactedThinkingBlock(_Block, frozen=True, tag="redacted_thinking"):
    """Reasoning that the provider encrypted; opaque, and sent back unchanged."""

    data: str
    provider: str | None = None


class ToolUseBlock(_Block, frozen=True, tag="tool_use"):
    """The model asks for a tool to be called.

    `input` is always an object. Where the model's text did not parse as one, `input` is empty and
    `malformed` keeps the text: such a call is answered with an error and never executed.
    `signature` is what some providers put on a call; it goes back to `provider` alone.
    """

    id: str
    name: str
    input: dict[str, Any]
    malformed: str | None = None
    signature: str | None = None
    provider: str | None = None


class ToolResultBlock(_Block, frozen=True, tag="tool_result"):
    """What a tool call gave. Exactly one for each `tool_use`, in the message that follows it.

    `content` is its text, `images` what it shows besides. `structured` is the same as a JSON value,
    for programs: models are not sent it.
    """

    tool_use_id: str
    content: str
    is_error: bool
    cut_short: CutShort | None = None
    images: tuple[ImageBlock, ...] = ()
    structured: Any = None


Block: TypeAlias = (
    TextBlock | ImageBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock
)


class Withheld(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model was not sent of the history before an answer: its API had refused all of it.

    `images`: those that were new since the answer before, or all. `reasoning`: all of it, with what
    providers had signed. `results`: what tools gave since the answer before. `kept`: only so many
    messages were sent.
    """

    provider: str
    model: str
    images: Literal["new", "all"] | None = None
    reasoning: bool = False
    results: bool = False
    kept: int | None = None


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the history. `cut_short` marks an assistant's message that did not end.

    `withheld` says what the model was not sent of what stands before it, now and later.
    """

    role: Literal["user", "assistant"]
    content: tuple[Block, ...]
    cut_short: CutShort | None = None
    withheld: Withheld | None = None

    @classmethod
    def user(cls, text: str, images: Sequence[ImageBlock] = ()) -> "Message":
        """A user's message: its images, then its text, as models read them best."""
        return cls("user", (*images, TextBlock(text)))

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))

    @property
    def tool_uses(self) -> tuple[ToolUseBlock, ...]:
        """The tool calls that this message asks for, in order."""
        return tuple(block for block in self.content if isinstance(block, ToolUseBlock))


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens used. `input_tokens` counts all input, also what was read from or written to a cache.

    The optional counts are parts of these totals: `cache_read_tokens` and `cache_write_tokens`
    of the input, `reasoning_tokens` of the output.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


NO_USAGE = Usage(0, 0)


class HistoryPart(tuple[Message, ...]):
    """Some messages of a history, in order; `next` is the cursor of those before them, None at the
    history's beginning."""

    next: int | None = None

    @classmethod
    def of(cls, messages: Iterable[Message], next: int | None) -> Self:
        """These messages, and the cursor."""
        part = cls(messages)
        part.next = next
        return part
