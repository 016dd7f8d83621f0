"""A request as the JSON of Google's Gemini API: pure, values in, values out.

Sources: https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching#Content,
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from wingman.conversation import (
    Block,
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.providers.base import Request, ToolSpec
from wingman.providers.gemini.stream import ID, MORE
from wingman.providers.wire import (
    EMPTY_MESSAGE,
    Outline,
    SameRole,
    ToolNames,
    Turn,
    body_of,
    with_images,
)

__all__ = ["NO_SIGNATURE", "gemini_body", "gemini_outline"]

NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""What the API documents for a call that another model made, or that has no signature."""

_IMAGES: Final = frozenset({"image/heic", "image/heif", "image/jpeg", "image/png", "image/webp"})
# The generations that want no signatures, and take no schema of the output beside tools.
_OLDER: Final = re.compile(r"gemini-[12]\b")


def gemini_body(
    request: Request, model: str, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The body of `POST …:streamGenerateContent`, as a value."""
    return body_of(gemini_outline(request, model, config), request.messages)


def gemini_outline(
    request: Request, model: str, config: Mapping[str, Any] | None = None
) -> Outline:
    """What is around the contents; `config` is what `generationConfig` begins with.

    The older generations take no schema of the output together with tools: there the system
    instruction tells it.
    """
    older = _OLDER.match(model.removeprefix("models/")) is not None
    config = dict(config or {})
    names = ToolNames.of(request, also=MORE)
    body: dict[str, Any] = {"contents": []}
    system = request.system
    if request.output_schema is not None:
        if request.tools and older:
            system = f"{system}\n\n{_in_words(request.output_schema)}".strip()
        else:
            config["responseMimeType"] = "application/json"
            config["responseJsonSchema"] = request.output_schema
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if request.tools:
        body["tools"] = [
            {"functionDeclarations": [_function(tool, names) for tool in request.tools]}
        ]
    if config:
        body["generationConfig"] = config
    key = (ID, older, *names.known)
    return Outline(body, "contents", key, lambda: _Contents(names, signed=not older))


def _in_words(schema: dict[str, Any]) -> str:
    said = "When you call no tool, your response must be JSON alone, of this JSON Schema:"
    return f"{said}\n{msgspec.json.encode(schema).decode()}"


def _function(tool: ToolSpec, names: ToolNames) -> dict[str, Any]:
    return {
        "name": names.sent(tool.name),
        "description": tool.description,
        "parametersJsonSchema": tool.input_schema,
    }


class _Contents(SameRole):
    """Messages as contents: the API refuses a turn of the model without parts."""

    def __init__(self, names: ToolNames, signed: bool) -> None:
        super().__init__("parts")
        self._names = names
        self._signed = signed
        self._called: dict[str, str] = {}

    def add(self, message: Message) -> Iterable[Turn]:
        """Take a message."""
        message = with_images(message, _IMAGES)
        self._called.update((use.id, self._names.sent(use.name)) for use in message.tool_uses)
        if message.role == "user":
            return self.follow("user", _user(message, self._called))
        return self.follow("model", _model(message, self._names, self._signed))

    def rest(self) -> Iterable[Turn]:
        """The last turn."""
        return () if self.open is None else (self.open,)


def _user(message: Message, called: Mapping[str, str]) -> list[dict[str, Any]]:
    """Results first, all of them, as the API wants it; then the images that they show."""
    results = [block for block in message.content if isinstance(block, ToolResultBlock)]
    parts = [_response(block, called) for block in results]
    parts += [_image(image) for block in results for image in block.images]
    for block in message.content:
        match block:
            case TextBlock(text) if text.strip():
                parts.append({"text": text})
            case ImageBlock():
                parts.append(_image(block))
            case _:
                pass  # a user neither thinks nor calls tools
    return parts or [{"text": EMPTY_MESSAGE}]


def _response(block: ToolResultBlock, called: Mapping[str, str]) -> dict[str, Any]:
    id = block.tool_use_id
    response = {"error" if block.is_error else "output": block.content}
    return {"functionResponse": {"id": id, "name": called.get(id, "unnamed"), "response": response}}


def _image(block: ImageBlock) -> dict[str, Any]:
    return {"inlineData": {"mimeType": block.media_type, "data": block.data}}


def _model(message: Message, names: ToolNames, signed: bool) -> list[dict[str, Any]]:
    parts = [part for block in message.content for part in _said(block, names)]
    first = next((part for part in parts if "functionCall" in part), None)
    if signed and first is not None:
        first.setdefault("thoughtSignature", NO_SIGNATURE)
    return parts


def _said(block: Block, names: ToolNames) -> Iterator[dict[str, Any]]:
    """The block as a part, with its signature if that is Gemini's; none for one of no use to it."""
    match block:
        case TextBlock(text, signature, provider):
            own = _signature(signature, provider)
            if own or text.strip():
                yield {"text": text} | own
        case ThinkingBlock(thinking, signature, provider):
            if own := _signature(signature, provider):
                yield {"text": thinking, "thought": True} | own
        case ToolUseBlock(id, name, input, _, signature, provider):
            call = {"id": id, "name": names.sent(name), "args": input}
            yield {"functionCall": call} | _signature(signature, provider)
        case _:
            pass  # what others encrypted; a model shows no images


def _signature(signature: str | None, provider: str | None) -> dict[str, Any]:
    return {"thoughtSignature": signature} if signature and provider == ID else {}
