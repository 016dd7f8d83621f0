"""Chat completions anywhere: where that is, with which key, and which models it has."""

import json

import httpx
import pytest

from provider_wires import openai_text
from wingman.errors import ProviderNotConfigured
from wingman.providers import Finished, ModelInfo, OpenAICompatible, ProviderRegistry, Transport

PLACE = "http://gpu:8000/v1"


@pytest.fixture
def network():
    """A transport over a server that answers to all, and what it was asked."""
    asked: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.method == "GET":
            models = [{"id": "qwen3", "max_model_len": 32768}, {"id": "gemma"}]
            return httpx.Response(200, json={"data": models})
        return httpx.Response(200, content=openai_text())

    return Transport(over=httpx.MockTransport(respond)), asked


async def test_a_server_needs_a_place_and_no_key(network, ask):
    over, asked = network
    async with over as transport:
        provider = OpenAICompatible("qwen3", base_url=PLACE + "/", max_tokens=9)
        parts = [part async for part in provider.stream(ask("Rain?"), transport)]
        models = await provider.models(transport)
    assert parts[-1] == Finished("end_turn")
    assert str(asked[0].url) == f"{PLACE}/chat/completions"
    assert "authorization" not in asked[0].headers
    assert json.loads(asked[0].content)["max_tokens"] == 9
    assert models == [ModelInfo("qwen3", "qwen3", 32768), ModelInfo("gemma", "gemma")]


async def test_place_and_key_come_from_the_environment_and_stay_together(network, ask, monkeypatch):
    over, asked = network
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_COMPATIBLE_BASE_URL", PLACE)
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "sk-secret")
    async with over as transport:
        for options in ({}, {"base_url": "http://elsewhere/v1"}):
            provider = OpenAICompatible("qwen3", **options)
            _ = [part async for part in provider.stream(ask("Rain?"), transport)]
    assert asked[0].headers["authorization"] == "Bearer sk-secret"
    assert "authorization" not in asked[1].headers


def test_without_a_place_the_error_says_how_to_give_one(ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    with pytest.raises(ProviderNotConfigured, match="OPENAI_COMPATIBLE_BASE_URL=…"):
        OpenAICompatible("qwen3").stream(ask(), Transport())


def test_it_is_made_by_name():
    registry = ProviderRegistry()
    made = registry.create("openai-compatible", "qwen3", api_key="k", base_url=PLACE)
    assert made == OpenAICompatible("qwen3", api_key="k", base_url=PLACE)
    with pytest.raises(ProviderNotConfigured, match="no default model"):
        registry.create("openai-compatible")
