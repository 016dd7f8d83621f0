"""A request as the JSON of chat completions: pure, values in, values out.

OpenAI's invention, and what every compatible server speaks. They differ in what they take back:
reasoning that came under a name of its own goes back under that very name, since DeepSeek demands
it of every step with tool calls while others refuse names that they do not know.
Sources: https://platform.openai.com/docs/api-reference/chat,
https://api-docs.deepseek.com/guides/thinking_mode
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from wingman.conversation import (
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.providers.base import Request
from wingman.providers.wire import (
    COMMON_IMAGES,
    data_url,
    function_spec,
    safe_name,
    short_id,
    with_images,
)

__all__ = ["chat_body"]


def chat_body(
    request: Request,
    model: str,
    provider: str,
    temperature: float | None = None,
) -> dict[str, Any]:
    """The body of `POST /chat/completions`, without a limit of tokens."""
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": request.system})
    for message in with_images(request.messages, COMMON_IMAGES):
        if message.role == "assistant":
            messages.extend(_assistant(message, provider))
        else:
            messages.extend(_user(message))
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if temperature is not None:
        body["temperature"] = temperature
    if request.tools:
        body["tools"] = [function_spec(tool) for tool in request.tools]
    if request.output_schema is not None:
        schema = {"name": "response", "schema": request.output_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _user(message: Message) -> Iterator[dict[str, Any]]:
    results = [block for block in message.content if isinstance(block, ToolResultBlock)]
    for result in results:
        id = short_id(result.tool_use_id)
        yield {"role": "tool", "tool_call_id": id, "content": result.content}
    shown = [part for result in results for part in _shown(result)]
    said = [part for block in message.content if (part := _part(block)) is not None]
    if any(part["type"] == "image_url" for part in [*shown, *said]):
        yield {"role": "user", "content": shown + said}
    else:  # many servers take a user's message as plain text only
        yield from ({"role": "user", "content": part["text"]} for part in said)


def _shown(result: ToolResultBlock) -> list[dict[str, Any]]:
    """A result's images, for the user to show: a tool's message takes text alone."""
    if not result.images:
        return []
    said = f"What the tool call {short_id(result.tool_use_id)} shows:"
    return [{"type": "text", "text": said}, *map(_image, result.images)]


def _part(block: object) -> dict[str, Any] | None:
    match block:
        case TextBlock(text):
            return {"type": "text", "text": text}
        case ImageBlock():
            return _image(block)
        case _:
            return None  # a user neither thinks nor calls tools; results have gone before


def _image(block: ImageBlock) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(block)}}


def _assistant(message: Message, provider: str) -> Iterator[dict[str, Any]]:
    calls = [_call(block) for block in message.tool_uses]
    if message.text or calls:
        turn: dict[str, Any] = {"role": "assistant", "content": message.text or None}
        turn |= _reasoning(message, provider)
        yield turn | {"tool_calls": calls} if calls else turn


def _reasoning(message: Message, provider: str) -> dict[str, str]:
    """The provider's own reasoning, under the name by which it came: that is its `signature`."""
    reasoning: dict[str, str] = {}
    for block in message.content:
        if isinstance(block, ThinkingBlock) and block.provider == provider and block.signature:
            name = block.signature
            reasoning[name] = reasoning.get(name, "") + block.thinking
    return reasoning


def _call(block: ToolUseBlock) -> dict[str, Any]:
    # A malformed call goes back as one without arguments: servers parse what they are sent.
    arguments = msgspec.json.encode(block.input).decode()
    return {
        "id": short_id(block.id),
        "type": "function",
        "function": {"name": safe_name(block.name), "arguments": arguments},
    }
