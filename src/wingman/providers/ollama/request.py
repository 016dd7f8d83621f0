"""A request as the JSON of Ollama's chat API: pure, values in, values out.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from wingman.conversation import (
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
)
from wingman.providers.base import Request
from wingman.providers.ollama.stream import ID
from wingman.providers.wire import function_spec, safe_name, with_images

__all__ = ["ollama_body"]

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


def ollama_body(
    request: Request, model: str, max_tokens: int | None = None, temperature: float | None = None
) -> dict[str, Any]:
    """The body of `POST /api/chat`."""
    options = {"num_predict": max_tokens, "temperature": temperature}
    body: dict[str, Any] = {"model": model, "messages": list(_messages(request)), "stream": True}
    if given := {name: value for name, value in options.items() if value is not None}:
        body["options"] = given
    if request.tools:
        body["tools"] = [function_spec(tool) for tool in request.tools]
    if request.output_schema is not None:
        body["format"] = request.output_schema
    return body


def _messages(request: Request) -> Iterator[dict[str, Any]]:
    if request.system:
        yield {"role": "system", "content": request.system}
    names: dict[str, str] = {}
    for message in with_images(request.messages, _IMAGES):
        names.update((use.id, safe_name(use.name)) for use in message.tool_uses)
        if message.role == "assistant":
            yield _assistant(message)
            continue
        for block in message.content:
            if isinstance(block, ToolResultBlock):
                id = block.tool_use_id
                called = {"tool_name": names.get(id, ""), "tool_call_id": id}
                result = {"role": "tool", "content": block.content, **called}
                yield _with_images(result, block.images)
        yield from _user(message)


def _user(message: Message) -> Iterator[dict[str, Any]]:
    texts = [block.text for block in message.content if isinstance(block, TextBlock)]
    images = [block for block in message.content if isinstance(block, ImageBlock)]
    if images:  # they belong to one message, and there to no place in its text
        yield _with_images({"role": "user", "content": "\n\n".join(texts)}, images)
    else:
        yield from ({"role": "user", "content": text} for text in texts)


def _with_images(turn: dict[str, Any], images: Sequence[ImageBlock]) -> dict[str, Any]:
    return turn | {"images": [image.data for image in images]} if images else turn


def _assistant(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": "assistant", "content": message.text}
    thoughts = [b for b in message.content if isinstance(b, ThinkingBlock) and b.provider == ID]
    if thoughts:
        turn["thinking"] = "".join(block.thinking for block in thoughts)
    if message.tool_uses:
        turn["tool_calls"] = [
            {"id": use.id, "function": {"name": safe_name(use.name), "arguments": use.input}}
            for use in message.tool_uses
        ]
    return turn
