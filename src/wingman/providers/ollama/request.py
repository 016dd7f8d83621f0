"""A request as the JSON of Ollama's chat API: pure, values in, values out.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from collections.abc import Iterable, Iterator, Sequence
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
    Outline,
    ToolNames,
    Turn,
    body_of,
    function_spec,
    in_one,
    is_mistral,
    nine_letters,
    with_images,
)

__all__ = ["ollama_body", "ollama_outline"]

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


def ollama_body(
    request: Request, model: str, max_tokens: int | None = None, temperature: float | None = None
) -> dict[str, Any]:
    """The body of `POST /api/chat`, as a value."""
    return body_of(ollama_outline(request, model, max_tokens, temperature), request.messages)


def ollama_outline(
    request: Request, model: str, max_tokens: int | None = None, temperature: float | None = None
) -> Outline:
    """What is around the messages."""
    options = {"num_predict": max_tokens, "temperature": temperature}
    form = nine_letters if is_mistral(model) else str
    names = ToolNames.of(request)
    system = [{"role": "system", "content": request.system}] if request.system else []
    body: dict[str, Any] = {"model": model, "messages": system, "stream": True}
    if given := {name: value for name, value in options.items() if value is not None}:
        body["options"] = given
    if request.tools:
        body["tools"] = [function_spec(tool, names) for tool in request.tools]
    if request.output_schema is not None:
        body["format"] = request.output_schema
    key = (ID, form, *names.known)
    return Outline(body, "messages", key, lambda: _Turns(CallNumbers(form), names))


class _Turns:
    """Messages as turns, which alternate: the user's in one, none after a tool's without the
    assistant's. Many templates refuse any other order.
    """

    def __init__(self, numbers: CallNumbers, names: ToolNames) -> None:
        self._numbers = numbers
        self._names = names
        self._called: dict[str, str] = {}
        self._said: tuple[TextBlock | ImageBlock, ...] = ()  # by the user, since the last turn
        self._after_tool = False

    def add(self, message: Message) -> Iterator[Turn]:
        """Take a message."""
        message = with_images(message, _IMAGES)
        self._called.update((use.id, self._names.sent(use.name)) for use in message.tool_uses)
        if message.role == "assistant":
            if (turn := _assistant(message, self._numbers, self._names)) is not None:
                yield from self.rest()
                yield turn
                self._said, self._after_tool = (), False
            return
        for block in message.content:
            match block:
                case ToolResultBlock(id, content):
                    self._after_tool = True
                    name = {
                        "tool_name": self._called.get(id, ""),
                        "tool_call_id": self._numbers(id),
                    }
                    yield _with_images({"role": "tool", "content": content, **name}, block.images)
                case TextBlock() | ImageBlock():
                    self._said = (*self._said, block)
                case _:
                    pass  # a user neither thinks nor calls tools
        if not message.content:
            self._said = (*self._said, TextBlock(""))

    def rest(self) -> Iterable[Turn]:
        """What the user has said since the last turn."""
        return _user(self._said, self._after_tool)


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
