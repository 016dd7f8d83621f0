"""Providers by name, and their models."""

import json
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import httpx
import pytest

from wingman.errors import InvalidRequest, NotFound, ProviderAuthError, ProviderNotConfigured
from wingman.providers import (
    Anthropic,
    Keyless,
    ModelInfo,
    Ollama,
    OpenAI,
    Provider,
    ProviderEntry,
    ProviderRegistry,
    Scripted,
    Transport,
)
from wingman.providers.catalogue import CATALOGUE, complete


def test_the_built_in_ones_are_made_by_name_with_their_options():
    registry = ProviderRegistry()
    assert registry.names() == [
        "anthropic",
        "gemini",
        "local",
        "ollama",
        "openai",
        "openai-compatible",
        "scripted",
    ]
    made = registry.create(
        "anthropic", "claude-x", api_key="k", base_url="http://x", max_tokens=9, temperature=0.5
    )
    assert made == Anthropic(
        "claude-x", api_key="k", base_url="http://x", max_tokens=9, temperature=0.5
    )
    assert registry.create("openai") == OpenAI("gpt-4.1")
    assert registry.create("ollama", "qwen3") == Ollama("qwen3")
    assert registry.create("scripted") == Keyless()
    for name in registry.names():
        assert isinstance(registry.create(name, "m"), Provider)
        assert registry.create(name, "m").id == name


def test_an_unknown_name_is_an_invalid_request_that_names_the_known_ones():
    with pytest.raises(InvalidRequest, match=r"'nonesuch'.*anthropic, gemini, local, ollama, "):
        ProviderRegistry().create("nonesuch")
    with pytest.raises(NotFound) as caught:
        ProviderRegistry().entry("nonesuch")
    assert caught.value.code == "provider_not_found"


def test_a_provider_without_a_default_wants_its_model_named():
    with pytest.raises(ProviderNotConfigured, match="no default model"):
        ProviderRegistry().create("ollama")


def test_configured_is_with_a_credential_or_by_the_environment(monkeypatch):
    registry = ProviderRegistry()
    configured = {name: registry.entry(name).configured() for name in registry.names()}
    assert configured == {
        "anthropic": False,
        "gemini": False,
        "local": True,
        "ollama": True,
        "openai": False,
        "openai-compatible": False,
        "scripted": True,
    }
    assert registry.entry("openai-compatible").configured(base_url="http://127.0.0.1:8000/v1")
    assert registry.entry("anthropic").configured("key")
    assert registry.entry("openai").configured(base_url="http://127.0.0.1:8000/v1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    assert registry.entry("anthropic").configured()
    assert registry.entry("anthropic").key_variable == "ANTHROPIC_API_KEY"
    assert registry.entry("ollama").url_variable == "OLLAMA_HOST"
    assert registry.entry("scripted").key_variable is None


def test_a_program_may_register_its_own():
    registry = ProviderRegistry()
    provider = Scripted(["x"])
    registry.register("mine", lambda model, **options: provider, default_model="m")
    assert registry.create("mine") is provider
    assert "mine" in registry.names()
    assert "mine" not in ProviderRegistry().names()


def make_keyless(model: str, **options: object) -> Provider:
    return Keyless(model)


KEYLESS_ENTRY = ProviderEntry("entry", make_keyless, "known")


def test_entry_points_are_listed_unloaded_and_loaded_when_asked_for(monkeypatch):
    here = "a_package_with_providers"
    package = ModuleType(here)
    package.make_keyless = make_keyless
    package.KEYLESS_ENTRY = KEYLESS_ENTRY
    monkeypatch.setitem(sys.modules, here, package)
    points = [
        EntryPoint("plain", f"{here}:make_keyless", "wingman.providers"),
        EntryPoint("entry", f"{here}:KEYLESS_ENTRY", "wingman.providers"),
        EntryPoint("broken", "no.such.module:thing", "wingman.providers"),
    ]
    monkeypatch.setattr("wingman.providers.registry.entry_points", lambda group: points)
    registry = ProviderRegistry()
    assert {"plain", "entry", "broken"} < set(registry.names())
    assert registry.create("plain", "m") == Keyless("m")
    assert registry.create("entry") == Keyless("known")
    with pytest.raises(ProviderNotConfigured, match="does not load"):
        registry.create("broken", "m")


# --- models ---------------------------------------------------------------------------------------

LISTS = {
    "anthropic": (
        "/v1/models",
        {"data": [{"id": "claude-sonnet-4-5-20250929", "display_name": "Claude Sonnet 4.5"}]},
        ModelInfo("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", 200_000, 64_000),
    ),
    "openai": (
        "/v1/models",
        {"object": "list", "data": [{"id": "gpt-4.1", "owned_by": "system"}]},
        ModelInfo("gpt-4.1", "gpt-4.1", 1_047_576, 32_768),
    ),
    "ollama": (
        "/api/tags",
        {"models": [{"name": "qwen3:8b", "size": 5}]},
        ModelInfo("qwen3:8b", "qwen3:8b"),
    ),
}


def network(answer: httpx.Response, asked: list[httpx.Request]) -> Transport:
    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer

    return Transport(over=httpx.MockTransport(respond))


@pytest.mark.parametrize("name", LISTS)
async def test_a_server_is_asked_for_its_models_and_the_catalogue_adds_their_windows(name):
    path, answer, expected = LISTS[name]
    asked: list[httpx.Request] = []
    registry = ProviderRegistry()
    async with network(httpx.Response(200, content=json.dumps(answer)), asked) as transport:
        assert await registry.models(name, transport, api_key="k") == [expected]
        found = await registry.model(name, expected.id, transport, api_key="k")
        assert found == expected
        with pytest.raises(NotFound, match="no model 'nonesuch'"):
            await registry.model(name, "nonesuch", transport, api_key="k")
    assert asked[0].method == "GET"
    assert asked[0].url.path == path
    key = asked[0].headers.get("x-api-key") or asked[0].headers["authorization"]
    assert key == ("k" if name == "anthropic" else "Bearer k")


async def test_a_provider_that_is_not_configured_is_not_asked():
    asked: list[httpx.Request] = []
    async with network(httpx.Response(200), asked) as transport:
        models = await ProviderRegistry().models("anthropic", transport)
        keyless = await ProviderRegistry().models("scripted", transport)
    assert models == CATALOGUE["anthropic"]
    assert [model.id for model in keyless] == ["keyless"]
    assert asked == []


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), httpx.Response(200, content=b'{"data": 3}')]
)
async def test_a_server_that_does_not_list_its_models_leaves_the_catalogue(answer):
    async with network(answer, []) as transport:
        models = await ProviderRegistry().models("openai", transport, api_key="k")
    assert models == CATALOGUE["openai"]


async def test_a_key_that_is_refused_is_said_so():
    async with network(httpx.Response(401), []) as transport:
        with pytest.raises(ProviderAuthError):
            await ProviderRegistry().models("openai", transport, api_key="k")


def test_only_a_date_makes_another_name_the_same_model():
    known = (ModelInfo("gpt-4.1", "GPT-4.1", 1000),)
    assert complete(ModelInfo("gpt-4.1-2025-04-14", "x"), known).context_window == 1000
    assert complete(ModelInfo("gpt-4.1-mini", "x"), known).context_window is None
    assert complete(ModelInfo("gpt-4.1", "x", 5), known).context_window == 5
