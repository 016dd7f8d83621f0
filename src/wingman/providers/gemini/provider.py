"""Gemini: Google's models, by the Gemini API.

Source: https://ai.google.dev/api/generate-content
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final
from urllib.parse import quote

import attrs
import msgspec

from wingman.api import ModelInfo
from wingman.providers.base import Part, Request
from wingman.providers.gemini.request import gemini_outline
from wingman.providers.gemini.stream import ID, GeminiTranslator
from wingman.providers.transport import Access, Call, Transport
from wingman.providers.wire import CallIds, ask_for_models, converse
from wingman.sse import SSEDecoder

__all__ = ["ACCESS", "Gemini"]

ACCESS: Final = Access(
    ID,
    base_url="https://generativelanguage.googleapis.com",
    url_variable="GEMINI_BASE_URL",
    key_variable="GEMINI_API_KEY",
    second_key_variable="GOOGLE_API_KEY",
)


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
    id: str = attrs.field(default=ID, init=False)

    def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference; raises `ProviderNotConfigured` at once if there is no key."""
        config: dict[str, Any] = {}
        if self.max_tokens is not None:
            config["maxOutputTokens"] = self.max_tokens
        if self.temperature is not None:
            config["temperature"] = self.temperature
        if self.show_thinking:
            config["thinkingConfig"] = {"includeThoughts": True}
        outline = gemini_outline(request, self.model, config)
        model = quote(self.model.removeprefix("models/"), safe="")
        call = self._call(f"/models/{model}:streamGenerateContent?alt=sse")
        tools = [tool.name for tool in request.tools]

        def translating(ids: CallIds) -> GeminiTranslator:
            return GeminiTranslator(ids, tools)

        return converse(transport, call, outline, request, SSEDecoder(), translating)

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

    def _call(self, path: str) -> Call:
        endpoint = ACCESS.endpoint(self.api_key, self.base_url)
        headers = {"content-type": "application/json", "x-goog-api-key": endpoint.key or ""}
        return Call(ID, f"{endpoint.base_url}/v1beta{path}", headers, secret=endpoint.key)


class _Model(msgspec.Struct, rename="camel"):
    name: str
    display_name: str | None = None
    input_token_limit: int | None = None
    output_token_limit: int | None = None
    supported_generation_methods: list[str] = []


class _ModelPage(msgspec.Struct):
    models: list[_Model]
