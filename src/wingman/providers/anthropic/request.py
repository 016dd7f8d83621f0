"""A request as the JSON of Anthropic's Messages API: pure, values in, values out.

Source: https://docs.anthropic.com/en/api/messages
"""

from collections.abc import Iterable
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
    Outline,
    SameRole,
    ToolNames,
    Turn,
    body_of,
    closed,
    plain_id,
    with_images,
)

__all__ = ["ID", "anthropic_body", "anthropic_outline"]

ID: Final = "anthropic"
"""The provider's id, and whose the signatures of the reasoning are."""

DEFAULT_MAX_TOKENS: Final = 8192
"""The API wants a number, and every model of today can write as much."""

_CACHED: Final = {"cache_control": {"type": "ephemeral"}}


def anthropic_body(
    request: Request, model: str, max_tokens: int | None = None, temperature: float | None = None
) -> dict[str, Any]:
    """The body of `POST /v1/messages`, as a value."""
    return body_of(anthropic_outline(request, model, max_tokens, temperature), request.messages)


def anthropic_outline(
    request: Request, model: str, max_tokens: int | None = None, temperature: float | None = None
) -> Outline:
    """What is around the messages.

    What stays the same from step to step is marked for the prompt cache: the tools, the system
    prompt, and all up to the last user's turn: three marks of the four that the API allows.
    """
    names = ToolNames.of(request)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens or DEFAULT_MAX_TOKENS,
        "messages": [],
        "stream": True,
    }
    if temperature is not None:
        body["temperature"] = temperature
    if request.system.strip():
        body["system"] = [{"type": "text", "text": request.system, **_CACHED}]
    if request.tools:
        body["tools"] = [
            msgspec.structs.asdict(tool) | {"name": names.sent(tool.name)} for tool in request.tools
        ]
        body["tools"][-1] |= _CACHED
    if request.output_schema is not None:
        schema = closed(request.output_schema)
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    key = (ID, *names.known)
    return Outline(body, "messages", key, lambda: _Turns(_Sent(CallNumbers(plain_id), names)))


@attrs.frozen
class _Sent:
    """The ids of calls and the names of tools, as they are sent."""

    id: CallNumbers
    names: ToolNames

    def name(self, name: str) -> str:
        """The name that is sent."""
        return self.names.sent(name)


class _Turns(SameRole):
    """Messages as turns, the last of the user's with a mark."""

    def __init__(self, sent: _Sent) -> None:
        super().__init__("content")
        self._sent = sent

    def add(self, message: Message) -> Iterable[Turn]:
        """Take a message; the API refuses one of the assistant's without content."""
        content = _content(with_images(message, COMMON_IMAGES), self._sent)
        return self.follow(message.role, content)

    def rest(self) -> Iterable[Turn]:
        """The last turn."""
        if (turn := self.open) is None:
            return ()
        if turn["role"] == "user":
            content = [*turn["content"][:-1], turn["content"][-1] | _CACHED]
            turn = turn | {"content": content}
        return (turn,)


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
