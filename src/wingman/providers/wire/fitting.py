"""A history made to fit an API: what one of them takes, another refuses.

A session may go on under another provider than the one it began with. Images of a kind that an API
does not know are left out, and a short text says so in their place. Where a model's template wants
the turns to alternate, the user's texts that follow each other are one turn.
"""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from wingman.conversation import Block, ImageBlock, Message, TextBlock, ToolResultBlock

__all__ = ["COMMON_IMAGES", "EMPTY_MESSAGE", "NOT_ANSWERED", "data_url", "in_one", "with_images"]

COMMON_IMAGES: Final = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
"""What Anthropic's and OpenAI's models see."""

EMPTY_MESSAGE: Final = "(empty message)"
"""What stands for a user's message without text: most APIs refuse an empty one."""

NOT_ANSWERED: Final = "(no answer)"
"""What stands for the assistant's answer between a tool's result and what the user said next: many
templates, and Mistral's API, refuse a user directly after a tool."""


def with_images(message: Message, known: Collection[str]) -> Message:
    """The message with images of the `known` media types alone, and those only of the user."""
    if not _has_images(message):
        return message
    known = known if message.role == "user" else ()
    content = tuple(_fitted(block, known) for block in message.content)
    return msgspec.structs.replace(message, content=content)


def data_url(image: ImageBlock) -> str:
    """The image as a `data:` URL (RFC 2397)."""
    return f"data:{image.media_type};base64,{image.data}"


def in_one(texts: Iterable[str]) -> str:
    """Texts of the user as one, each a paragraph of its own."""
    return "\n\n".join(text for text in texts if text.strip()) or EMPTY_MESSAGE


def _has_images(message: Message) -> bool:
    return any(
        isinstance(block, ImageBlock) or (isinstance(block, ToolResultBlock) and block.images)
        for block in message.content
    )


def _fitted(block: Block, known: Collection[str]) -> Block:
    match block:
        case ImageBlock(media_type) if media_type not in known:
            return TextBlock(_left_out(block))
        case ToolResultBlock(content=content, images=images):
            notes = [_left_out(image) for image in images if image.media_type not in known]
            return msgspec.structs.replace(
                block,
                content="\n".join([content, *notes] if content else notes),
                images=tuple(image for image in images if image.media_type in known),
            )
        case _:
            return block


def _left_out(image: ImageBlock) -> str:
    return f"(An image is left out here: this model's API does not take {image.media_type}.)"
