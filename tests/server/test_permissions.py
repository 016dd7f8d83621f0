"""Permissions over HTTP: what is asked, and how it is answered."""

import shlex
import shutil
import sys
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from server_kit import Server, call, error_of, serving
from wingman import tool

ASKS = {"note": "ask"}


class Notes:
    """A tool that writes down what it was called with."""

    def __init__(self) -> None:
        self.written: list[str] = []

        @tool(resources=("text",))
        async def note(text: str, times: int = 1) -> str:
            """Write a note.

            Args:
                text: What to write.
                times: How often.
            """
            await trio.lowlevel.checkpoint()
            self.written.append(text)
            return f"wrote {text}"

        self.tool = note


async def waiting(server: Server, where: str, count: int = 1) -> list[dict[str, Any]]:
    """What a session asks, or what else is listed, oldest first, once it is so much."""
    target = where if where.startswith("/") else f"/sessions/{where}/permissions"
    with trio.fail_after(10):
        while True:
            answer = await server.client.get(target)
            found: list[dict[str, Any]] = answer.json()
            if len(found) == count:
                return sorted(found, key=lambda request: str(request["id"]))
            await trio.sleep(0.01)


async def answer(server: Server, request: dict[str, Any], **body: Any) -> Any:
    target = f"/sessions/{request['session_id']}/permissions/{request['id']}"
    return await server.client.post(target, json=body)


def refused(response: httpx.Response, status: int) -> tuple[str, str]:
    """The code and the text of an error of this status."""
    found, code, message = error_of(response)
    assert found == status, response.text
    return code, message


def outputs(result: dict[str, Any]) -> list[str]:
    return [str(each["output"]) for each in result["tool_calls"]]


async def test_of_three_calls_one_runs_one_waits_and_one_is_denied() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        rules = {"note": {"*": "allow", "ask*": "ask", "deny*": "deny"}}
        session_id = await server.session(tools=["note"], permissions=rules)
        texts = ("allowed", "ask me", "deny this")
        server.stage.play(*(call("note", f"c{n}", text=text) for n, text in enumerate(texts)))
        run_id = await server.start(session_id)
        [request] = await waiting(server, session_id)
        assert request == {
            "id": request["id"],
            "session_id": session_id,
            "run_id": run_id,
            "tool_use_id": "c1",
            "tool": "note",
            "action": "note",
            "resources": ["ask me"],
            "always": ["ask me"],
            "status": "pending",
            "created_at": request["created_at"],
            "input": {"text": "ask me"},
        }
        target = f"/sessions/{session_id}/permissions/{request['id']}"
        assert (await server.client.get(target)).json() == request
        assert (await server.client.get("/permissions")).json() == [request]
        [run] = await waiting(server, "/runs?status=waiting")
        assert notes.written == ["allowed"]
        assert run["id"] == run_id
        assert (await server.client.get(f"/sessions/{session_id}")).json()["status"] == "waiting"
        assert (await server.client.get("/health")).status_code == 200
        assert (await server.client.get("/actors")).status_code == 200
        metrics = (await server.client.get("/metrics")).text
        assert "wingman_runs_asking 1.0" in metrics
        assert "wingman_runs_in_flight 0.0" in metrics
        resolved = (await answer(server, request, decision="once")).json()
        assert (resolved["status"], resolved["decision"]) == ("allowed", "once")
        run = await server.ended(session_id, run_id)
        allowed, asked, denied = outputs(run["result"])
        assert (allowed, asked) == ("wrote allowed", "wrote ask me")
        assert "Not allowed: the permissions deny note: 'deny this'" in denied
        assert notes.written == ["allowed", "ask me"]
        assert (await server.client.get("/permissions")).json() == []
        [known] = (await server.client.get("/permissions?status=all")).json()
        assert known == resolved
        assert "wingman_runs_asking 0.0" in (await server.client.get("/metrics")).text


async def test_always_settles_the_like_and_counts_for_the_session_alone() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["note"], permissions=ASKS)
        server.stage.play(*(call("note", f"c{n}", text=t) for n, t in enumerate("aab")))
        run_id = await server.start(session_id)
        first, _, other = await waiting(server, session_id, 3)
        await answer(server, first, decision="always")
        [left] = await waiting(server, session_id)
        assert left == other
        await answer(server, other, decision="once")
        await server.ended(session_id, run_id)
        server.stage.play(call("note", "d0", text="a"), call("note", "d1", text="b"))
        run_id = await server.start(session_id)
        [left] = await waiting(server, session_id)
        assert left["resources"] == ["b"]
        await answer(server, left, decision="reject", message="Not twice.")
        run = await server.ended(session_id, run_id)
        assert "Not twice." in outputs(run["result"])[1]
        assert notes.written == ["a", "a", "b", "a"]


async def test_an_edited_input_is_checked_as_the_calls_own_was() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        rules = {"note": {"*": "ask", "secret*": "deny"}}
        session_id = await server.session(tools=["note"], permissions=rules)
        server.stage.play(call("note", text="a"))
        run_id = await server.start(session_id)
        [request] = await waiting(server, session_id)
        for input, said in (
            ({"text": "b", "times": "often"}, "times"),
            ({}, "text"),
            ({"text": "secret plan"}, "deny note"),
        ):
            response = await answer(server, request, decision="once", input=input)
            code, message = refused(response, 400)
            assert code == "invalid_request"
            assert said in message
            assert "`$.input`" in message
        response = await answer(server, request, decision="reject", input={"text": "b"})
        assert "`$.input`" in refused(response, 400)[1]
        assert await waiting(server, session_id) == [request]
        edited = (await answer(server, request, decision="once", input={"text": "b"})).json()
        assert edited["input"] == {"text": "b"}
        await server.ended(session_id, run_id)
        assert notes.written == ["b"]


async def test_of_many_answers_at_once_one_counts() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["note"], permissions=ASKS)
        server.stage.play(call("note", text="a"))
        run_id = await server.start(session_id)
        [request] = await waiting(server, session_id)
        answers = []

        async def give(decision: str) -> None:
            answers.append(await answer(server, request, decision=decision))

        async with trio.open_nursery() as nursery:
            for number in range(24):
                nursery.start_soon(give, ("once", "reject")[number % 2])
        assert sorted(each.status_code for each in answers) == [200] + [409] * 23
        [counted] = [each.json() for each in answers if each.status_code == 200]
        for each in answers:
            if each.status_code == 409:
                assert refused(each, 409)[0] == "already_resolved"
        run = await server.ended(session_id, run_id)
        assert notes.written == (["a"] if counted["decision"] == "once" else [])
        assert len(run["result"]["tool_calls"]) == 1
        late = await answer(server, request, decision="once")
        assert refused(late, 409)[0] == "already_resolved"


async def test_what_is_not_there_is_404(server: Server) -> None:
    session_id = await server.session()
    for target, code in (
        (f"/sessions/{session_id}/permissions/nobody", "permission_not_found"),
        ("/sessions/nobody/permissions/nobody", "session_not_found"),
    ):
        assert refused(await server.client.get(target), 404)[0] == code
        response = await server.client.post(target, json={"decision": "once"})
        assert refused(response, 404)[0] == code
    response = await server.client.get("/sessions/nobody/permissions")
    assert refused(response, 404)[0] == "session_not_found"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "decision"),
        ({"decision": "yes"}, "$.decision"),
        ({"decision": "once", "message": 3}, "$.message"),
        ({"decision": "once", "input": []}, "$.input"),
        ({"decision": "once", "why": ""}, "why"),
        ({"decision": "reject", "message": "x" * 10_001}, "$.message"),
    ],
)
async def test_a_bad_answer_says_what_is_wrong(
    server: Server, body: dict[str, Any], path: str
) -> None:
    session_id = await server.session()
    response = await server.client.post(f"/sessions/{session_id}/permissions/x", json=body)
    assert path in refused(response, 400)[1]


@pytest.mark.parametrize(
    "rules",
    [
        "maybe",
        {"bash": "maybe"},
        {"bash": {"*": 1}},
        {"": "ask"},
        [{"action": "bash"}],
        [{"action": "bash", "effect": "ask", "resource": ""}],
        [{"action": "bash", "effect": "ask", "where": "x"}],
        {"x" * 1001: "ask"},
        7,
    ],
)
async def test_bad_rules_are_refused_wherever_they_are_given(server: Server, rules: Any) -> None:
    session_id = await server.session()
    body = {"message": "go", "permissions": rules}
    given = {"permissions": rules}
    for response in (
        await server.client.post(f"/sessions/{session_id}/message", json=body),
        await server.client.post("/sessions", json=given),
        await server.client.put(f"/sessions/{session_id}", json=given),
        await server.client.post("/agents", json={"name": "B", **given}),
    ):
        code, message = refused(response, 400)
        assert code == "invalid_request"
        assert "$.permissions" in message


async def test_a_status_that_is_none_is_refused(server: Server) -> None:
    response = await server.client.get("/permissions?status=open")
    assert "`?status`" in refused(response, 400)[1]


async def test_the_last_rule_counts_and_a_servers_denial_is_final() -> None:
    notes = Notes()
    server_rules = {"note": {"*": "allow", "never*": "deny"}}
    async with serving(tools=[notes.tool], permissions=server_rules) as server:
        agent_id = await server.agent(tools=["note"], permissions=ASKS)
        made = await server.client.post(
            "/sessions", json={"agent_id": agent_id, "permissions": {"note": {"s*": "allow"}}}
        )
        session_id = made.json()["id"]
        assert made.json()["permissions"] == {"note": {"s*": "allow"}}
        texts = ("agent", "session", "message", "never")
        server.stage.play(*(call("note", f"c{n}", text=text) for n, text in enumerate(texts)))
        rules = {"note": {"m*": "allow", "never*": "allow"}}
        run_id = await server.start(session_id, permissions=rules, on_ask="wait")
        [request] = await waiting(server, session_id)
        assert request["resources"] == ["agent"]
        await answer(server, request, decision="always")
        run = await server.ended(session_id, run_id)
        assert sorted(notes.written) == ["agent", "message", "session"]
        assert "Not allowed" in outputs(run["result"])[3]
        # What a message allowed is asked again in the next, and a session's rules may be changed.
        await server.client.put(f"/sessions/{session_id}", json={"permissions": "deny"})
        server.stage.play(call("note", "d", text="agent"))
        result = (await server.send(session_id)).json()
        assert "Not allowed" in outputs(result)[0]


async def test_nobody_is_asked_where_the_message_says_so_and_not_for_longer_than_it_says() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["note"], permissions=ASKS)
        server.stage.play(call("note", text="a"))
        result = (await server.send(session_id, on_ask="reject")).json()
        assert "nobody can be asked" in outputs(result)[0]
        server.stage.play(call("note", text="a"))
        result = (await server.send(session_id, ask_timeout=0.05)).json()
        assert "nobody answered in time" in outputs(result)[0]
        [request] = (await server.client.get("/permissions?status=expired")).json()
        assert request["expires_at"] <= request["resolved_at"]
        assert "decision" not in request
        assert notes.written == []
        for more in ({"on_ask": "maybe"}, {"ask_timeout": 0}, {"ask_timeout": -1}):
            [name] = more
            response = await server.send(session_id, **more)
            assert f"$.{name}" in refused(response, 400)[1]


async def test_a_stream_tells_what_is_asked_and_how_it_was_answered() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["note"], permissions=ASKS)
        server.stage.play(call("note", text="a"))
        streams = []

        async def stream() -> None:
            streams.append(await server.streamed(session_id))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream)
            [request] = await waiting(server, session_id)
            await answer(server, request, decision="reject", message="No.")
        frames = {frame.event: frame.data for frame in streams[0]}
        ids = {"id": request["id"], "run_id": request["run_id"], "tool_use_id": "toolu_1"}
        assert frames["permission_requested"] == {
            **ids,
            "tool": "note",
            "action": "note",
            "resources": ["a"],
            "always": ["a"],
        }
        assert frames["permission_resolved"] == {
            **ids,
            "status": "rejected",
            "decision": "reject",
            "message": "No.",
        }
        events = [frame.event for frame in streams[0]]
        assert events.index("permission_requested") < events.index("permission_resolved")


async def test_a_blocking_request_is_answered_after_the_answer() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["note"], permissions=ASKS)
        server.stage.play(call("note", text="a"))
        results = []

        async def send() -> None:
            results.append((await server.send(session_id)).json())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            [request] = await waiting(server, session_id)
            assert results == []
            await answer(server, request, decision="once")
        assert outputs(results[0]) == ["wrote a"]


@pytest.mark.parametrize("form", ["message", "message/stream"])
async def test_a_client_that_leaves_may_take_what_waits_with_it(form: str) -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["note"], permissions=ASKS)
        server.stage.play(call("note", text="a"))
        body = {"message": "go", "on_disconnect": "cancel"}
        async with trio.open_nursery() as nursery:
            target = f"/sessions/{session_id}/{form}"
            nursery.start_soon(partial(server.client.post, target, json=body))
            [request] = await waiting(server, session_id)
            nursery.cancel_scope.cancel()
        run = await server.ended(session_id, request["run_id"])
        assert run["status"] == "cancelled"
        target = f"/sessions/{session_id}/permissions/{request['id']}"
        assert (await server.client.get(target)).json()["status"] == "cancelled"
        late = await answer(server, request, decision="once")
        assert refused(late, 409)[0] == "already_resolved"
        assert notes.written == []


@pytest.mark.parametrize("what", ["run", "call", "session"])
async def test_what_is_cancelled_or_deleted_is_asked_no_more(what: str) -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["note"], permissions=ASKS)
        server.stage.play(call("note", text="a"))
        run_id = await server.start(session_id)
        [request] = await waiting(server, session_id)
        run = f"/sessions/{session_id}/runs/{run_id}"
        if what == "run":
            cancelled = await server.client.post(f"{run}/cancel")
        elif what == "call":
            cancelled = await server.client.post(f"{run}/tools/toolu_1/cancel")
        else:
            cancelled = await server.client.delete(f"/sessions/{session_id}")
        assert cancelled.status_code == 200, cancelled.text
        assert (await server.client.get("/permissions")).json() == []
        late = await answer(server, request, decision="once")
        code = refused(late, 404 if what == "session" else 409)[0]
        assert code in ("session_not_found", "already_resolved")
        assert notes.written == []


async def test_lists_come_in_pages() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["note"], permissions=ASKS)
        server.stage.play(*(call("note", f"c{n}", text=str(n)) for n in range(5)))
        await server.start(session_id)
        requests = await waiting(server, session_id, 5)
        target: str | None = "/permissions?limit=2"
        found = []
        while target is not None:
            page = await server.client.get(target)
            assert len(page.json()) <= 2
            found += page.json()
            target = page.links.get("next", {}).get("url")
        assert found == requests[::-1]


async def test_a_tools_command_cannot_answer_for_the_user() -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["bash", "note"], permissions=ASKS)
        server.stage.play(call("note", text="a"))
        run_id = await server.start(session_id)
        [request] = await waiting(server, session_id)
        other = await server.session(tools=["bash"])
        command = (
            f"curl -s -m 20 -X POST {server.url}/sessions/{session_id}/permissions/{request['id']}"
            " -H 'Content-Type: application/json' -d '{\"decision\": \"once\"}'"
        )
        server.stage.play(call("bash", "b", command=command))
        result = (await server.send(other)).json()
        assert '"code":"forbidden_tool"' in outputs(result)[0]
        assert await waiting(server, session_id) == [request]
        await answer(server, request, decision="once")
        await server.ended(session_id, run_id)
        assert notes.written == ["a"]


# A program that asks, and does not wait for the answer; or that has left all that it came from.
ASKS_AND_EXITS = """
import os, socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1]))).sendall(sys.argv[2].encode())
os._exit(0)
"""
ORPHAN = """
import os, socket, sys
if os.fork() or (os.setsid() and os.fork()):
    os._exit(0)
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(sys.argv[2].encode())
print(connection.recv(4000).decode(), flush=True)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="who is at the other end of a socket is found on Linux alone"
)
@pytest.mark.skipif(shutil.which("env") is None, reason="there is no env on this machine")
@pytest.mark.parametrize("program", [ASKS_AND_EXITS, ORPHAN], ids=["gone", "orphan"])
async def test_a_tools_command_is_known_without_its_environment_and_its_parents(
    program: str,
) -> None:
    notes = Notes()
    async with serving(tools=[notes.tool]) as server:
        session_id = await server.session(tools=["bash", "note"], permissions=ASKS)
        server.stage.play(call("note", text="a"))
        run_id = await server.start(session_id)
        [request] = await waiting(server, session_id)
        other = await server.session(tools=["bash"])
        body = '{"decision": "once"}'
        asking = (
            f"POST /sessions/{session_id}/permissions/{request['id']} HTTP/1.1\r\n"
            "Host: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        port = server.url.rpartition(":")[2]
        command = shlex.join(["env", "-i", sys.executable, "-c", program, port, asking])
        for end in ("", "; sleep 0.5"):
            server.stage.play(call("bash", "b", command=f"{command}{end}"))
            await server.send(other)
        assert await waiting(server, session_id) == [request]
        await answer(server, request, decision="once")
        await server.ended(session_id, run_id)
        assert notes.written == ["a"]
