"""Context: what the model is shown beside a history, and whether all fits into its window.

Tokens are estimated, low on purpose: a token for every six characters of text, none for images and
reasoning. English has four to a token, code three, many scripts fewer than one. So what is refused
here is too long for certain, and what is let through may still be refused by the provider.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from wingman.agent import Agent
from wingman.conversation import (
    Block,
    ImageBlock,
    Message,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.errors import ContextTooLong
from wingman.providers import Kept, Provider, Request, ToolSpec, WindowOf, context_window

__all__ = ["characters_of", "check_window", "fixed_characters", "images_of", "request_of"]

_CHARACTERS_A_TOKEN: Final = 6


def request_of(agent: Agent, messages: Sequence[Message], kept: Kept | None = None) -> Request:
    """What this agent's model is shown: these messages, and what goes with each request."""
    return Request(
        messages=messages,
        system=agent.instructions,
        tools=tuple(
            ToolSpec(tool.name, tool.description, dict(tool.input_schema)) for tool in agent.tools
        ),
        output_schema=None if agent.output_check is None else agent.output_check.schema,
        kept=kept,
    )


def check_window(characters: int, provider: Provider, window_of: WindowOf) -> None:
    """Raise `ContextTooLong` if a request with so many characters, all in all, cannot fit into the
    model's window."""
    window = context_window(provider, window_of)
    if window is None:
        return
    tokens = characters // _CHARACTERS_A_TOKEN
    if tokens > window:
        raise ContextTooLong(
            f"The history has at least {tokens:,} tokens, as estimated, and the context window of "
            f"{provider.id}/{provider.model} {window:,}: choose a model with a larger one, or go "
            "on in a new session."
        )


def fixed_characters(agent: Agent) -> int:
    """The characters that go with each request, whatever its messages are."""
    return sum(_sizes(request_of(agent, ())))


def images_of(message: Message) -> int:
    """How many images a message has."""
    return sum(
        1 if isinstance(block, ImageBlock) else len(block.images)
        for block in message.content
        if isinstance(block, ImageBlock | ToolResultBlock)
    )


def characters_of(message: Message) -> int:
    """The characters of a message that are counted."""
    return sum(map(_size, message.content))


def _sizes(request: Request) -> Iterator[int]:
    """The characters of all that the model is shown but the messages."""
    yield len(request.system)
    for tool in request.tools:
        yield len(tool.name) + len(tool.description) + len(msgspec.json.encode(tool.input_schema))


def _size(block: Block) -> int:
    match block:
        case TextBlock(text=text):
            return len(text)
        case ToolResultBlock(content=content):
            return len(content)
        case ToolUseBlock(name=name, input=input):
            return len(name) + len(msgspec.json.encode(input))
        case _:
            return 0
