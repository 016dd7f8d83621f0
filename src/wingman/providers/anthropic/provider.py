"""Anthropic: Claude, by Anthropic's Messages API.

Source: https://docs.anthropic.com/en/api/messages
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import attrs
import msgspec

from wingman.api import ModelInfo
from wingman.providers.anthropic.request import ID, anthropic_outline
from wingman.providers.anthropic.stream import AnthropicTranslator
from wingman.providers.base import Part, Request
from wingman.providers.transport import Access, Call, Transport
from wingman.providers.wire import CallIds, ToolNames, ask_for_models, converse
from wingman.sse import SSEDecoder

__all__ = ["ACCESS", "Anthropic"]

ACCESS: Final = Access(
    ID,
    base_url="https://api.anthropic.com",
    url_variable="ANTHROPIC_BASE_URL",
    key_variable="ANTHROPIC_API_KEY",
)


@attrs.frozen
class Anthropic:
    """Claude, by Anthropic's Messages API.

    Without `api_key` the key is `ANTHROPIC_API_KEY` of the environment, without `base_url` the
    place is `ANTHROPIC_BASE_URL` or Anthropic's own; both are looked up when a stream begins.
    """

    model: str
    api_key: str | None = attrs.field(default=None, kw_only=True, repr=False)
    base_url: str | None = attrs.field(default=None, kw_only=True)
    max_tokens: int | None = attrs.field(default=None, kw_only=True)
    temperature: float | None = attrs.field(default=None, kw_only=True)
    id: str = attrs.field(default=ID, init=False)

    def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference; raises `ProviderNotConfigured` at once if there is no key."""
        outline = anthropic_outline(request, self.model, self.max_tokens, self.temperature)
        names = ToolNames.of(request)

        def translating(ids: CallIds) -> AnthropicTranslator:
            return AnthropicTranslator(ID, ids, names)

        call = self._call("/v1/messages")
        return converse(transport, call, outline, request, SSEDecoder(), translating)

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        """Ask the API which models it has."""
        page = await ask_for_models(transport, self._call("/v1/models?limit=1000"), _ModelPage)
        return [
            ModelInfo(m.id, m.display_name or m.id, m.max_input_tokens, m.max_tokens)
            for m in page.data
        ]

    def _call(self, path: str) -> Call:
        endpoint = ACCESS.endpoint(self.api_key, self.base_url)
        headers = {
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
            "x-api-key": endpoint.key or "",
        }
        return Call(ID, endpoint.base_url + path, headers, secret=endpoint.key)


class _Model(msgspec.Struct):
    id: str
    display_name: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None


class _ModelPage(msgspec.Struct):
    data: list[_Model]
