"""An agent that names no provider gets the first real one that is configured."""

import pytest

from wingman import Runtime
from wingman.api import AgentFields


@pytest.mark.parametrize(
    ("keys", "provider"),
    [
        ((), "scripted"),
        (("GOOGLE_API_KEY",), "gemini"),
        (("GEMINI_API_KEY", "OPENAI_API_KEY"), "openai"),
        (("OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "anthropic"),
    ],
)
async def test_the_default_provider_is_the_first_that_is_configured_else_the_keyless(
    keys: tuple[str, ...], provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC", "OPENAI", "GEMINI", "GOOGLE"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)
    for name in keys:
        monkeypatch.setenv(name, "sk-secret")
    async with Runtime() as runtime:
        record = await runtime.agents.create(AgentFields(name="any"))
        assert record.provider.id == provider
        assert record.provider.model == runtime.providers.entry(provider).default_model
