"""A served runtime for each test."""

from collections.abc import AsyncIterator

import pytest

from server_kit import Server, serving


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment of the tests' machine has is no part of the tests."""
    for name in ("ANTHROPIC", "GEMINI", "GOOGLE", "OPENAI", "OPENAI_COMPATIBLE"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)
    monkeypatch.delenv("OLLAMA_HOST", raising=False)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as served:
        yield served
