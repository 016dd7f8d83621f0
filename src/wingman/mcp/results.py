"""What a server answers to a call, as a tool's output."""

from typing import Final

import attrs
import msgspec
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from wingman.conversation import ImageBlock
from wingman.processes import clip
from wingman.tools import ToolOutput

__all__ = ["output_of"]

_MOST_IMAGES: Final = 8


def output_of(result: CallToolResult, limit: int) -> ToolOutput:
    """The output, with at most `limit` characters of text and a few images.

    Where there is structured content alone, its JSON is the text as well.
    """
    images = [block for block in result.content if isinstance(block, ImageContent)]
    parts = [_text(block) for block in result.content if not isinstance(block, ImageContent)]
    structured = result.structured_content
    if not result.content and structured is not None:
        parts = [msgspec.json.encode(structured).decode()]
    if len(images) > _MOST_IMAGES:
        parts.append(f"[{len(images) - _MOST_IMAGES} more images are left out.]")
    if not (parts or images) and result.is_error:
        parts = ["The tool failed, and does not say why."]
    output = ToolOutput(
        clip("\n".join(parts), limit).replace("\0", "\ufffd"),
        [ImageBlock(image.mime_type, image.data) for image in images[:_MOST_IMAGES]],
        is_error=result.is_error,
    )
    try:
        return attrs.evolve(output, structured=structured)
    except ValueError:  # it is nested too deeply
        return output


def _text(block: ContentBlock) -> str:
    """A block, in words."""
    match block:
        case TextContent(text=text):
            return text
        case ResourceLink(uri=uri, name=name, description=description):
            words = f"[Resource {name}: {uri}]"
            return f"{words} {description}" if description else words
        case EmbeddedResource(resource=TextResourceContents(uri=uri, text=text)):
            return f"[Resource {uri}]\n{text}"
        case EmbeddedResource(resource=BlobResourceContents(uri=uri, mime_type=kind, blob=blob)):
            return f"[Resource {uri}: {_bytes(blob):,} bytes of {kind or 'data'}, not shown]"
        case AudioContent(mime_type=kind, data=data):
            return f"[Audio: {_bytes(data):,} bytes of {kind}, which cannot be given]"
        case _:
            return f"[Content of the type {block.type}, which cannot be given]"


def _bytes(base64: str) -> int:
    return len(base64) * 3 // 4
