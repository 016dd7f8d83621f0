"""Chat completions: one inference of any server that speaks them, and its models."""

from collections.abc import AsyncGenerator, Sequence
from urllib.parse import urlsplit

import msgspec

from wingman.api import ModelInfo
from wingman.providers.base import Part, Request
from wingman.providers.openai.chat_request import chat_outline
from wingman.providers.openai.chat_stream import ChatTranslator
from wingman.providers.transport import Endpoint, Transport
from wingman.providers.wire import CallIds, ToolNames, ask_for_models, bearer_call, converse
from wingman.sse import SSEDecoder

__all__ = ["chat", "served_models"]


def chat(
    provider: str,
    endpoint: Endpoint,
    request: Request,
    transport: Transport,
    model: str,
    max_tokens: int | None = None,
    temperature: float | None = None,
) -> AsyncGenerator[Part, None]:
    """Run one inference; `provider` is the id of the one who asks."""
    host = urlsplit(endpoint.base_url).hostname
    outline = chat_outline(request, model, provider, temperature, host=host)
    if max_tokens is not None:
        # OpenAI's newer models refuse the old name, other servers do not know the new one.
        newer = host == "api.openai.com"
        outline.values["max_completion_tokens" if newer else "max_tokens"] = max_tokens
    names = ToolNames.of(request)

    def translating(ids: CallIds) -> ChatTranslator:
        return ChatTranslator(provider, ids, names)

    call = bearer_call(provider, endpoint, "/chat/completions")
    return converse(transport, call, outline, request, SSEDecoder(), translating)


async def served_models(
    provider: str, endpoint: Endpoint, transport: Transport
) -> Sequence[ModelInfo]:
    """Ask the server which models it has; few tell their windows, and then as vLLM does."""
    page = await ask_for_models(transport, bearer_call(provider, endpoint, "/models"), _ModelPage)
    return [ModelInfo(model.id, model.id, model.max_model_len) for model in page.data]


class _Model(msgspec.Struct):
    id: str
    max_model_len: int | None = None


class _ModelPage(msgspec.Struct):
    data: list[_Model]
