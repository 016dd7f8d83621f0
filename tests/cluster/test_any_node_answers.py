"""Any node answers for any session: what a client sees of many nodes over one database."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from cluster.conftest import Pair, a_pair, number_of, until
from postgres_kit import Cluster
from server_kit import Gate, Server, call, serving
from session_kit import wait
from wingman import tool
from wingman.api import NewAgent, ProviderConfig
from wingman.client import Client


async def session_of(pair: Pair, **agent: object) -> str:
    """A session that the first node owns."""
    return await pair.first.session(**agent)


# --- messages -------------------------------------------------------------------------------------


async def test_a_message_is_answered_by_whichever_node_it_is_sent_to(pair: Pair) -> None:
    session_id = await session_of(pair)
    for server in (pair.second, pair.first, pair.second):
        answer = await server.send(session_id)
        assert (answer.status_code, answer.json()["response"]) == (200, "Hello.")
        assert answer.headers["location"].startswith(f"/sessions/{session_id}/runs/")
    for server in (pair.first, pair.second):
        assert len(await server.history(session_id)) == 6
        runs = (await server.client.get(f"/sessions/{session_id}/runs")).json()
        assert [run["status"] for run in runs] == ["completed"] * 3


async def test_a_stream_comes_through_piece_by_piece(pair: Pair) -> None:
    session_id, gate = await session_of(pair), Gate()
    pair.first.stage.play("One", gate, " and two.")
    async with await pair.second.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        head = await wire.head()
        assert head.headers["content-type"] == "text/event-stream"
        with trio.fail_after(5):
            first = await wire.frame()
        assert first is not None
        assert first.data == {"text": "One"}
        gate.open()
        assert [frame.event for frame in await wire.frames()] == ["text", "done"]


@pytest.mark.parametrize("path", ["message", "message/stream"])
async def test_a_run_is_cancelled_where_the_client_of_another_node_leaves(
    pair: Pair, path: str
) -> None:
    session_id, gate = await session_of(pair), Gate()
    pair.first.stage.play("One", gate)
    body = {"message": "go", "on_disconnect": "cancel"}
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            await pair.second.client.post(f"/sessions/{session_id}/{path}", json=body)

        nursery.start_soon(send)
        with trio.fail_after(5):
            await gate.reached.wait()
        nursery.cancel_scope.cancel()
    runs = (await pair.first.client.get(f"/sessions/{session_id}/runs")).json()
    assert (await pair.first.ended(session_id, runs[0]["id"]))["status"] == "cancelled"


async def test_a_cancel_stops_what_runs_on_another_node(
    cluster: Cluster, clean_database: str
) -> None:
    async with a_pair(cluster, clean_database, tools=[wait]) as pair:
        session_id = await session_of(pair, tools=["wait"])
        pair.first.stage.play(call("wait", seconds=60))
        run_id = await pair.first.start(session_id)
        await until(lambda: is_status(pair, session_id, "running"))
        answer = await pair.second.client.post(f"/sessions/{session_id}/cancel")
        (cancelled,) = answer.json()["cancelled"]
        assert (cancelled["run_id"], cancelled["tools"][0]["outcome"]) == (run_id, "stopped")
        assert (await pair.second.send(session_id)).json()["response"] == "Hello."


async def owner_of(pair: Pair, session_id: str) -> int | None:
    assert pair.first.runtime.member is not None
    found = await pair.first.runtime.member.nodes.ownership(session_id)
    assert found is not None
    return found.owner


async def has_no_owner(pair: Pair, session_id: str) -> bool:
    return await owner_of(pair, session_id) is None


async def is_status(pair: Pair, session_id: str, status: str) -> bool:
    answer = await pair.second.client.get(f"/sessions/{session_id}")
    return bool(answer.json()["status"] == status)


async def test_the_same_request_id_is_the_same_run_on_all_nodes(pair: Pair) -> None:
    session_id = await session_of(pair)
    answers = [
        await server.send(session_id, request_id="once")
        for server in (pair.second, pair.first, pair.second)
    ]
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    conflict = await pair.second.send(session_id, "other", request_id="once")
    assert conflict.json()["error"]["code"] == "request_id_conflict"


async def test_a_request_id_is_known_that_was_taken_elsewhere_while_it_was_looked_for(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_pair(cluster, clean_database, idle_after=0.02) as pair:
        session_id = await session_of(pair)
        assert pair.second.runtime.member is not None
        store, answers = pair.second.runtime.member.store, list[httpx.Response]()
        look = store.run_by_request

        async def look_slowly(session_id: str, request_id: str) -> Any:
            found = await look(session_id, request_id)
            if not answers:
                answers.append(await pair.first.send(session_id, request_id="once"))
                await until(lambda: not pair.first.runtime.status().actors)
                await until(lambda: has_no_owner(pair, session_id))
            return found

        monkeypatch.setattr(store, "run_by_request", look_slowly)
        again = await pair.second.send(session_id, request_id="once")
        assert again.status_code == 200, again.text
        assert again.json()["run_id"] == answers[0].json()["run_id"]


async def test_a_person_answers_on_another_node(cluster: Cluster, clean_database: str) -> None:
    @tool
    async def say(text: str) -> str:
        """Say a text."""
        await trio.lowlevel.checkpoint()
        return text

    options = {"tools": [say], "permissions": {"say": "ask"}}
    async with a_pair(cluster, clean_database, **options) as pair:
        session_id = await session_of(pair, tools=["say"])
        pair.first.stage.play(call("say", text="aloud"))
        run_id = await pair.first.start(session_id)
        path = f"/sessions/{session_id}/permissions"
        await until(lambda: asks(pair, path))
        (request,) = (await pair.second.client.get("/permissions")).json()
        answer = await pair.second.client.post(f"{path}/{request['id']}", json={"decision": "once"})
        assert answer.json()["status"] == "allowed"
        run = await pair.second.ended(session_id, run_id)
        assert run["result"]["tool_calls"][0]["output"] == "aloud"


async def asks(pair: Pair, path: str) -> bool:
    return bool((await pair.second.client.get(path)).json())


async def test_a_run_is_found_waited_for_and_steered_by_its_id_on_another_node(
    pair: Pair,
) -> None:
    session_id, gate = await session_of(pair), Gate()
    pair.first.stage.play("One", gate)
    run_id = await pair.first.start(session_id)
    with trio.fail_after(5):
        await gate.reached.wait()
    async with trio.open_nursery() as nursery:
        ended: list[httpx.Response] = []

        async def wait_for_it() -> None:
            ended.append(await pair.second.client.get(f"/runs/{run_id}?wait=10"))

        nursery.start_soon(wait_for_it)
        steered = await pair.second.client.post(
            f"/sessions/{session_id}/runs/{run_id}/steer", json={"message": "and more"}
        )
        assert steered.status_code == 202
        gate.open()
    assert ended[0].json()["status"] == "completed"


# --- sessions -------------------------------------------------------------------------------------


async def test_a_session_is_changed_and_deleted_on_another_node(pair: Pair) -> None:
    session_id = await session_of(pair)
    answer = await pair.second.client.put(f"/sessions/{session_id}", json={"title": "Ours"})
    assert answer.json()["title"] == "Ours"
    assert (await pair.first.client.get(f"/sessions/{session_id}")).json()["title"] == "Ours"
    listed = (await pair.second.client.get("/sessions")).json()
    assert [session["id"] for session in listed] == [session_id]
    assert (await pair.second.client.delete(f"/sessions/{session_id}")).status_code == 200
    for server in (pair.first, pair.second):
        gone = await server.client.get(f"/sessions/{session_id}")
        assert gone.json()["error"]["code"] == "session_not_found"


async def test_a_session_that_is_not_there_is_not_found_on_any_node(pair: Pair) -> None:
    for server in (pair.first, pair.second):
        for path in ("/sessions/nowhere", "/sessions/nowhere/events", "/runs/nowhere"):
            assert (await server.client.get(path)).status_code == 404
        assert (await server.send("nowhere")).status_code == 404


async def test_events_are_followed_through_another_node(pair: Pair) -> None:
    session_id = await session_of(pair)
    async with await pair.second.wire() as wire:
        await wire.send("GET", f"/sessions/{session_id}/events")
        await wire.head()
        await pair.first.send(session_id)
        with trio.fail_after(5):
            frames = [await wire.frame(), await wire.frame()]
    assert [frame and frame.event for frame in frames] == ["text", "done"]


async def test_our_client_needs_to_know_of_one_node_alone(pair: Pair) -> None:
    async with Client(pair.first.url) as first, Client(pair.second.url) as second:
        agent = await first.agents.create(NewAgent(name="Actor", provider=ProviderConfig("stage")))
        session = await second.create_session(agent.id)
        there = await first.session(session.id)
        assert (await there.run("go")).response == "Hello."


async def test_a_list_shows_what_sessions_do_on_other_nodes(pair: Pair) -> None:
    busy, idle = await session_of(pair), await session_of(pair)
    gate = Gate()
    pair.first.stage.play("One", gate)
    await pair.first.start(busy)
    with trio.fail_after(5):
        await gate.reached.wait()
    for server in (pair.first, pair.second):
        listed = (await server.client.get("/sessions")).json()
        assert {each["id"]: each["status"] for each in listed} == {busy: "running", idle: "idle"}
    gate.open()


async def test_a_list_says_where_the_events_go_on_of_a_run_on_another_node(pair: Pair) -> None:
    session_id = await session_of(pair)
    await pair.first.send(session_id)
    gate = Gate()
    pair.first.stage.play("One", gate)
    await pair.first.start(session_id)
    with trio.fail_after(5):
        await gate.reached.wait()
    (listed,) = (await pair.second.client.get("/sessions")).json()
    read = (await pair.second.client.get(f"/sessions/{session_id}")).json()
    assert listed["last_event_id"] == read["last_event_id"]
    async with await pair.second.wire() as wire:
        await wire.send("GET", f"/sessions/{session_id}/events?after={listed['last_event_id']}")
        await wire.head()
        with trio.fail_after(5):
            frame = await wire.frame()
        assert frame is not None
        assert frame.event in ("done", "text")  # no `resync`
    gate.open()


# --- what all nodes keep a copy of ----------------------------------------------------------------


async def test_what_is_changed_on_one_node_is_so_on_the_others_at_once(pair: Pair) -> None:
    agent_id = await pair.first.agent(name="One")
    got = await pair.second.client.get(f"/agents/{agent_id}")
    assert got.json()["name"] == "One"
    await pair.second.client.put(f"/agents/{agent_id}", json={"name": "Two"})
    assert (await pair.first.client.get(f"/agents/{agent_id}")).json()["name"] == "Two"
    session = await pair.second.client.post("/sessions", json={"agent_id": agent_id})
    assert session.status_code == 201
    another = await pair.first.agent(name="Three")
    answer = await pair.second.send(session.json()["id"], agent_id=another)
    assert answer.status_code == 200
    await pair.first.client.delete(f"/agents/{agent_id}")
    assert (await pair.second.client.get(f"/agents/{agent_id}")).status_code == 404


async def test_changes_of_an_agent_that_come_to_several_nodes_at_once_are_all_made(
    pair: Pair,
) -> None:
    agent_id = await pair.first.agent(name="One")
    await pair.second.client.get(f"/agents/{agent_id}")
    changes = [
        (pair.first, {"name": "Two"}),
        (pair.second, {"instructions": "Be brief."}),
        (pair.first, {"max_steps": 3}),
        (pair.second, {"tools": ["bash"]}),
    ]
    async with trio.open_nursery() as nursery:

        async def change(server: Server, fields: dict[str, object]) -> None:
            answer = await server.client.put(f"/agents/{agent_id}", json=fields)
            assert answer.status_code == 200

        for server, fields in changes:
            nursery.start_soon(change, server, fields)
    for server in (pair.first, pair.second):
        agent = (await server.client.get(f"/agents/{agent_id}")).json()
        for _, fields in changes:
            assert fields.items() <= agent.items()


async def test_credentials_and_mcp_servers_are_the_same_on_all_nodes(pair: Pair) -> None:
    key = {"providers": {"openai": {"type": "api_key", "key": "sk-secret"}}}
    await pair.first.client.put("/provider/auth", json=key)
    assert (await pair.second.client.get("/provider/auth")).json() == (
        await pair.first.client.get("/provider/auth")
    ).json()
    server = {"command": ["false"]}
    assert (await pair.second.client.put("/mcp/tools", json=server)).status_code == 200
    names = [each["name"] for each in (await pair.first.client.get("/mcp")).json()]
    assert names == ["tools"]
    await pair.first.client.delete("/mcp/tools")
    assert (await pair.second.client.get("/mcp")).json() == []


# --- MCP clients ----------------------------------------------------------------------------------


# --- between nodes --------------------------------------------------------------------------------


async def test_what_a_node_has_sent_is_never_sent_on(pair: Pair) -> None:
    session_id = await session_of(pair)
    member = pair.second.runtime.member
    assert member is not None
    path = f"/sessions/{session_id}"
    # No answer of the contract: nodes speak among themselves.
    async with httpx.AsyncClient() as client:
        for server, secret in (
            (pair.second, member.nodes.secret),
            (pair.second, "another"),
            (pair.first, "another"),
        ):
            answer = await client.get(server.url + path, headers={"Wingman-Node": secret})
            found = answer.status_code, answer.json()["error"]["code"]
            assert found == (421, "session_elsewhere")


async def test_a_token_is_asked_for_once_and_a_secret_opens_what_it_opens(
    cluster: Cluster, clean_database: str
) -> None:
    async with a_pair(cluster, clean_database, token="secret") as pair:
        for server in (pair.first, pair.second):
            server.client.headers["Authorization"] = "Bearer secret"
        session_id = await session_of(pair)
        assert (await pair.second.send(session_id)).status_code == 200
        del pair.second.client.headers["Authorization"]
        assert (await pair.second.send(session_id)).status_code == 401


async def announce(pair: Pair, url: str) -> None:
    """Have the first node say that it is reached there, and the second one know it."""
    number = number_of(pair.first)
    assert pair.first.runtime.member is not None
    await pair.first.runtime.member.announce(url)

    def is_known() -> bool:
        assert pair.second.runtime.member is not None
        seen = pair.second.runtime.member.lives.seen(number)
        return seen is not None and seen.terms.url == url

    await until(is_known)


async def test_a_node_that_cannot_be_reached_is_told_as_such(pair: Pair) -> None:
    session_id = await session_of(pair)
    await announce(pair, "http://127.0.0.1:1")
    answer = await pair.second.send(session_id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "session_elsewhere")
    assert "is not reached" in answer.json()["error"]["message"]
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_node_that_is_not_at_the_address_it_gives_is_told_as_such(pair: Pair) -> None:
    session_id = await session_of(pair)
    await announce(pair, pair.second.url)
    answer = await pair.second.send(session_id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "session_elsewhere")
    assert "its --node-url is wrong" in answer.json()["error"]["message"]


async def test_the_head_and_the_query_of_a_request_come_through(pair: Pair) -> None:
    session_id = await session_of(pair)
    await pair.first.send(session_id)
    path = f"/sessions/{session_id}?view=model"
    headers = {"X-Request-ID": "mine"}
    answers = [
        await server.client.get(path, headers=headers) for server in (pair.first, pair.second)
    ]
    assert answers[0].content == answers[1].content
    assert [answer.headers["x-request-id"] for answer in answers] == ["mine", "mine"]
    wrong = await pair.second.client.post(
        f"/sessions/{session_id}/message", content=b"{", headers={"content-type": "text/plain"}
    )
    assert wrong.status_code == 415
    large = json.dumps({"message": "x" * 3_000_000}).encode()
    answer = await pair.second.client.post(
        f"/sessions/{session_id}/message",
        content=large,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "messages/.."),
        ("POST", "runs/./cancel"),
        ("POST", "runs/../cancel"),
        ("POST", "runs/a%2e%zz%C3%A4%3F;b/cancel?"),
    ],
)
async def test_a_path_comes_through_as_it_was_sent(pair: Pair, method: str, path: str) -> None:
    session_id = await session_of(pair)
    target = f"/sessions/{session_id}/{path}".encode()
    answers = []
    async with httpx.AsyncClient() as client:
        for server in (pair.first, pair.second):
            answer = await client.request(method, server.url, extensions={"target": target})
            answers.append((answer.status_code, answer.json()["error"]["message"]))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert (await pair.first.client.get(f"/sessions/{session_id}")).status_code == 200


# --- labels ---------------------------------------------------------------------------------------


async def test_a_session_with_a_label_is_owned_by_nodes_that_have_it(
    cluster: Cluster, clean_database: str, pair: Pair, tmp_path: Path
) -> None:
    body = {"label": "gpu", "work_dir": str(tmp_path)}
    none = await pair.first.client.post("/sessions", json=body)
    assert (none.status_code, none.json()["error"]["code"]) == (503, "no_node")
    assert "--label gpu" in none.json()["error"]["message"]
    url = cluster.url(clean_database)
    async with serving(url, stage=pair.first.stage, labels=["gpu", "big"]) as third:
        made = (await pair.first.client.post("/sessions", json=body)).json()
        assert made["label"] == "gpu"
        assert third.runtime.status().actors
        agent_id = await pair.first.agent()
        answer = await pair.second.send(made["id"], agent_id=agent_id)
        assert answer.status_code == 200
        number = number_of(third)
    owner = f"SELECT node FROM sessions WHERE id = '{made['id']}'"
    assert cluster.run(owner, clean_database) != [(number,)]
    left = await pair.second.send(made["id"], agent_id=agent_id)
    assert left.json()["error"]["code"] == "no_node"
    assert (await pair.second.client.get(f"/sessions/{made['id']}")).status_code == 200
    assert (await pair.second.client.delete(f"/sessions/{made['id']}")).status_code == 200
