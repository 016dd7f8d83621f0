"""A request as the JSON of chat completions: pure, values in, values out.

OpenAI's invention, and what every compatible server speaks. They differ in what they take back:
reasoning that came under a name of its own goes back under that very name, since DeepSeek demands
it of every step with tool calls while others refuse names that they do not know.
They differ in what order of turns they take as well: what is sent alternates, and Mistral's models
are given ids of nine letters, which they demand.
Sources: https://platform.openai.com/docs/api-reference/chat,
https://api-docs.deepseek.com/guides/thinking_mode
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

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
    NOT_ANSWERED,
    CallNumbers,
    Outline,
    ToolNames,
    Turn,
    body_of,
    data_url,
    function_spec,
    in_one,
    is_mistral,
    nine_letters,
    short_id,
    with_images,
)

__all__ = ["chat_body", "chat_outline"]

_Content: TypeAlias = str | list[dict[str, Any]]

_NO_ANSWER: Final[Turn] = {"role": "assistant", "content": NOT_ANSWERED}


def chat_body(
    request: Request,
    model: str,
    provider: str,
    temperature: float | None = None,
    *,
    host: str | None = None,
) -> dict[str, Any]:
    """The body of `POST /chat/completions`, as a value."""
    outline = chat_outline(request, model, provider, temperature, host=host)
    return body_of(outline, request.messages)


def chat_outline(
    request: Request,
    model: str,
    provider: str,
    temperature: float | None = None,
    *,
    host: str | None = None,
) -> Outline:
    """What is around the messages, without a limit of tokens; `host` is whose it is."""
    form = nine_letters if is_mistral(model, host) else short_id
    names = ToolNames.of(request)
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": request.system}] if request.system else [],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if temperature is not None:
        body["temperature"] = temperature
    if request.tools:
        body["tools"] = [function_spec(tool, names) for tool in request.tools]
    if request.output_schema is not None:
        schema = {"name": "response", "schema": request.output_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    key = ("chat", provider, form, *names.known)
    return Outline(body, "messages", key, lambda: _Turns(provider, CallNumbers(form), names))


class _Turns:
    """Messages as turns, as templates want them that demand alternation: the user's in one, none
    after a tool's without the assistant's.
    """

    def __init__(self, provider: str, numbers: CallNumbers, names: ToolNames) -> None:
        self._provider = provider
        self._numbers = numbers
        self._names = names
        self._last: Turn | None = None

    def add(self, message: Message) -> Iterable[Turn]:
        """Take a message."""
        message = with_images(message, COMMON_IMAGES)
        if message.role == "assistant":
            turns = _assistant(message, self._provider, self._numbers, self._names)
        else:
            turns = _user(message, self._numbers)
        return [complete for turn in turns for complete in self._follow(turn)]

    def rest(self) -> Iterable[Turn]:
        """The last turn."""
        return () if self._last is None else (self._last,)

    def _follow(self, turn: Turn) -> Iterable[Turn]:
        last, self._last = self._last, turn
        if last is None:
            return ()
        if turn["role"] == "user" and last["role"] == "user":
            self._last = last | {"content": _joined(last["content"], turn["content"])}
            return ()
        if turn["role"] == "user" and last["role"] == "tool":
            return last, _NO_ANSWER
        return (last,)


def _joined(one: _Content, other: _Content) -> _Content:
    if isinstance(one, str) and isinstance(other, str):
        return in_one([one, other])
    parts = [[{"type": "text", "text": c}] if isinstance(c, str) else c for c in (one, other)]
    return [*parts[0], *parts[1]]


def _user(message: Message, numbers: CallNumbers) -> Iterator[dict[str, Any]]:
    results = [block for block in message.content if isinstance(block, ToolResultBlock)]
    for result in results:
        id = numbers(result.tool_use_id)
        yield {"role": "tool", "tool_call_id": id, "content": result.content}
    shown = [part for result in results for part in _shown(result, numbers)]
    said = [part for block in message.content if (part := _part(block)) is not None]
    if any(part["type"] == "image_url" for part in [*shown, *said]):
        yield {"role": "user", "content": shown + said}
    elif said or not results:  # many servers take a user's message as plain text only
        yield {"role": "user", "content": in_one(part["text"] for part in said)}


def _shown(result: ToolResultBlock, numbers: CallNumbers) -> list[dict[str, Any]]:
    """A result's images, for the user to show: a tool's message takes text alone."""
    if not result.images:
        return []
    said = f"What the tool call {numbers(result.tool_use_id)} shows:"
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


def _assistant(
    message: Message, provider: str, numbers: CallNumbers, names: ToolNames
) -> Iterator[dict[str, Any]]:
    calls = [_call(block, numbers, names) for block in message.tool_uses]
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


def _call(block: ToolUseBlock, numbers: CallNumbers, names: ToolNames) -> dict[str, Any]:
    # A malformed call goes back as one without arguments: servers parse what they are sent.
    arguments = msgspec.json.encode(block.input).decode()
    return {
        "id": numbers(block.id),
        "type": "function",
        "function": {"name": names.sent(block.name), "arguments": arguments},
    }
