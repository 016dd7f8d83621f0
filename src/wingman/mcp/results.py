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
from wingman.tools import ToolOutput

__all__ = ["output_of"]

_MOST_IMAGES: Final = 8


def output_of(result: CallToolResult, limit: int) -> ToolOutput:
    """The output, with some `limit` characters of text at most, and a few images.

    Where there is structured content alone, its JSON is the text as well; where it is longer than
    `limit`, it is left out, and the text says so.
    """
    images = [block for block in result.content if isinstance(block, ImageContent)]
    parts = [_text(block) for block in result.content if not isinstance(block, ImageContent)]
    notes, structured = [], result.structured_content
    if structured is not None:
        json = msgspec.json.encode(structured).decode()
        if not result.content:
            parts.append(json)
        if len(json) > limit:
            structured = None
            notes.append(f"[The structured form of it is left out: {len(json):,} characters.]")
    if len(images) > _MOST_IMAGES:
        notes.append(f"[{len(images) - _MOST_IMAGES} more images are left out.]")
    if not (parts or images) and result.is_error:
        notes.append("The tool failed, and does not say why.")
    text = _shortened("\n".join(parts), limit).replace("\0", "\ufffd")
    output = ToolOutput(
        "\n".join([text, *notes] if text else notes),
        [ImageBlock(image.mime_type, image.data) for image in images[:_MOST_IMAGES]],
        is_error=result.is_error,
    )
    try:
        return attrs.evolve(output, structured=structured)
    except ValueError:  # it is nested too deeply
        return output


def _shortened(text: str, limit: int) -> str:
    """Its beginning and its end, if all of it is too much."""
    missing = len(text) - limit
    if missing <= 0:
        return text
    head = limit // 2
    return f"{text[:head]}\n[… {missing:,} characters cut …]\n{text[len(text) - head :]}"


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
