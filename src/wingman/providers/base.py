"""The provider protocol: one request in, a stream of parts out.

A *provider* is the code that talks to one model's API; the *model* is the language model behind it.
An instance names both, with its options: `Anthropic("claude-sonnet-4-5", max_tokens=4096)`.

A provider's `stream` takes what the model shall see (`Request`) and the way to the network
(`Transport`), and returns an async generator of parts, in this order:

- `TextDelta`, `ThinkingDelta`: pieces, as they come;
- `ThinkingBlock`, `RedactedThinkingBlock`, `ToolUseBlock`: whole blocks, each when it is complete.
  One of the first two closes the `ThinkingDelta`s before it and is what the history keeps;
- `TextBlock`: closes the `TextDelta`s before it in the same way. It is needed only where a provider
  tells apart, or signs, what would else be one text;
- `UsageUpdate`: what this inference has used so far, cumulative; may come several times;
- `Answering`, before all others, from a provider that asks one of several: which one answers;
- `Finished`, exactly once, last. A stream that ends without it has broken: the adapter raises
  `ProviderStreamError` rather than end.

It raises `ProviderError` (or one below it) and nothing else for what the API does wrong, cleans up
when cancelled at any of its awaits, and executes nothing.

Two things more a provider may offer: `TellsWindow`, `ListsModels`.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import attrs
import msgspec

from wingman.api import ModelInfo
from wingman.conversation import (
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    Usage,
)
from wingman.providers.kept import Kept
from wingman.providers.transport import Transport

__all__ = [
    "Answering",
    "FinishReason",
    "Finished",
    "ListsModels",
    "Part",
    "Provider",
    "Request",
    "TellsWindow",
    "TextDelta",
    "ThinkingDelta",
    "ToolSpec",
    "UsageUpdate",
    "WindowOf",
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


class Answering(UsageUpdate, frozen=True):
    """A `UsageUpdate` that says whose tokens are counted from here on: `provider` is its id."""

    provider: str
    model: str


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


@attrs.frozen
class Request:
    """One inference: what the model shall see.

    `messages` is a valid history: it begins and ends with a user's message, roles alternate, and
    each `tool_use` has its `tool_result` in the message after it. `output_schema` is a JSON Schema
    that a final response must fit. `kept` is where an adapter finds what it kept of the same
    conversation before; it need not look.
    """

    messages: Sequence[Message]
    system: str = ""
    tools: Sequence[ToolSpec] = ()
    output_schema: dict[str, Any] | None = None
    kept: Kept | None = attrs.field(default=None, eq=False, repr=False, kw_only=True)


@runtime_checkable
class Provider(Protocol):
    """What the run loop needs of a model's API."""

    @property
    def id(self) -> str:
        """The provider's name, such as `anthropic`."""

    @property
    def model(self) -> str:
        """The model's name, as the provider knows it."""

    def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference; an async generator of parts, closed by whoever leaves it early.

        `transport` is the runtime's one door to the network, shared by all runs.
        """


WindowOf: TypeAlias = Callable[[str, str], int | None]
"""A provider's id and a model to the model's context window in tokens, where that is known."""


@runtime_checkable
class TellsWindow(Protocol):
    """A provider whose window is not that of its model: it sets one, or asks one of several.

    Of any other, the window is what is known of its `id` and `model`.
    """

    def context_window(self, window_of: WindowOf) -> int | None:
        """The context window in tokens of the largest model that may answer; None if unknown.

        `window_of` tells what is known of models.
        """


@runtime_checkable
class ListsModels(Protocol):
    """A provider that can ask its server which models there are."""

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        """Ask the server."""
