"""Ollama's own chat API: local models, NDJSON, no key.

The context that a model is given is the server's matter (`OLLAMA_CONTEXT_LENGTH`).
Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import msgspec

from wingman.conversation import (
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    Usage,
)
from wingman.providers.access import Access
from wingman.providers.base import (
    Finished,
    FinishReason,
    ModelInfo,
    Part,
    Request,
    TextDelta,
    ThinkingDelta,
    UsageUpdate,
)
from wingman.providers.bytestream import Call
from wingman.providers.chat import function_spec
from wingman.providers.exchange import ask_for_models, bearer_call, converse
from wingman.providers.fitting import safe_name, with_images
from wingman.providers.framing import Fault, LineDecoder, decode
from wingman.providers.http import Transport
from wingman.providers.toolcalls import CallIds, tool_use

__all__ = ["ACCESS", "Ollama", "OllamaTranslator", "ollama_body"]

ID: Final = "ollama"
_PORT: Final = 11434
_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


def _host(text: str) -> str:
    """`OLLAMA_HOST` as a URL: it may lack a scheme and a port, or be what a server listens on."""
    url = urlsplit(text if "://" in text else f"http://{text}")
    host = "127.0.0.1" if url.hostname in (None, "0.0.0.0", "::") else url.hostname  # noqa: S104
    port = url.port or (_PORT if "://" not in text else {"https": 443}.get(url.scheme, 80))
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

    def stream(self, request: Request) -> AsyncGenerator[Part, None]:
        """Run one inference."""
        body = ollama_body(request, self.model, self.max_tokens, self.temperature)
        call = self._call("/api/chat", body)
        translator = OllamaTranslator(CallIds(request.messages))
        return converse(request.transport, call, LineDecoder(), translator)

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        """Ask the server which models it has pulled."""
        page = await ask_for_models(transport, self._call("/api/tags"), _ModelPage)
        return [ModelInfo(model.name, model.name) for model in page.models]

    def _call(self, path: str, body: dict[str, Any] | None = None) -> Call:
        return bearer_call(ID, ACCESS.endpoint(self.api_key, self.base_url), path, body)


# --- request → JSON -------------------------------------------------------------------------------


def ollama_body(
    request: Request, model: str, max_tokens: int | None = None, temperature: float | None = None
) -> dict[str, Any]:
    """The body of `POST /api/chat`."""
    options = {"num_predict": max_tokens, "temperature": temperature}
    body: dict[str, Any] = {"model": model, "messages": list(_messages(request)), "stream": True}
    if given := {name: value for name, value in options.items() if value is not None}:
        body["options"] = given
    if request.tools:
        body["tools"] = [function_spec(tool) for tool in request.tools]
    if request.output_schema is not None:
        body["format"] = request.output_schema
    return body


def _messages(request: Request) -> Iterator[dict[str, Any]]:
    if request.system:
        yield {"role": "system", "content": request.system}
    names: dict[str, str] = {}
    for message in with_images(request.messages, _IMAGES):
        names.update((use.id, safe_name(use.name)) for use in message.tool_uses)
        if message.role == "assistant":
            yield _assistant(message)
            continue
        for block in message.content:
            if isinstance(block, ToolResultBlock):
                id = block.tool_use_id
                called = {"tool_name": names.get(id, ""), "tool_call_id": id}
                result = {"role": "tool", "content": block.content, **called}
                yield _with_images(result, block.images)
        yield from _user(message)


def _user(message: Message) -> Iterator[dict[str, Any]]:
    texts = [block.text for block in message.content if isinstance(block, TextBlock)]
    images = [block for block in message.content if isinstance(block, ImageBlock)]
    if images:  # they belong to one message, and there to no place in its text
        yield _with_images({"role": "user", "content": "\n\n".join(texts)}, images)
    else:
        yield from ({"role": "user", "content": text} for text in texts)


def _with_images(turn: dict[str, Any], images: Sequence[ImageBlock]) -> dict[str, Any]:
    return turn | {"images": [image.data for image in images]} if images else turn


def _assistant(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": "assistant", "content": message.text}
    thoughts = [b for b in message.content if isinstance(b, ThinkingBlock) and b.provider == ID]
    if thoughts:
        turn["thinking"] = "".join(block.thinking for block in thoughts)
    if message.tool_uses:
        turn["tool_calls"] = [
            {"id": use.id, "function": {"name": safe_name(use.name), "arguments": use.input}}
            for use in message.tool_uses
        ]
    return turn


# --- events → parts -------------------------------------------------------------------------------


class _Function(msgspec.Struct):
    name: str
    arguments: dict[str, Any] | str | None = None


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    message: _Said | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: str | None = None


class OllamaTranslator:
    """Lines of one answer in, parts out: pure and stateful, no network.

    Calls come whole. The line that is `done` has the counts; a failure is a line with `error`.
    """

    def __init__(self, ids: CallIds) -> None:
        self.finished = False
        self._ids = ids
        self._thinking: list[str] = []
        self._called = False
        self._reason: FinishReason = "end_turn"

    def feed(self, line: bytes) -> Iterator[Part]:
        """Return the parts that this line brings."""
        if not line.strip():
            return
        said = decode(line, _Line)
        if said.error is not None:
            raise Fault(said.error)
        if said.message is not None:
            yield from self._message(said.message)
        if said.done:
            self.finished = True
            self._reason = "max_tokens" if said.done_reason == "length" else "end_turn"
            yield UsageUpdate(Usage(said.prompt_eval_count or 0, said.eval_count or 0))

    def end(self) -> Iterator[Part]:
        """Return `Finished`; raise `Fault` if the answer is not complete."""
        if not self.finished:
            raise Fault("its stream ended before the answer did")
        yield from self._thought()
        calls = self._called and self._reason == "end_turn"
        yield Finished("tool_use" if calls else self._reason)

    def _message(self, message: _Said) -> Iterator[Part]:
        if message.thinking:
            self._thinking.append(message.thinking)
            yield ThinkingDelta(message.thinking)
        if message.content:
            yield from self._thought()
            yield TextDelta(message.content)
        for call in message.tool_calls or ():
            yield from self._thought()
            self._called = True
            arguments = call.function.arguments
            text = arguments if isinstance(arguments, str) else _json(arguments or {})
            yield tool_use(self._ids.unique(call.id), call.function.name, text)

    def _thought(self) -> Iterator[Part]:
        if self._thinking:
            yield ThinkingBlock("".join(self._thinking), provider=ID)
            self._thinking.clear()


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


class _Model(msgspec.Struct):
    name: str


class _ModelPage(msgspec.Struct):
    models: list[_Model]
