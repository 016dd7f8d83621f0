"""/agents: create, list, read, change, delete."""

from pathlib import Path

from server_kit import Gate, Server, error_of, serving
from wingman.api import NewAgent


async def test_an_agent_comes_back_as_it_was_made(server: Server) -> None:
    body = {
        "name": "CodeAssistant",
        "instructions": "You are helpful.",
        "tools": ["bash", "read"],
        "provider": {"id": "stage", "model": "m", "max_tokens": 4096, "temperature": 0.2},
        "output_schema": {"type": "object"},
        "max_steps": 50,
    }
    made = await server.client.post("/agents", json=body)
    agent = made.json()
    assert made.status_code == 201
    assert made.headers["Location"] == f"/agents/{agent['id']}"
    assert len(agent["id"]) == 26
    assert agent["created_at"] == agent["updated_at"]
    assert agent["created_at"].endswith("Z")
    assert {name: agent[name] for name in body} == body
    assert (await server.client.get(f"/agents/{agent['id']}")).json() == agent
    assert (await server.client.get("/agents")).json() == [agent]


async def test_agents_have_pages_newest_first(server: Server) -> None:
    made = [await server.agent(name=f"{number}") for number in range(5)]
    assert [agent["id"] for agent in (await server.client.get("/agents")).json()] == made[::-1]
    assert "Link" not in (await server.client.get("/agents")).headers
    found, target = [], "/agents?limit=2"
    while target:
        answer = await server.client.get(target)
        found.append([agent["id"] for agent in answer.json()])
        target = answer.links.get("next", {}).get("url", "")
        await server.client.delete(f"/agents/{found[-1][-1]}")  # after which the next one begins
        await server.agent(name="meanwhile")
    assert found == [[made[4], made[3]], [made[2], made[1]], [made[0]]]


async def test_an_old_client_gets_as_many_agents_as_it_did(server: Server) -> None:
    for number in range(1001):
        await server.runtime.agents.create(NewAgent(name=f"{number}"))
    answer = await server.client.get("/agents")
    assert len(answer.json()) == 1000
    rest = await server.client.get(answer.links["next"]["url"])
    assert [agent["name"] for agent in rest.json()] == ["0"]
    assert "Link" not in rest.headers


async def test_only_a_name_is_required(server: Server) -> None:
    agent = (await server.client.post("/agents", json={"name": "x"})).json()
    assert agent["instructions"] == ""
    assert agent["tools"] == []
    assert agent["provider"]["id"] == "scripted"
    assert agent["output_schema"] is None


async def test_put_changes_what_is_given_and_nothing_else(server: Server) -> None:
    agent_id = await server.agent(instructions="Old.", tools=["read"])
    before = (await server.client.get(f"/agents/{agent_id}")).json()
    # What was read can be sent back: what cannot be changed is ignored.
    body = {"id": "other", "created_at": "yesterday", "instructions": "New."}
    answer = await server.client.put(f"/agents/{agent_id}", json=body)
    after = answer.json()
    assert answer.status_code == 200
    assert after["instructions"] == "New."
    assert after["updated_at"] > before["updated_at"]
    same = {name: before[name] for name in before if name not in ("instructions", "updated_at")}
    assert {name: after[name] for name in same} == same
    whole = await server.client.put(f"/agents/{agent_id}", json=after)
    assert whole.status_code == 200


async def test_put_refuses_unknown_fields_and_wrong_values_and_changes_nothing(
    server: Server,
) -> None:
    agent_id = await server.agent()
    before = (await server.client.get(f"/agents/{agent_id}")).json()
    for body in ({"instruction": "x"}, {"name": 1}, {"tools": ["none"]}, {"name": ""}):
        answer = await server.client.put(f"/agents/{agent_id}", json=body)
        assert error_of(answer)[:2] == (400, "invalid_request")
    assert (await server.client.get(f"/agents/{agent_id}")).json() == before


async def test_a_deleted_agent_is_gone(server: Server) -> None:
    agent_id = await server.agent()
    answer = await server.client.delete(f"/agents/{agent_id}")
    assert (answer.status_code, answer.json()) == (200, {"status": "deleted"})
    for method in ("GET", "PUT", "DELETE"):
        body = {"name": "x"} if method == "PUT" else None
        gone = await server.client.request(method, f"/agents/{agent_id}", json=body)
        assert error_of(gone)[:2] == (404, "agent_not_found")
    assert (await server.client.get("/agents")).json() == []


async def test_a_queued_run_keeps_the_agent_as_it_was(server: Server) -> None:
    gate = Gate()
    agent_id = await server.agent(instructions="Old.")
    session_id = (await server.client.post("/sessions", json={"agent_id": agent_id})).json()["id"]
    server.stage.play(gate)
    await server.start(session_id)
    await gate.reached.wait()
    queued = await server.start(session_id)
    await server.client.put(f"/agents/{agent_id}", json={"instructions": "New."})
    gate.open()
    await server.ended(session_id, queued)
    await server.send(session_id)
    assert [r.system for r in server.stage.requests] == ["Old.", "Old.", "New."]


async def test_agents_are_there_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path / "w.db") as server:
        agent_id = await server.agent(instructions="Stay.")
        before = (await server.client.get("/agents")).json()
    async with serving(tmp_path / "w.db") as server:
        assert (await server.client.get("/agents")).json() == before
        assert (await server.client.get(f"/agents/{agent_id}")).json() == before[0]
