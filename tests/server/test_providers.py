"""/provider: what there is, how it is configured, and what is said when a model's API fails."""

import json
import logging
from pathlib import Path

import pytest

from server_kit import Server, error_of, serving
from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)

KEY = "sk-very-secret-0123456789"


async def test_providers_are_listed_and_read(server: Server) -> None:
    listed = (await server.client.get("/provider")).json()
    assert [entry["id"] for entry in listed] == [
        "anthropic",
        "gemini",
        "local",
        "ollama",
        "openai",
        "openai-compatible",
        "scripted",
        "stage",
    ]
    for entry in listed:
        assert (await server.client.get(f"/provider/{entry['id']}")).json() == entry
    by_id = {entry["id"]: entry for entry in listed}
    assert by_id["anthropic"]["configured"] is False
    assert by_id["anthropic"]["key_variable"] == "ANTHROPIC_API_KEY"
    assert by_id["scripted"]["configured"] is True


async def test_models_are_listed_and_read(server: Server) -> None:
    models = (await server.client.get("/provider/anthropic/models")).json()
    assert models
    for model in models:
        one = await server.client.get(f"/provider/anthropic/models/{model['id']}")
        assert one.json() == model
    unknown = await server.client.get("/provider/anthropic/models/org/none")
    status, code, message = error_of(unknown)
    assert (status, code) == (404, "model_not_found")
    assert "'org/none'" in message


async def test_an_unknown_provider_is_404(server: Server) -> None:
    for target in ("/provider/none", "/provider/none/models", "/provider/none/models/x"):
        assert error_of(await server.client.get(target))[:2] == (404, "provider_not_found")


async def test_a_key_goes_in_and_never_comes_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credential = {"type": "api_key", "key": KEY, "base_url": "http://127.0.0.1:9"}
    said: list[str] = []
    async with serving(tmp_path / "w.db") as server:

        async def configured() -> bool:
            answers = [await server.client.get(t) for t in ("/provider/auth", "/provider")]
            said.extend(answer.text for answer in answers)
            auth = answers[0].json()["providers"]
            assert set(auth) == {"anthropic", "gemini", "ollama", "openai", "openai-compatible"}
            assert auth["anthropic"]["type"] == "api_key"
            return bool(auth["anthropic"]["configured"])

        assert not await configured()
        body = {"providers": {"anthropic": credential}}
        put = await server.client.put("/provider/auth", json=body)
        assert put.status_code == 200
        assert put.json()["providers"]["anthropic"]["configured"] is True
        said.append(put.text)
        assert await configured()
        for wrong in (
            {"providers": {"anthropic": {**credential, "type": 1}}},
            {"providers": {"anthropic": {**credential, "extra": KEY}}},
            {"providers": {"anthropic": {**credential, "key": [KEY]}}},
            {"providers": {"nobody": credential}},
            {"providers": {"anthropic": {"type": "api_key"}}},
            {"providers": [KEY]},
            {"anthropic": credential},
        ):
            refused = await server.client.put("/provider/auth", json=wrong)
            assert error_of(refused)[:2] == (400, "invalid_request")
            said.append(refused.text)
        broken = json.dumps(body).encode()[:-3]
        headers = {"Content-Type": "application/json"}
        refused = await server.client.put("/provider/auth", content=broken, headers=headers)
        assert error_of(refused)[:2] == (400, "invalid_request")
        said.append(refused.text)
    async with serving(tmp_path / "w.db") as server:
        assert await configured()
        deleted = await server.client.delete("/provider/auth/anthropic")
        assert deleted.json() == {"status": "deleted"}
        assert not await configured()
        again = await server.client.delete("/provider/auth/anthropic")
        assert error_of(again)[:2] == (404, "credential_not_found")
    assert KEY not in "".join(said)
    assert "".join(said)
    assert KEY not in caplog.text


async def test_a_wrong_credential_is_named_by_its_path(server: Server) -> None:
    for body, path in (
        ({}, "providers"),
        ({"providers": {"openai": {"key": 1}}}, "`$.providers[...].key`"),
        ({"providers": {"nobody": {"key": "k"}}}, "`$.providers`"),
        ({"providers": {"openai": {}}}, "`$.providers.openai`"),
    ):
        status, _, message = error_of(await server.client.put("/provider/auth", json=body))
        assert status == 400
        assert path in message


@pytest.mark.parametrize(
    ("credential", "why"),
    [
        ({"key": ""}, "needs a key or a base_url"),
        ({"key": "  "}, "has no key"),
        ({"key": "…"}, "characters that no key has"),
        ({"key": "first\nsecond"}, "characters that no key has"),
        ({"key": "k", "base_url": "proxy:8080"}, "begins with http:// or https://"),
        ({"base_url": "http://127.0.0.1:9"}, "Give the key together with its base URL"),
    ],
)
async def test_a_credential_that_would_never_be_of_use_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, credential: dict[str, str], why: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    body = {"providers": {"anthropic": credential}}
    status, code, message = error_of(await server.client.put("/provider/auth", json=body))
    assert (status, code) == (400, "invalid_request")
    assert why in message
    assert "`$.providers.anthropic`" in message
    auth = (await server.client.get("/provider/auth")).json()["providers"]
    assert auth["anthropic"]["configured"] is False


async def test_a_key_in_the_environment_counts(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    answer = await server.client.get("/provider/auth")
    assert answer.json()["providers"]["anthropic"]["configured"] is True
    assert KEY not in answer.text


async def test_a_message_for_an_unconfigured_provider_says_how_to_configure_it(
    server: Server,
) -> None:
    session_id = await server.session(provider={"id": "anthropic", "model": "claude-sonnet-4-5"})
    for form in ("message", "message/stream"):
        answer = await server.client.post(f"/sessions/{session_id}/{form}", json={"message": "go"})
        status, code, message = error_of(answer)
        assert (status, code) == (400, "provider_not_configured")
        assert "ANTHROPIC_API_KEY" in message
        assert "/provider/auth" in message
    assert (await server.client.get("/runs")).json() == []


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (ProviderError, 502, "provider_error"),
        (ProviderRejected, 502, "provider_error"),
        (ProviderRateLimited, 502, "provider_error"),
        (ProviderStreamError, 502, "provider_error"),
        (ProviderAuthError, 502, "provider_auth"),
        (ProviderTimeout, 504, "provider_timeout"),
    ],
)
async def test_a_failure_of_the_models_api_is_told_with_its_own_type_and_request_id(
    server: Server, kind: type[ProviderError], status: int, code: str
) -> None:
    session_id = await server.session()
    failure = kind(
        "no", provider="stage", status=529, error_type="overloaded_error", request_id="req_1"
    )
    server.stage.play("Half ", failure)
    answer = await server.send(session_id)
    got_status, got_code, message = error_of(answer)
    assert (got_status, got_code) == (status, code)
    for part in ("stage", "overloaded_error", "req_1"):
        assert part in message
    run = (await server.client.get(answer.headers["Location"])).json()
    assert run["status"] == "failed"
    assert run["error"] == {"code": code, "message": message}
    # What had arrived is kept, and the session goes on.
    assert (await server.history(session_id))[1]["content"][0]["text"] == "Half "
    assert (await server.send(session_id)).status_code == 200
