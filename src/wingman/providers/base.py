"""The provider protocol: one request in, a stream of parts out.

A *provider* is the code that talks to one model's API; the *model* is the language model behind it.
An instance names both, with its options: `Anthropic("claude-sonnet-4-5", max_tokens=4096)`.

A provider's `stream` is an async generator that yields parts, in this order:

- `TextDelta`, `ThinkingDelta`: pieces, as they come;
- `ThinkingBlock`, `RedactedThinkingBlock`, `ToolUseBlock`: whole blocks, each when it is complete.
  One of the first two closes the `ThinkingDelta`s before it and is what the history keeps;
- `TextBlock`: closes the `TextDelta`s before it in the same way. It is needed only where a provider
  tells apart, or signs, what would else be one text;
- `UsageUpdate`: what this inference has used so far, cumulative; may come several times;
- `Finished`, exactly once, last. A stream that ends without it has broken: the adapter raises
  `ProviderStreamError` rather than end.

It raises `ProviderError` (or one below it) and nothing else for what the API does wrong, cleans up
when cancelled at any of its awaits, and executes nothing.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import attrs
import msgspec

from wingman.conversation import (
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    Usage,
)
from wingman.providers.http import Transport

__all__ = [
    "FinishReason",
    "Finished",
    "ModelInfo",
    "Part",
    "Provider",
    "Request",
    "TextDelta",
    "ThinkingDelta",
    "ToolSpec",
    "UsageUpdate",
]

FinishReason: TypeAlias = Literal["end_turn", "tool_use", "max_tokens", "refusal"]


class TextDelta(msgspec.Struct, frozen=True):
    """A piece of text."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True):
    """A piece of reasoning."""

    text: str


class UsageUpdate(msgspec.Struct, frozen=True):
    """What this inference has used so far; each replaces the one before it."""

    usage: Usage


class Finished(msgspec.Struct, frozen=True):
    """The inference ended. `tool_use` and `end_turn` are hints: the loop looks at the blocks."""

    reason: FinishReason


Part: TypeAlias = (
    TextDelta
    | ThinkingDelta
    | TextBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | UsageUpdate
    | Finished
)


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as the model sees it; `input_schema` is a JSON Schema of type "object"."""

    name: str
    description: str
    input_schema: dict[str, Any]


class ModelInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model as a provider offers it; windows in tokens, where known."""

    id: str
    name: str
    context_window: int | None = None
    max_output_tokens: int | None = None


@attrs.frozen
class Request:
    """One inference: what the model shall see.

    `messages` is a valid history: it begins and ends with a user's message, roles alternate, and
    each `tool_use` has its `tool_result` in the message after it. `transport` is the runtime's one
    door to the network, shared by all runs.
    """

    messages: Sequence[Message]
    transport: Transport
    system: str = ""
    tools: Sequence[ToolSpec] = ()
    output_schema: dict[str, Any] | None = None


@runtime_checkable
class Provider(Protocol):
    """What the run loop needs of a model's API."""

    @property
    def id(self) -> str:
        """The provider's name, such as `anthropic`."""

    @property
    def model(self) -> str:
        """The model's name, as the provider knows it."""

    def stream(self, request: Request) -> AsyncGenerator[Part, None]:
        """Run one inference; an async generator of parts, closed by whoever leaves it early."""
