"""Ollama: models that an Ollama server runs, by its own chat API.

The context that a model is given is the server's matter (`OLLAMA_CONTEXT_LENGTH`).
Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Final
from urllib.parse import urlsplit

import attrs
import msgspec

from wingman.api import ModelInfo
from wingman.providers.base import Part, Request
from wingman.providers.ollama.request import ollama_outline
from wingman.providers.ollama.stream import ID, OllamaTranslator
from wingman.providers.transport import Access, Call, Transport
from wingman.providers.wire import CallIds, ToolNames, ask_for_models, bearer_call, converse
from wingman.sse import LineDecoder

__all__ = ["ACCESS", "Ollama"]

_PORT: Final = 11434


def _host(text: str) -> str:
    """`OLLAMA_HOST` as a URL: it may lack a scheme and a port, or be what a server listens on."""
    url = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = url.port
    except ValueError:
        raise ValueError("its port is no number") from None  # it may be part of a password
    host = "127.0.0.1" if url.hostname in (None, "0.0.0.0", "::") else url.hostname  # noqa: S104
    port = port or (_PORT if "://" not in text else {"https": 443}.get(url.scheme, 80))
    bracketed = f"[{host}]" if ":" in (host or "") else host
    return f"{url.scheme}://{bracketed}:{port}{url.path}"


ACCESS: Final = Access(
    ID,
    base_url=f"http://127.0.0.1:{_PORT}",
    url_variable="OLLAMA_HOST",
    normalise=_host,
)


@attrs.frozen
class Ollama:
    """A model that an Ollama server runs.

    Without `base_url` the place is `OLLAMA_HOST` of the environment, or port 11434 of this
    machine, looked up when a stream begins. A key is needed only where a proxy asks for one.
    """

    model: str
    api_key: str | None = attrs.field(default=None, kw_only=True, repr=False)
    base_url: str | None = attrs.field(default=None, kw_only=True)
    max_tokens: int | None = attrs.field(default=None, kw_only=True)
    temperature: float | None = attrs.field(default=None, kw_only=True)
    id: str = attrs.field(default=ID, init=False)

    def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference."""
        outline = ollama_outline(request, self.model, self.max_tokens, self.temperature)
        names = ToolNames.of(request)

        def translating(ids: CallIds) -> OllamaTranslator:
            return OllamaTranslator(ids, names)

        call = self._call("/api/chat")
        return converse(transport, call, outline, request, LineDecoder(), translating)

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        """Ask the server which models it has pulled."""
        page = await ask_for_models(transport, self._call("/api/tags"), _ModelPage)
        return [ModelInfo(model.name, model.name) for model in page.models]

    def _call(self, path: str) -> Call:
        return bearer_call(ID, ACCESS.endpoint(self.api_key, self.base_url), path)


class _Model(msgspec.Struct):
    name: str


class _ModelPage(msgspec.Struct):
    models: list[_Model]
