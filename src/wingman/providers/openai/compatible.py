"""Any server that speaks chat completions: OpenRouter, vLLM, llama.cpp, LM Studio, DeepSeek, Groq.

What they do otherwise than OpenAI is understood in `chat_stream.py`.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import attrs

from wingman.api import ModelInfo
from wingman.providers.base import Part, Request
from wingman.providers.openai.chat_exchange import chat, served_models
from wingman.providers.transport import Access, Endpoint, Transport

__all__ = ["ACCESS", "OpenAICompatible"]

ID: Final = "openai-compatible"


def _anywhere(_base_url: str) -> bool:
    return True


ACCESS: Final = Access(
    ID,
    base_url=None,
    url_variable="OPENAI_COMPATIBLE_BASE_URL",
    key_variable="OPENAI_COMPATIBLE_API_KEY",
    key_optional=_anywhere,
)


@attrs.frozen
class OpenAICompatible:
    """A model behind a server that speaks chat completions.

    Without `base_url` (which includes the `/v1`, where the server has one) the place is
    `OPENAI_COMPATIBLE_BASE_URL` of the environment, and the key `OPENAI_COMPATIBLE_API_KEY` if
    there is one; both are looked up when a stream begins. Local servers need no key.
    """

    model: str
    base_url: str | None = attrs.field(default=None, kw_only=True)
    api_key: str | None = attrs.field(default=None, kw_only=True, repr=False)
    max_tokens: int | None = attrs.field(default=None, kw_only=True)
    temperature: float | None = attrs.field(default=None, kw_only=True)
    id: str = attrs.field(default=ID, init=False)

    def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference; raises `ProviderNotConfigured` at once if there is no base URL."""
        endpoint, limit, temperature = self._endpoint(), self.max_tokens, self.temperature
        return chat(ID, endpoint, request, transport, self.model, limit, temperature)

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        """Ask the server which models it has."""
        return await served_models(ID, self._endpoint(), transport)

    def _endpoint(self) -> Endpoint:
        return ACCESS.endpoint(self.api_key, self.base_url)
