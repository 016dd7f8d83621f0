"""A request as the JSON of OpenAI's Responses API: pure, values in, values out.

Nothing is stored at OpenAI: each request brings the whole history, the model's reasoning with it.
That comes encrypted, as an item of the output, and goes back as the item it was.
Sources: https://platform.openai.com/docs/api-reference/responses/create,
https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs
import msgspec

from wingman.conversation import (
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.providers.base import Request, ToolSpec
from wingman.providers.openai.responses_stream import ID
from wingman.providers.wire import (
    COMMON_IMAGES,
    EMPTY_MESSAGE,
    CallNumbers,
    Outline,
    ToolNames,
    Turn,
    body_of,
    closed,
    data_url,
    is_strict,
    short_id,
    with_images,
)

__all__ = ["responses_body", "responses_outline"]

# The models that do not reason refuse to be asked for encrypted reasoning, and to be sent some.
_UNREASONING: Final = re.compile(r"(ft:)?(gpt-[34]|chatgpt-)|.*-chat(-|$)")


@attrs.frozen
class _Sent:
    """The ids of calls and the names of tools, as they are sent."""

    id: CallNumbers
    names: ToolNames


def responses_body(
    request: Request,
    model: str,
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
    show_thinking: bool = False,
) -> dict[str, Any]:
    """The body of `POST /responses`, as a value."""
    outline = responses_outline(
        request,
        model,
        max_tokens=max_tokens,
        temperature=temperature,
        show_thinking=show_thinking,
    )
    return body_of(outline, request.messages)


def responses_outline(
    request: Request,
    model: str,
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
    show_thinking: bool = False,
) -> Outline:
    """What is around the items of the history."""
    reasons = _UNREASONING.match(model) is None
    names = ToolNames.of(request)
    body: dict[str, Any] = {"model": model, "input": [], "stream": True, "store": False}
    if reasons:
        body["include"] = ["reasoning.encrypted_content"]
    if reasons and show_thinking:
        body["reasoning"] = {"summary": "auto"}
    if request.system:
        body["instructions"] = request.system
    if max_tokens is not None:
        body["max_output_tokens"] = max_tokens
    if temperature is not None:
        body["temperature"] = temperature
    if request.tools:
        body["tools"] = [_function(tool, names) for tool in request.tools]
    if request.output_schema is not None:
        body["text"] = {"format": _format(request.output_schema)}
    key = ("responses", reasons, *names.known)
    return Outline(body, "input", key, lambda: _Items(reasons, _Sent(CallNumbers(short_id), names)))


@attrs.frozen
class _Items:
    """Messages as items, each complete at once."""

    reasons: bool
    sent: _Sent

    def add(self, message: Message) -> Iterable[Turn]:
        """Take a message."""
        return _items(with_images(message, COMMON_IMAGES), self.reasons, self.sent)

    def rest(self) -> Iterable[Turn]:
        """Nothing is left."""
        return ()


def _function(tool: ToolSpec, names: ToolNames) -> dict[str, Any]:
    # Strict is this API's default, and has no optional parameters: input is validated by us.
    return {
        "type": "function",
        "name": names.sent(tool.name),
        "description": tool.description,
        "parameters": tool.input_schema,
        "strict": False,
    }


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as it is, or in strict mode, which guarantees it, where that mode takes it."""
    strict = is_strict(closed(schema))
    return {
        "type": "json_schema",
        "name": "response",
        "schema": closed(schema) if strict else schema,
        "strict": strict,
    }


def _items(message: Message, reasons: bool, sent: _Sent) -> list[dict[str, Any]]:
    if message.role == "user":
        return list(_user(message, sent))
    items = list(_assistant(message, reasons, sent))
    while items and items[-1].get("type") == "reasoning":
        items.pop()  # the API refuses reasoning that nothing follows, as where a stream was cut
    return items


def _user(message: Message, sent: _Sent) -> Iterator[dict[str, Any]]:
    said = []
    for block in message.content:
        match block:
            case ToolResultBlock():
                yield {
                    "type": "function_call_output",
                    "call_id": sent.id(block.tool_use_id),
                    "output": _output(block),
                }
            case TextBlock(text):
                said.append(_text(text))
            case ImageBlock():
                said.append(_image(block))
            case _:
                pass  # a user neither thinks nor calls tools
    if said:
        yield {"role": "user", "content": said}


def _output(block: ToolResultBlock) -> str | list[dict[str, Any]]:
    if not block.images:
        return block.content
    return [_text(block.content), *map(_image, block.images)]


def _text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text if text.strip() else EMPTY_MESSAGE}


def _image(block: ImageBlock) -> dict[str, Any]:
    return {"type": "input_image", "image_url": data_url(block), "detail": "auto"}


def _assistant(message: Message, reasons: bool, sent: _Sent) -> Iterator[dict[str, Any]]:
    for block in message.content:
        match block:
            case TextBlock(text) if text.strip():
                content = [{"type": "output_text", "text": text}]
                yield {"role": "assistant", "content": content}
            case ToolUseBlock(id, name, input):
                # Without its item's id, which would have to be that of the reasoning before it.
                yield {
                    "type": "function_call",
                    "call_id": sent.id(id),
                    "name": sent.names.sent(name),
                    "arguments": msgspec.json.encode(input).decode(),
                }
            case RedactedThinkingBlock(data, provider) if provider == ID and reasons:
                yield from _reasoning(data)
            case _:
                pass  # reasoning of others, or such as is not encrypted, cannot go back


def _reasoning(data: str) -> Iterator[dict[str, Any]]:
    try:
        item = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return  # the history came from elsewhere
    if isinstance(item, dict) and item.get("type") == "reasoning":
        # The API writes nulls that it does not read.
        yield {key: value for key, value in item.items() if value is not None}
