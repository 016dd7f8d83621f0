"""PUT /provider/auth: a key never goes to another place than it was given for."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from server_kit import Server, error_of, serving
from wingman import Runtime
from wingman.api import Credential, CredentialFields
from wingman.errors import InvalidRequest
from wingman.store import CredentialSaved, MemoryStore

HOME = "https://api.anthropic.com"
PROXY = "http://127.0.0.1:9/proxy"
OTHER = "http://127.0.0.1:9/other"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


async def put(server: Server, **credential: Any) -> Any:
    """Change the credential of anthropic; the answer's entry for it, or the error."""
    body = {"providers": {"anthropic": credential}}
    answer = await server.client.put("/provider/auth", json=body)
    if answer.status_code != 200:
        return error_of(answer)
    assert answer.json() == (await server.client.get("/provider/auth")).json()
    return answer.json()["providers"]["anthropic"]


def stored(server: Server) -> Credential:
    return server.runtime.credentials.get("anthropic")


def shown(base_url: str) -> dict[str, Any]:
    return {"type": "api_key", "configured": True, "base_url": base_url}


async def test_a_new_key_goes_where_the_old_one_went(tmp_path: Path) -> None:
    async with serving(tmp_path / "w.db") as server:
        assert await put(server, key="k1", base_url=PROXY) == shown(PROXY)
        assert await put(server, key="k2") == shown(PROXY)
        assert stored(server) == Credential(key="k2", base_url=PROXY)
    async with serving(tmp_path / "w.db") as server:
        assert stored(server) == Credential(key="k2", base_url=PROXY)
        assert await put(server, type="api_key", key="k3") == shown(PROXY)


@pytest.mark.parametrize(
    ("credential", "place"),
    [
        ({"key": "k2", "base_url": OTHER}, OTHER),
        ({"key": "k2", "base_url": None}, HOME),
        ({"key": "k2", "base_url": HOME}, HOME),
    ],
)
async def test_a_new_key_goes_where_it_is_said_to(
    server: Server, credential: dict[str, Any], place: str
) -> None:
    await put(server, key="k1", base_url=PROXY)
    assert await put(server, **credential) == shown(place)
    assert stored(server).key == "k2"


@pytest.mark.parametrize("base_url", [OTHER, None, HOME, f"{PROXY}/v1", PROXY.replace("9", "90")])
async def test_a_stored_key_is_not_moved_by_a_base_url_alone(
    server: Server, base_url: str | None
) -> None:
    await put(server, key="k1", base_url=PROXY)
    status, code, message = await put(server, base_url=base_url)
    assert (status, code) == (400, "invalid_request")
    assert PROXY in message
    assert "together with its base_url" in message
    assert "k1" not in message
    assert stored(server) == Credential(key="k1", base_url=PROXY)


async def test_a_stored_key_without_a_place_is_not_moved_either(server: Server) -> None:
    await put(server, key="k1")
    assert (await put(server, base_url=PROXY))[0] == 400
    assert stored(server) == Credential(key="k1")


async def test_the_same_place_in_other_words_moves_nothing(server: Server) -> None:
    await put(server, key="k1", base_url=PROXY)
    assert await put(server, base_url=f" {PROXY}/ ") == shown(PROXY)
    assert stored(server).key == "k1"


async def test_a_key_that_is_null_is_dropped_and_the_place_may_change(server: Server) -> None:
    body = {"providers": {"openai-compatible": {"key": "k1", "base_url": PROXY}}}
    await server.client.put("/provider/auth", json=body)
    body = {"providers": {"openai-compatible": {"key": None, "base_url": OTHER}}}
    answer = await server.client.put("/provider/auth", json=body)
    assert answer.json()["providers"]["openai-compatible"]["base_url"] == OTHER
    assert server.runtime.credentials.get("openai-compatible") == Credential(base_url=OTHER)


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"type": "api_key"},
        {"key": ""},
        {"key": "k2", "base_url": ""},
        {"base_url": ""},
        {"key": None, "base_url": None},
    ],
)
async def test_what_says_nothing_changes_nothing(
    server: Server, credential: dict[str, Any]
) -> None:
    await put(server, key="k1", base_url=PROXY)
    assert (await put(server, **credential))[0] == 400
    assert stored(server) == Credential(key="k1", base_url=PROXY)


async def test_one_that_is_refused_leaves_the_others_of_its_request_as_they_were(
    server: Server,
) -> None:
    await put(server, key="k1", base_url=PROXY)
    body = {"providers": {"openai": {"key": "k"}, "anthropic": {"base_url": OTHER}}}
    assert (await server.client.put("/provider/auth", json=body)).status_code == 400
    assert server.runtime.credentials.get("openai") == Credential()


async def test_after_a_delete_a_key_goes_to_the_providers_own_place(server: Server) -> None:
    await put(server, key="k1", base_url=PROXY)
    await server.client.delete("/provider/auth/anthropic")
    assert await put(server, key="k2") == shown(HOME)


async def test_the_environments_place_is_shown_and_what_is_stored_goes_before_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k0")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", OTHER)
    auth = (await server.client.get("/provider/auth")).json()["providers"]
    assert auth["anthropic"] == shown(OTHER)
    assert await put(server, key="k1") == shown(OTHER)
    assert (await put(server, base_url=PROXY))[0] == 400
    assert await put(server, key="k1", base_url=PROXY) == shown(PROXY)
    assert (await put(server, base_url=None))[0] == 400


async def test_the_environments_key_is_not_led_elsewhere_by_a_base_url(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k0")
    status, _, message = await put(server, base_url=PROXY)
    assert status == 400
    assert f"only ever sent to {HOME}" in message


async def test_a_provider_without_a_place_shows_none(server: Server) -> None:
    auth = (await server.client.get("/provider/auth")).json()["providers"]
    assert auth["openai-compatible"] == {
        "type": "api_key",
        "configured": False,
        "base_url": None,
    }


@pytest.mark.parametrize("secret", ["user:hunter2@127.0.0.1:9/v1", "127.0.0.1:9/v1?key=hunter3"])
async def test_a_base_url_with_a_secret_in_it_is_refused_and_not_repeated(
    server: Server, secret: str
) -> None:
    status, _, message = await put(server, key="k1", base_url=f"http://{secret}")
    assert status == 400
    assert "hunter" not in message


async def test_a_password_in_a_base_url_of_the_environment_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://user:hunter2@127.0.0.1:9/v1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k1")
    async with serving() as server:
        answer = await server.client.get("/provider/auth")
    assert "hunter" not in answer.text
    assert answer.json()["providers"]["anthropic"]["base_url"] == "http://127.0.0.1:9/v1"


async def test_a_place_that_was_stored_and_is_none_is_shown_as_none(tmp_path: Path) -> None:
    async with serving(tmp_path / "w.db") as server:
        await put(server, key="k1", base_url=PROXY)
    with closing(sqlite3.connect(tmp_path / "w.db")) as connection, connection:
        connection.execute("UPDATE credentials SET credential = replace(credential, 'http:', '')")
    async with serving(tmp_path / "w.db") as server:
        auth = (await server.client.get("/provider/auth")).json()["providers"]["anthropic"]
        assert auth == {"type": "api_key", "configured": False, "base_url": None}
        assert await put(server, key="k2", base_url=PROXY) == shown(PROXY)


async def test_a_program_rotates_a_key_in_the_same_way() -> None:
    async with Runtime() as runtime:
        await runtime.credentials.put({"anthropic": Credential(key="k1", base_url=PROXY)})
        await runtime.credentials.put({"anthropic": Credential(key="k2")})
        assert runtime.credentials.get("anthropic") == Credential(key="k2", base_url=PROXY)
        with pytest.raises(InvalidRequest, match="together with its base_url"):
            await runtime.credentials.put({"anthropic": Credential(base_url=OTHER)})
        fields = CredentialFields(key="k3", base_url=None)
        await runtime.credentials.put({"anthropic": fields})
        assert runtime.credentials.place("anthropic") == HOME
        assert "k3" not in repr(fields)


async def test_a_change_is_in_memory_once_it_is_stored_whoever_has_left() -> None:
    class Slow(MemoryStore):
        def write(self, *changes: Any, **options: Any) -> Any:
            if any(isinstance(change, CredentialSaved) for change in changes):
                scope.cancel()
            return super().write(*changes, **options)

    scope = trio.CancelScope()
    async with Runtime(Slow()) as runtime:
        with scope:
            await runtime.credentials.put({"anthropic": Credential(key="k1", base_url=PROXY)})
        assert runtime.credentials.get("anthropic").key == "k1"
        await runtime.credentials.put({"anthropic": Credential(key="k2")})
        assert runtime.credentials.place("anthropic") == PROXY
