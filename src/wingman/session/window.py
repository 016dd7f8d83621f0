"""The context window: what cannot fit into it is refused before the provider is asked.

Tokens are estimated, low on purpose: a token for every six characters of text, none for images and
reasoning. English has four to a token, code three, many scripts fewer than one. So what is refused
here is too long for certain, and what is let through may still be refused by the provider.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from wingman.conversation import Block, TextBlock, ToolResultBlock, ToolUseBlock
from wingman.errors import ContextTooLong
from wingman.providers import Provider, Request, WindowOf, context_window

__all__ = ["check_window"]

_CHARACTERS_A_TOKEN: Final = 6


def check_window(request: Request, provider: Provider, window_of: WindowOf) -> None:
    """Raise `ContextTooLong` if the request cannot fit into the model's window."""
    window = context_window(provider, window_of)
    if window is None:
        return
    tokens = sum(_sizes(request)) // _CHARACTERS_A_TOKEN
    if tokens > window:
        raise ContextTooLong(
            f"The history has at least {tokens:,} tokens, as estimated, and the context window of "
            f"{provider.id}/{provider.model} {window:,}: choose a model with a larger one, or go "
            "on in a new session."
        )


def _sizes(request: Request) -> Iterator[int]:
    """The characters of all that the model is shown."""
    yield len(request.system)
    for tool in request.tools:
        yield len(tool.name) + len(tool.description) + len(msgspec.json.encode(tool.input_schema))
    for message in request.messages:
        yield from map(_size, message.content)


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
