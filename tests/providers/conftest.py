"""A raw HTTP server on 127.0.0.1, an open transport, and an environment without keys."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
import trio

from wingman.conversation import Message
from wingman.providers import Request, ToolSpec, Transport

Handler = Callable[[trio.SocketStream], Awaitable[None]]

FORECAST = ToolSpec(
    "forecast",
    "Weather forecast for a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC", "GEMINI", "OPENAI", "OPENAI_COMPATIBLE"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)
    for variable in ("GOOGLE_API_KEY", "OLLAMA_HOST"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as transport:
        yield transport


@pytest.fixture
def ask() -> Callable[..., Request]:
    """Make a request of a text or of messages."""

    def make(asked: str | list[Message] = "Rain?", **more: object) -> Request:
        messages = [Message.user(asked)] if isinstance(asked, str) else asked
        return Request(messages, **{"tools": [FORECAST], **more})

    return make


@pytest.fixture
def serve(nursery: trio.Nursery) -> Callable[[Handler], Awaitable[str]]:
    """Start a raw server; returns its URL."""

    async def start(handler: Handler) -> str:
        listen = partial(trio.serve_tcp, handler, 0, host="127.0.0.1")
        listeners = await nursery.start(listen)
        return f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    return start
