"""Google's Gemini API: the provider, and a request as its JSON.

Sources: https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching#Content,
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import attrs
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
from wingman.providers.access import Access
from wingman.providers.base import ModelInfo, Part, Request, ToolSpec
from wingman.providers.bytestream import Call
from wingman.providers.exchange import ask_for_models, converse
from wingman.providers.fitting import EMPTY_MESSAGE, safe_name, with_images
from wingman.providers.framing import SSEDecoder
from wingman.providers.gemini_stream import PROVIDER, GeminiTranslator
from wingman.providers.http import Transport
from wingman.providers.toolcalls import CallIds

__all__ = ["ACCESS", "Gemini", "gemini_body"]

ACCESS: Final = Access(
    PROVIDER,
    base_url="https://generativelanguage.googleapis.com",
    url_variable="GEMINI_BASE_URL",
    key_variable="GEMINI_API_KEY",
    second_key_variable="GOOGLE_API_KEY",
)
NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""What the API documents for a call that another model made, or that has no signature."""

_IMAGES: Final = frozenset({"image/heic", "image/heif", "image/jpeg", "image/png", "image/webp"})
# The generations that want no signatures, and take no schema of the output beside tools.
_OLDER: Final = re.compile(r"gemini-[12]\b")


@attrs.frozen
class Gemini:
    """A model of Google's, by the Gemini API.

    Without `api_key` the key is `GEMINI_API_KEY` or `GOOGLE_API_KEY` of the environment, without
    `base_url` the place is `GEMINI_BASE_URL` or Google's own (without the `/v1beta`); both are
    looked up when a stream begins. `show_thinking` asks for summaries of the reasoning, which
    models that do not reason refuse.
    """

    model: str
    api_key: str | None = attrs.field(default=None, kw_only=True, repr=False)
    base_url: str | None = attrs.field(default=None, kw_only=True)
    max_tokens: int | None = attrs.field(default=None, kw_only=True)
    temperature: float | None = attrs.field(default=None, kw_only=True)
    show_thinking: bool = attrs.field(default=False, kw_only=True)
    id: str = attrs.field(default=PROVIDER, init=False)

    def stream(self, request: Request) -> AsyncGenerator[Part, None]:
        """Run one inference; raises `ProviderNotConfigured` at once if there is no key."""
        config: dict[str, Any] = {}
        if self.max_tokens is not None:
            config["maxOutputTokens"] = self.max_tokens
        if self.temperature is not None:
            config["temperature"] = self.temperature
        if self.show_thinking:
            config["thinkingConfig"] = {"includeThoughts": True}
        body = gemini_body(request, self.model, config)
        model = quote(self.model.removeprefix("models/"), safe="")
        path = f"/models/{model}:streamGenerateContent?alt=sse"
        call = self._call(path, msgspec.json.encode(body))
        names = [tool.name for tool in request.tools]
        translator = GeminiTranslator(CallIds(request.messages), names)
        return converse(request.transport, call, SSEDecoder(), translator)

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        """Ask the API which models it has that generate content."""
        page = await ask_for_models(transport, self._call("/models?pageSize=1000"), _ModelPage)
        return [
            ModelInfo(
                model.name.removeprefix("models/"),
                model.display_name or model.name.removeprefix("models/"),
                model.input_token_limit,
                model.output_token_limit,
            )
            for model in page.models
            if "generateContent" in model.supported_generation_methods
        ]

    def _call(self, path: str, body: bytes | None = None) -> Call:
        endpoint = ACCESS.endpoint(self.api_key, self.base_url)
        headers = {"content-type": "application/json", "x-goog-api-key": endpoint.key or ""}
        return Call(PROVIDER, f"{endpoint.base_url}/v1beta{path}", headers, body, endpoint.key)


# --- request → JSON -------------------------------------------------------------------------------


def gemini_body(
    request: Request, model: str, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The body of `POST …:streamGenerateContent`; `config` is what `generationConfig` begins with.

    The older generations take no schema of the output together with tools: there the system
    instruction tells it.
    """
    older = _OLDER.match(model.removeprefix("models/")) is not None
    config = dict(config or {})
    body: dict[str, Any] = {"contents": _contents(request.messages, signed=not older)}
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
        body["tools"] = [{"functionDeclarations": [_function(tool) for tool in request.tools]}]
    if config:
        body["generationConfig"] = config
    return body


def _in_words(schema: dict[str, Any]) -> str:
    said = "When you call no tool, your response must be JSON alone, of this JSON Schema:"
    return f"{said}\n{msgspec.json.encode(schema).decode()}"


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": tool.input_schema,
    }


def _contents(messages: Sequence[Message], signed: bool) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for message in with_images(messages, _IMAGES):
        names.update((use.id, _name(use.name)) for use in message.tool_uses)
        if message.role == "user":
            role, parts = "user", _user(message, names)
        else:
            role, parts = "model", _model(message, signed)
        if not parts:
            continue  # the API refuses a turn of the model without content
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    return contents


def _user(message: Message, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Results first, all of them, as the API wants it; then the images that they show."""
    results = [block for block in message.content if isinstance(block, ToolResultBlock)]
    parts = [_response(block, names) for block in results]
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


def _response(block: ToolResultBlock, names: Mapping[str, str]) -> dict[str, Any]:
    id = block.tool_use_id
    response = {"error" if block.is_error else "output": block.content}
    return {"functionResponse": {"id": id, "name": names.get(id, "unnamed"), "response": response}}


def _image(block: ImageBlock) -> dict[str, Any]:
    return {"inlineData": {"mimeType": block.media_type, "data": block.data}}


def _model(message: Message, signed: bool) -> list[dict[str, Any]]:
    parts = [part for block in message.content for part in _said(block)]
    first = next((part for part in parts if "functionCall" in part), None)
    if signed and first is not None:
        first.setdefault("thoughtSignature", NO_SIGNATURE)
    return parts


def _said(block: Block) -> Iterator[dict[str, Any]]:
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
            call = {"id": id, "name": _name(name), "args": input}
            yield {"functionCall": call} | _signature(signature, provider)
        case _:
            pass  # what others encrypted; a model shows no images


def _signature(signature: str | None, provider: str | None) -> dict[str, Any]:
    return {"thoughtSignature": signature} if signature and provider == PROVIDER else {}


def _name(name: str) -> str:
    return safe_name(name, also=".:")


class _Model(msgspec.Struct, rename="camel"):
    name: str
    display_name: str | None = None
    input_token_limit: int | None = None
    output_token_limit: int | None = None
    supported_generation_methods: list[str] = []


class _ModelPage(msgspec.Struct):
    models: list[_Model]
