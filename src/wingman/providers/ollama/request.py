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
from wingman.providers.wire import (
    NOT_ANSWERED,
    CallNumbers,
    ToolNames,
    function_spec,
    in_one,
    is_mistral,
    nine_letters,
    with_images,
)

__all__ = ["ollama_body"]

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


def ollama_body(
    request: Request, model: str, max_tokens: int | None = None, temperature: float | None = None
) -> dict[str, Any]:
    """The body of `POST /api/chat`."""
    options = {"num_predict": max_tokens, "temperature": temperature}
    names = ToolNames.of(request)
    messages = list(_messages(request, model, names))
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": True}
    if given := {name: value for name, value in options.items() if value is not None}:
        body["options"] = given
    if request.tools:
        body["tools"] = [function_spec(tool, names) for tool in request.tools]
    if request.output_schema is not None:
        body["format"] = request.output_schema
    return body


def _messages(request: Request, model: str, names: ToolNames) -> Iterator[dict[str, Any]]:
    """The turns, which alternate: the user's in one, none after a tool's without the assistant's.

    Many templates refuse any other order.
    """
    if request.system:
        yield {"role": "system", "content": request.system}
    numbers = CallNumbers(nine_letters if is_mistral(model) else str)
    called: dict[str, str] = {}
    said: list[TextBlock | ImageBlock] = []  # by the user, since the last turn
    after_tool = False
    for message in with_images(request.messages, _IMAGES):
        called.update((use.id, names.sent(use.name)) for use in message.tool_uses)
        if message.role == "assistant":
            if (turn := _assistant(message, numbers, names)) is not None:
                yield from _user(said, after_tool)
                yield turn
                said, after_tool = [], False
            continue
        for block in message.content:
            match block:
                case ToolResultBlock(id, content):
                    after_tool = True
                    name = {"tool_name": called.get(id, ""), "tool_call_id": numbers(id)}
                    yield _with_images({"role": "tool", "content": content, **name}, block.images)
                case TextBlock() | ImageBlock():
                    said.append(block)
                case _:
                    pass  # a user neither thinks nor calls tools
        if not message.content:
            said.append(TextBlock(""))
    yield from _user(said, after_tool)


def _user(said: Sequence[TextBlock | ImageBlock], after_tool: bool) -> Iterator[dict[str, Any]]:
    if not said:
        return
    if after_tool:
        yield {"role": "assistant", "content": NOT_ANSWERED}
    images = [block for block in said if isinstance(block, ImageBlock)]
    # Images belong to a message, and there to no place in its text.
    texts = [block.text for block in said if isinstance(block, TextBlock)]
    content = in_one(texts) if texts or not images else ""
    yield _with_images({"role": "user", "content": content}, images)


def _with_images(turn: dict[str, Any], images: Sequence[ImageBlock]) -> dict[str, Any]:
    return turn | {"images": [image.data for image in images]} if images else turn


def _assistant(message: Message, numbers: CallNumbers, names: ToolNames) -> dict[str, Any] | None:
    """The turn; None where nothing was said, as where an answer was cut in its reasoning."""
    if not (message.text or message.tool_uses):
        return None
    turn: dict[str, Any] = {"role": "assistant", "content": message.text}
    thoughts = [b for b in message.content if isinstance(b, ThinkingBlock) and b.provider == ID]
    if thoughts:
        turn["thinking"] = "".join(block.thinking for block in thoughts)
    if message.tool_uses:
        turn["tool_calls"] = [
            {
                "id": numbers(use.id),
                "function": {"name": names.sent(use.name), "arguments": use.input},
            }
            for use in message.tool_uses
        ]
    return turn
