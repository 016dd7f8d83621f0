"""A request as the JSON of Anthropic's Messages API: pure, values in, values out.

Source: https://docs.anthropic.com/en/api/messages
"""

from collections.abc import Sequence
from typing import Any, Final

import attrs
import msgspec

from wingman.conversation import (
    Block,
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.providers.base import Request
from wingman.providers.wire import (
    COMMON_IMAGES,
    EMPTY_MESSAGE,
    CallNumbers,
    ToolNames,
    closed,
    plain_id,
    with_images,
)

__all__ = ["ID", "anthropic_body"]

ID: Final = "anthropic"
"""The provider's id, and whose the signatures of the reasoning are."""

DEFAULT_MAX_TOKENS: Final = 8192
"""The API wants a number, and every model of today can write as much."""

_CACHED: Final = {"cache_control": {"type": "ephemeral"}}


def anthropic_body(
    request: Request, model: str, max_tokens: int | None = None, temperature: float | None = None
) -> dict[str, Any]:
    """The body of `POST /v1/messages`.

    What stays the same from step to step is marked for the prompt cache: the tools, the system
    prompt, and all up to the last user's turn: three marks of the four that the API allows.
    """
    sent = _Sent(CallNumbers(plain_id), ToolNames.of(request))
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _messages(with_images(request.messages, COMMON_IMAGES), sent),
        "stream": True,
    }
    if temperature is not None:
        body["temperature"] = temperature
    if request.system.strip():
        body["system"] = [{"type": "text", "text": request.system, **_CACHED}]
    if request.tools:
        body["tools"] = [
            msgspec.structs.asdict(tool) | {"name": sent.name(tool.name)} for tool in request.tools
        ]
        body["tools"][-1] |= _CACHED
    if request.output_schema is not None:
        schema = closed(request.output_schema)
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    return body


@attrs.frozen
class _Sent:
    """The ids of calls and the names of tools, as they are sent."""

    id: CallNumbers
    names: ToolNames

    def name(self, name: str) -> str:
        """The name that is sent."""
        return self.names.sent(name)


def _messages(messages: Sequence[Message], sent: _Sent) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for message in messages:
        content = _content(message, sent)
        if not content:
            continue  # the API refuses an assistant's message without content
        if turns and turns[-1]["role"] == message.role:
            turns[-1]["content"] += content
        else:
            turns.append({"role": message.role, "content": content})
    if turns and turns[-1]["role"] == "user":
        turns[-1]["content"][-1] |= _CACHED
    return turns


def _content(message: Message, sent: _Sent) -> list[dict[str, Any]]:
    blocks = [wire for block in message.content if (wire := _block(block, sent)) is not None]
    if message.role == "user":
        # A user's message cannot be left out: what follows would answer something else.
        return blocks or [{"type": "text", "text": EMPTY_MESSAGE}]
    while blocks and blocks[-1]["type"] in ("thinking", "redacted_thinking"):
        blocks.pop()  # the API refuses a message that ends in thinking, as one that was cut may
    return blocks


def _block(block: Block, sent: _Sent) -> dict[str, Any] | None:
    """The block as the API wants it; None for one that it would refuse."""
    match block:
        case TextBlock(text):
            return {"type": "text", "text": text} if text.strip() else None
        case ImageBlock():
            return _image(block)
        case ThinkingBlock(thinking, signature, provider):
            if provider != ID or not signature:
                return None
            return {"type": "thinking", "thinking": thinking, "signature": signature}
        case RedactedThinkingBlock(data, provider):
            return {"type": "redacted_thinking", "data": data} if provider == ID else None
        case ToolUseBlock(id, name, input):
            call = {"type": "tool_use", "id": sent.id(id), "name": sent.name(name)}
            return call | {"input": input}
        case ToolResultBlock():
            return _result(block, sent)


def _result(block: ToolResultBlock, sent: _Sent) -> dict[str, Any]:
    text = block.content or ("(no message)" if block.is_error else "")
    content: str | list[dict[str, Any]] = text
    if block.images:
        content = [{"type": "text", "text": text}] if text.strip() else []
        content += map(_image, block.images)
    result = {"type": "tool_result", "tool_use_id": sent.id(block.tool_use_id), "content": content}
    return result | {"is_error": True} if block.is_error else result


def _image(block: ImageBlock) -> dict[str, Any]:
    source = {"type": "base64", "media_type": block.media_type, "data": block.data}
    return {"type": "image", "source": source}
