"""OpenAI: the Responses API at its home, chat completions wherever else `openai` is pointed at.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

import attrs

from wingman.api import ModelInfo
from wingman.providers.base import Part, Request
from wingman.providers.openai.chat_exchange import chat, served_models
from wingman.providers.openai.responses_request import responses_outline
from wingman.providers.openai.responses_stream import ID, ResponsesTranslator
from wingman.providers.transport import Access, Endpoint, Transport
from wingman.providers.wire import CallIds, ToolNames, bearer_call, converse
from wingman.sse import SSEDecoder

__all__ = ["ACCESS", "OpenAI"]


def _elsewhere(base_url: str) -> bool:
    return urlsplit(base_url).hostname != "api.openai.com"


def _usual_api(base_url: str) -> Literal["responses", "chat"]:
    return "chat" if _elsewhere(base_url) else "responses"


ACCESS: Final = Access(
    ID,
    base_url="https://api.openai.com/v1",
    url_variable="OPENAI_BASE_URL",
    key_variable="OPENAI_API_KEY",
    key_optional=_elsewhere,
)


@attrs.frozen
class OpenAI:
    """A model of OpenAI's, by the Responses API; elsewhere, one behind chat completions.

    Without `api_key` the key is `OPENAI_API_KEY` of the environment, without `base_url` the place
    is `OPENAI_BASE_URL` or OpenAI's own; both are looked up when a stream begins. A `base_url`
    includes the `/v1`. Elsewhere than at OpenAI a key is optional, and chat completions are spoken,
    as every compatible server does; `api` names the one to speak, whatever the place.
    `show_thinking` asks for summaries of the reasoning, which OpenAI gives to verified
    organisations.
    """

    model: str
    api_key: str | None = attrs.field(default=None, kw_only=True, repr=False)
    base_url: str | None = attrs.field(default=None, kw_only=True)
    max_tokens: int | None = attrs.field(default=None, kw_only=True)
    temperature: float | None = attrs.field(default=None, kw_only=True)
    show_thinking: bool = attrs.field(default=False, kw_only=True)
    api: Literal["responses", "chat"] | None = attrs.field(default=None, kw_only=True)
    id: str = attrs.field(default=ID, init=False)

    def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference; raises `ProviderNotConfigured` at once if a key is lacking."""
        endpoint = self._endpoint()
        if (self.api or _usual_api(endpoint.base_url)) == "chat":
            limit, temperature = self.max_tokens, self.temperature
            return chat(ID, endpoint, request, transport, self.model, limit, temperature)
        outline = responses_outline(
            request,
            self.model,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            show_thinking=self.show_thinking,
        )
        names = ToolNames.of(request)

        def translating(ids: CallIds) -> ResponsesTranslator:
            return ResponsesTranslator(ids, names)

        call = bearer_call(ID, endpoint, "/responses")
        return converse(transport, call, outline, request, SSEDecoder(), translating)

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        """Ask the server which models it has; OpenAI does not tell their windows."""
        return await served_models(ID, self._endpoint(), transport)

    def _endpoint(self) -> Endpoint:
        return ACCESS.endpoint(self.api_key, self.base_url)
