"""OpenAI's chat completions, and every server that is compatible with them.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import msgspec

from wingman.conversation import Message, TextBlock, ToolResultBlock, ToolUseBlock
from wingman.providers.access import Access
from wingman.providers.base import ModelInfo, Part, Request, ToolSpec
from wingman.providers.bytestream import Call
from wingman.providers.exchange import ask_for_models, converse
from wingman.providers.framing import SSEDecoder
from wingman.providers.http import Transport
from wingman.providers.openai_stream import OpenAITranslator
from wingman.providers.toolcalls import CallIds

__all__ = ["ACCESS", "OpenAI", "function_spec", "openai_body"]

ID: Final = "openai"


def _elsewhere(base_url: str) -> bool:
    return urlsplit(base_url).hostname != "api.openai.com"


ACCESS: Final = Access(
    ID,
    base_url="https://api.openai.com/v1",
    url_variable="OPENAI_BASE_URL",
    key_variable="OPENAI_API_KEY",
    key_optional=_elsewhere,
)


@attrs.frozen
class OpenAI:
    """A model behind OpenAI's chat completions API, at OpenAI or anywhere.

    Without `api_key` the key is `OPENAI_API_KEY` of the environment, without `base_url` the place
    is `OPENAI_BASE_URL` or OpenAI's own; both are looked up when a stream begins. A `base_url`
    includes the `/v1`. Elsewhere than at OpenAI a key is optional.
    """

    model: str
    api_key: str | None = attrs.field(default=None, kw_only=True, repr=False)
    base_url: str | None = attrs.field(default=None, kw_only=True)
    max_tokens: int | None = attrs.field(default=None, kw_only=True)
    temperature: float | None = attrs.field(default=None, kw_only=True)
    id: str = attrs.field(default=ID, init=False)

    def stream(self, request: Request) -> AsyncGenerator[Part, None]:
        """Run one inference; raises `ProviderNotConfigured` at once if a key is lacking."""
        body = openai_body(request, self.model, temperature=self.temperature)
        call = self._call("/chat/completions")
        if self.max_tokens is not None:
            # OpenAI's newer models refuse the old name, other servers do not know the new one.
            newer = not _elsewhere(call.url)
            body["max_completion_tokens" if newer else "max_tokens"] = self.max_tokens
        call = attrs.evolve(call, body=msgspec.json.encode(body))
        translator = OpenAITranslator(ID, CallIds(request.messages))
        return converse(request.transport, call, SSEDecoder(), translator)

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        """Ask the server which models it has; it does not tell their windows."""
        page = await ask_for_models(transport, self._call("/models"), _ModelPage)
        return [ModelInfo(model.id, model.id) for model in page.data]

    def _call(self, path: str) -> Call:
        endpoint = ACCESS.endpoint(self.api_key, self.base_url)
        headers = {"content-type": "application/json"}
        if endpoint.key:
            headers["authorization"] = f"Bearer {endpoint.key}"
        return Call(ID, endpoint.base_url + path, headers, secret=endpoint.key)


def openai_body(
    request: Request, model: str, *, temperature: float | None = None
) -> dict[str, Any]:
    """The body of `POST /chat/completions`, without a limit of tokens."""
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": request.system})
    for message in request.messages:
        messages.extend(_assistant(message) if message.role == "assistant" else _user(message))
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if temperature is not None:
        body["temperature"] = temperature
    if request.tools:
        body["tools"] = [function_spec(tool) for tool in request.tools]
    if request.output_schema is not None:
        schema = {"name": "response", "schema": request.output_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def function_spec(tool: ToolSpec) -> dict[str, Any]:
    """A tool as a `function`, the form that Ollama's API has as well."""
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
    }
    return {"type": "function", "function": function}


def _user(message: Message) -> Iterator[dict[str, Any]]:
    for block in message.content:
        match block:
            case ToolResultBlock():
                yield {
                    "role": "tool",
                    "tool_call_id": block.tool_use_id,
                    "content": block.content,
                }
            case TextBlock():
                yield {"role": "user", "content": block.text}
            case _:
                pass  # a user neither thinks nor calls tools


def _assistant(message: Message) -> Iterator[dict[str, Any]]:
    """Text and calls. Reasoning is left out: these servers do not take it back."""
    calls = [_call(block) for block in message.tool_uses]
    if message.text or calls:
        turn: dict[str, Any] = {"role": "assistant", "content": message.text or None}
        yield turn | {"tool_calls": calls} if calls else turn


def _call(block: ToolUseBlock) -> dict[str, Any]:
    # A malformed call goes back as one without arguments: servers parse what they are sent.
    arguments = msgspec.json.encode(block.input).decode()
    return {
        "id": block.id,
        "type": "function",
        "function": {"name": block.name, "arguments": arguments},
    }


class _Model(msgspec.Struct):
    id: str


class _ModelPage(msgspec.Struct):
    data: list[_Model]
