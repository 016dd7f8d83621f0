"""How histories are compacted, said over HTTP: of an agent, of the server, and on demand."""

import pytest

from server_kit import Server, serving
from wingman import Compaction
from wingman.runtime import Runtime


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Compaction(threshold=0.5)),
        (True, Compaction(threshold=0.5)),
        (False, None),
        ({}, Compaction()),
        ({"threshold": 0.3}, Compaction(threshold=0.3)),
    ],
)
async def test_an_agent_says_when_or_the_server_does(given: object, expected: object) -> None:
    async with serving(compaction=Compaction(threshold=0.5)) as server:
        agent_id = await server.agent(compaction=given)
        shown = (await server.client.get(f"/agents/{agent_id}")).json()
        assert shown.get("compaction") == (given if given != {} else {})
        assert chosen(server, agent_id) == expected
        changed = await server.client.put(f"/agents/{agent_id}", json={"compaction": False})
        assert changed.json()["compaction"] is False
        assert chosen(server, agent_id) is None


def chosen(server: Server, agent_id: str) -> object:
    runtime: Runtime = server.runtime
    return runtime.agents.choose(agent_id).agent.compaction


async def test_the_summary_may_be_another_models() -> None:
    async with serving() as server:
        named = {"provider": {"id": "scripted", "model": "keyless"}}
        agent_id = await server.agent(compaction=named)
        compaction = chosen(server, agent_id)
        assert isinstance(compaction, Compaction)
        assert compaction.provider is not None
        assert compaction.provider.id == "scripted"


@pytest.mark.parametrize(
    "given",
    [{"threshold": 0}, {"threshold": 1.1}, {"threshold": "x"}, {"at": 0.5}, "often", 0.5,
     {"provider": {"id": "nobody"}}],
)  # fmt: skip
async def test_what_is_no_compaction_is_refused_with_its_place(given: object) -> None:
    async with serving() as server:
        body = {"name": "x", "compaction": given}
        answer = await server.client.post("/agents", json=body)
        assert answer.status_code == 400 or answer.json()["error"]["code"] == "provider_not_found"


async def test_a_history_is_shown_whole_and_as_models_see_it() -> None:
    async with serving() as server:
        session_id = await server.session()
        for _ in range(3):
            await server.send(session_id)
        path = f"/sessions/{session_id}"
        answer = await server.client.post(f"{path}/compact", json={"instructions": "names"})
        assert answer.status_code == 200
        assert "detail" in answer.json()
        for view in ("history", "model"):
            shown = await server.client.get(path, params={"view": view})
            assert shown.status_code == 200
            assert shown.json()["history"]
        assert (await server.client.get(path, params={"view": "x"})).status_code == 400
        later = await server.client.post(f"{path}/compact", headers={"prefer": "respond-async"})
        assert later.status_code == 202
        assert later.json()["status"] in ("queued", "running", "completed")
