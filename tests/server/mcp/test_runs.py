"""The runs of MCP clients: who leaves, who comes back, who cancels, and when the server ends."""

import json
import shlex
import socket
import sys
from typing import Any

import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from mcp_kit import BOTH, NEW, OLD, STREAM, Peer, messages_of, text_of
from server_kit import Gate, Server, call, serving, until
from wingman import tool


async def runs_of(server: Server, session_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await server.client.get(f"/sessions/{session_id}/runs")).json()
    return found


async def the_end_of(server: Server, session_id: str) -> dict[str, Any]:
    """The one run of a session, once it has ended."""
    [run] = await runs_of(server, session_id)
    return await server.ended(session_id, run["id"])


@pytest.mark.parametrize("version", BOTH)
async def test_a_client_that_vanishes_cancels_its_run(server: Server, version: str) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play("So far, ", gate)
    peer = await Peer.of(server, version)
    async with peer.calling("run_agent", session=session_id, message="go"):
        await gate.reached.wait()
    assert (await the_end_of(server, session_id))["status"] == "cancelled"


async def test_a_client_that_vanishes_while_it_waits_for_json_cancels_its_run(
    server: Server,
) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play(gate)
    given = {"name": "run_agent", "arguments": {"session": session_id, "message": "go"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": given}
    async with await server.wire() as wire:
        await wire.send("POST", "/mcp", body)
        await gate.reached.wait()
    assert (await the_end_of(server, session_id))["status"] == "cancelled"


@pytest.mark.parametrize("version", BOTH)
async def test_a_run_in_the_background_goes_on_without_its_client(
    server: Server, version: str
) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play("So far, ", gate, "so good.")
    peer = await Peer.of(server, version)
    result = await peer.call("run_agent", session=session_id, message="go", background=True)
    assert result["structuredContent"]["status"] in ("queued", "running")
    gate.open()
    assert (await the_end_of(server, session_id))["result"]["response"] == "So far, so good."


async def test_a_notification_cancels_the_call_and_ends_its_stream(server: Server) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play(gate)
    peer = await Peer.of(server, OLD)
    other = await Peer.of(server, OLD)
    with trio.fail_after(10):
        async with peer.calling("run_agent", id=7, session=session_id, message="go") as messages:
            await gate.reached.wait()
            # An id is one of its session; and 7 is not "7".
            await other.tell("notifications/cancelled", {"requestId": 7})
            await Peer(server, OLD).tell("notifications/cancelled", {"requestId": 7})
            for unknown in (8, "7", True, None, [7]):
                await peer.tell("notifications/cancelled", {"requestId": unknown})
            assert (await runs_of(server, session_id))[0]["status"] == "running"
            told = await peer.tell("notifications/cancelled", {"requestId": 7, "reason": "enough"})
            assert told.status_code == 202
            left = [message async for message in messages]
    assert [each["error"]["code"] for each in left] == [-32800]
    assert (await the_end_of(server, session_id))["status"] == "cancelled"


async def test_a_queued_call_that_is_cancelled_never_starts(server: Server) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play(gate, "first")
    peer = await Peer.of(server, OLD)
    async with peer.calling("run_agent", session=session_id, message="first") as first:
        await gate.reached.wait()
        meta = {"progressToken": "p"}
        async with peer.calling(
            "run_agent", id="second", meta=meta, session=session_id, message="second"
        ) as second:
            told = await anext(second)
            assert "waits its turn" in told["params"]["message"]
            await peer.tell("notifications/cancelled", {"requestId": "second"})
            assert (await anext(second))["error"]["code"] == -32800
        gate.open()
        assert (await anext(first))["result"]["structuredContent"]["response"] == "first"
    assert [run["status"] for run in await runs_of(server, session_id)] == [
        "cancelled",
        "completed",
    ]
    assert len(server.stage.requests) == 1


async def test_a_session_that_ends_cancels_what_its_client_waits_for(server: Server) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play(gate)
    peer = await Peer.of(server, OLD)
    async with peer.calling("run_agent", session=session_id, message="go") as messages:
        await gate.reached.wait()
        await server.client.delete("/mcp", headers={"Mcp-Session-Id": str(peer.session)})
        assert (await anext(messages))["error"]["code"] == -32800
    assert (await the_end_of(server, session_id))["status"] == "cancelled"


async def test_a_request_that_comes_again_has_the_run_that_it_had(server: Server) -> None:
    await server.agent(name="Actor")
    peer = await Peer.of(server, OLD)
    given = {"agent": "Actor", "message": "go"}
    first = await peer.call("run_agent", id=5, **given)
    again = await peer.call("run_agent", id=5, **given)
    assert again == first
    # What is asked for is another thing; or who asks is another client; or it is another request.
    other = await peer.call("run_agent", id=5, agent="Actor", message="on")
    of_another = await (await Peer.of(server, OLD)).call("run_agent", id=5, **given)
    later = await peer.call("run_agent", id="5", **given)
    results = (first, other, of_another, later)
    assert len({each["structuredContent"]["run_id"] for each in results}) == 4
    assert len(server.stage.requests) == 4


async def test_a_request_that_comes_again_while_it_runs_waits_for_the_same_run(
    server: Server,
) -> None:
    await server.agent(name="Actor")
    gate = Gate()
    server.stage.play("So far, ", gate, "so good.")
    peer = await Peer.of(server, OLD)
    given = {"agent": "Actor", "message": "go"}
    async with peer.calling("run_agent", id=5, meta={"progressToken": 1}, **given) as second:
        await gate.reached.wait()
        async with peer.calling("run_agent", id=5, meta={"progressToken": 2}, **given) as first:
            await anext(first)
        # The first connection is gone, and the second still waits.
        await anext(second)
        [session] = (await server.client.get("/sessions")).json()
        assert session["status"] == "running"
        gate.open()
        *_, last = [message async for message in second]
    assert last["result"]["structuredContent"]["response"] == "So far, so good."
    assert len(server.stage.requests) == 1


async def test_a_request_that_comes_again_after_its_client_was_gone_is_not_run_twice(
    server: Server,
) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play("So far, ", gate)
    peer = await Peer.of(server, OLD)
    given = {"session": session_id, "message": "go"}
    async with peer.calling("run_agent", id=5, **given):
        await gate.reached.wait()
    result = await peer.call("run_agent", id=5, **given)
    assert result["isError"]
    assert result["structuredContent"]["status"] == "cancelled"
    assert "The run was cancelled." in text_of(result)
    assert len(await runs_of(server, session_id)) == 1


@pytest.mark.parametrize("version", BOTH)
async def test_a_request_id_of_its_own_is_run_once_in_its_session(
    server: Server, version: str
) -> None:
    session_id = await server.session()
    given = {"session": session_id, "message": "go", "request_id": "mine"}
    first = await (await Peer.of(server, version)).call("run_agent", **given)
    again = await (await Peer.of(server, version)).call("run_agent", **given)
    assert again["structuredContent"] == first["structuredContent"]
    assert len(await runs_of(server, session_id)) == 1
    other = await Peer(server, NEW).call("run_agent", **{**given, "message": "on"})
    assert text_of(other).startswith("request_id_conflict: ")
    nowhere = await Peer(server, NEW).call("run_agent", agent="x", message="go", request_id="a")
    assert nowhere["isError"]


@pytest.mark.parametrize("version", BOTH)
async def test_fifty_calls_at_once_have_fifty_answers(server: Server, version: str) -> None:
    await server.agent(name="Actor")
    peer = await Peer.of(server, version)
    sessions: set[str] = set()

    async def one(number: int) -> None:
        result = await peer.call("run_agent", agent="Actor", message=f"number {number}")
        assert result["structuredContent"]["response"] == "Hello."
        sessions.add(result["structuredContent"]["session_id"])

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    assert len(sessions) == 50


@pytest.mark.parametrize("version", BOTH)
async def test_cancels_and_ends_race_and_each_call_has_one_end(
    server: Server, version: str
) -> None:
    """A client that leaves at any moment leaves no run behind that goes on, and none unrecorded."""
    await server.agent(name="Actor")
    peer = await Peer.of(server, version)

    async def one(turns: int) -> None:
        given = {"name": "run_agent", "arguments": {"agent": "Actor", "message": "go"}}
        body, headers = peer.written("tools/call", given)
        async with await server.wire() as wire:
            await wire.send("POST", "/mcp", body, headers.items())
            for _ in range(turns):
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for turns in range(0, 120, 2):
            nursery.start_soon(one, turns)
    await wait_all_tasks_blocked(0.05)
    with trio.fail_after(10):
        while True:
            runs = (await server.client.get("/runs?limit=1000")).json()
            if all(run["ended_at"] for run in runs):
                break
            await trio.sleep(0.01)
    assert {run["status"] for run in runs} <= {"completed", "cancelled"}
    peer = await Peer.of(server, version)
    assert (await peer.call("run_agent", agent="Actor", message="go"))["isError"] is False


@pytest.mark.parametrize("version", BOTH)
async def test_a_shutdown_interrupts_and_says_so(version: str) -> None:
    async with serving(grace=0) as server:
        session_id = await server.session()
        gate = Gate()
        server.stage.play("So far, ", gate)
        peer = await Peer.of(server, version)
        async with peer.calling("run_agent", session=session_id, message="go") as messages:
            await gate.reached.wait()
            async with peer.calling("run_agent", session=session_id, message="queued") as queued:
                await until(lambda: server.runtime.status().actors[0].mailbox)
                server.shutdown.set()
                waited = (await anext(queued))["result"]
            result = (await anext(messages))["result"]
        assert waited["isError"]
        assert waited["structuredContent"]["error"]["code"] == "shutting_down"
        assert result["isError"]
        assert result["structuredContent"]["status"] == "interrupted"
        assert text_of(result).startswith("So far, ")
        with trio.fail_after(5):
            await server.stopped.wait()


async def test_a_shutdown_lets_a_run_have_its_grace() -> None:
    async with serving(grace=5) as server:
        session_id = await server.session()
        gate = Gate()
        server.stage.play("In ", gate, "time.")
        peer = await Peer.of(server, NEW)
        async with peer.calling("run_agent", session=session_id, message="go") as messages:
            await gate.reached.wait()
            server.shutdown.set()
            await until(lambda: server.runtime._root.services.room.draining.is_set())
            gate.open()
            result = (await anext(messages))["result"]
        assert result["structuredContent"]["response"] == "In time."


async def test_a_client_that_stops_reading_holds_nothing_up() -> None:
    async with serving(grace=0) as server:
        session_id = await server.session()
        server.stage.play("\x01" * 64_000)
        peer = await Peer.of(server, NEW)
        given = {"name": "run_agent", "arguments": {"session": session_id, "message": "go"}}
        body, headers = peer.written("tools/call", {**given, "_meta": {"progressToken": 1}})
        async with await server.wire() as wire:
            wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await wire.send("POST", "/mcp", body, headers.items())
            await until(lambda: server.stage.requests)
            run = await the_end_of(server, session_id)
            assert run["status"] == "completed"
            server.shutdown.set()
            with trio.fail_after(5):
                await server.stopped.wait()


@pytest.mark.parametrize("version", BOTH)
async def test_who_waits_for_a_permission_is_told_where_it_is_answered(version: str) -> None:
    @tool
    async def note(text: str) -> str:
        """Write a note."""
        await trio.lowlevel.checkpoint()
        return "written"

    async with serving(tools=[note], permissions={"note": "ask"}) as server:
        session_id = await server.session(tools=["note"])
        server.stage.play(call("note", text="x"))
        peer = await Peer.of(server, version)
        given = {"session": session_id, "message": "go"}
        texts: list[str] = []
        async with peer.calling("run_agent", meta={"progressToken": 1}, **given) as messages:
            async for message in messages:
                if "result" in message:
                    break
                texts.append(message["params"]["message"])
                if "permission: note" in texts[-1]:
                    read = await peer.call("get_session", session=session_id)
                    [question] = read["structuredContent"]["waits_for"]
                    method, target = question["answer_at"].split()
                    assert question["answer_at"] in texts[-1]
                    await server.client.request(method, target, json={"decision": "once"})
        assert message["result"]["structuredContent"]["response"] == "Hello."
        assert texts[-4:] == [
            texts[-4],
            "The permission is allowed.",
            "note is done.",
            "Step 2: the model is asked.",
        ]
        server.stage.play(call("note", "toolu_2", text="y"))
        rejected = await peer.call("run_agent", on_ask="reject", **given)
        assert rejected["isError"] is False
        history = await server.history(session_id)
        assert history[-2]["content"][0]["is_error"]


@pytest.mark.skipif(sys.platform != "linux", reason="who asks is found on Linux alone")
async def test_a_command_that_waits_for_its_own_session_is_told() -> None:
    async with serving() as server:
        session_id = await server.session(tools=["bash"])
        given: dict[str, Any] = {"session": session_id, "message": "again"}

        def asking(**more: Any) -> str:
            params = {"name": "run_agent", "arguments": {**given, **more}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            return (
                f"curl -s -m 20 {server.url}/mcp -H 'Content-Type: application/json' "
                f"-H 'Accept: {STREAM}' -d {shlex.quote(json.dumps(body))}"
            )

        server.stage.play(call("bash", command=asking()))
        with trio.fail_after(15):
            [asked] = (await server.send(session_id)).json()["tool_calls"]
        assert "waits_for_itself" in asked["output"]
        # What does not wait may be sent.
        server.stage.play(call("bash", command=asking(background=True)))
        with trio.fail_after(15):
            [asked] = (await server.send(session_id)).json()["tool_calls"]
        assert '"status":"queued"' in asked["output"]


async def test_a_busy_session_is_what_the_message_says(server: Server) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play("First", gate, ".")
    peer = await Peer.of(server, NEW)
    given = {"session": session_id, "message": "on"}
    async with peer.calling("run_agent", session=session_id, message="go") as messages:
        await gate.reached.wait()
        refused = await peer.call("run_agent", on_busy="reject", **given)
        assert text_of(refused).startswith("session_busy: ")
        server.stage.play("Second.")
        second = await peer.call("run_agent", on_busy="interrupt", **given)
        assert second["structuredContent"]["response"] == "Second."
        first = (await anext(messages))["result"]
    assert first["isError"]
    assert first["structuredContent"]["status"] in ("cancelled", "interrupted")


async def test_words_that_steer_have_the_result_of_the_run_that_reads_them() -> None:
    @tool
    async def look() -> str:
        """Look."""
        looking.set()
        await sent.wait()
        return "seen"

    looking, sent = trio.Event(), trio.Event()
    async with serving(tools=[look]) as server:
        session_id = await server.session(tools=["look"])
        server.stage.play(call("look"))
        peer = await Peer.of(server, NEW)
        results: list[Any] = []

        async def steer() -> None:
            given = {"session": session_id, "message": "left", "on_busy": "steer"}
            meta = {"progressToken": 1}
            results.append(await peer.call("run_agent", meta=meta, **given))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.send, session_id)
            await looking.wait()
            nursery.start_soon(steer)
            await until(lambda: server.runtime.status().actors[0].mailbox)
            sent.set()
        [result] = results
        assert result["structuredContent"]["status"] == "steered"
        assert result["structuredContent"]["response"] == "Hello."


async def test_agents_are_named_by_name_or_id(server: Server) -> None:
    first = await server.agent(name="Twin")
    second = await server.agent(name="Twin")
    await server.agent(name="Single")
    peer = await Peer.of(server, NEW)
    assert not (await peer.call("run_agent", agent="Single", message="go"))["isError"]
    assert not (await peer.call("run_agent", agent=first, message="go"))["isError"]
    both = await peer.call("run_agent", agent="Twin", message="go")
    assert both["isError"]
    assert first in text_of(both)
    assert second in text_of(both)


async def test_a_client_that_reads_nothing_of_the_head_is_no_leak(server: Server) -> None:
    """Its run is cancelled as that of any other who leaves."""
    session_id = await server.session()
    gate = Gate()
    server.stage.play(gate)
    peer = await Peer.of(server, NEW)
    given = {"name": "run_agent", "arguments": {"session": session_id, "message": "go"}}
    body, headers = peer.written("tools/call", given)
    async with await server.wire() as wire:
        await wire.send("POST", "/mcp", body, headers.items())
        await gate.reached.wait()
    assert (await the_end_of(server, session_id))["status"] == "cancelled"


async def test_messages_of_an_answer_are_read_by_who_wants_json_alone(server: Server) -> None:
    await server.agent(name="Actor")
    peer = await Peer.of(server, OLD)
    params = {
        "name": "run_agent",
        "arguments": {"agent": "Actor", "message": "go"},
        "_meta": {"progressToken": 1},
    }
    answer: httpx.Response = await peer.post("tools/call", params, Accept="application/json")
    [message] = messages_of(answer)
    assert message["result"]["structuredContent"]["response"] == "Hello."
