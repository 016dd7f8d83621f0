"""Runs: read, wait for, list; and cancel, with a receipt for what has stopped."""

import pytest
import trio
import trio.testing

from server_kit import Gate, Server, call, error_of, lingering, serving
from wingman import tool


@tool
async def hang() -> str:
    """Never return."""
    await trio.sleep_forever()
    return ""


@tool
async def quick() -> str:
    """Return at once."""
    await trio.lowlevel.checkpoint()
    return "done"


async def test_a_run_is_read_with_all_that_is_known_of_it(server: Server) -> None:
    session_id = await server.session()
    result = (await server.send(session_id, "go")).json()
    run = (await server.client.get(f"/sessions/{session_id}/runs/{result['run_id']}")).json()
    assert run == {
        "id": result["run_id"],
        "session_id": session_id,
        "message": "go",
        "agent_id": server._agent_id,
        "status": "completed",
        "result": result,
        "error": None,
        "steps": 1,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        "created_at": run["created_at"],
        "started_at": run["started_at"],
        "ended_at": run["ended_at"],
    }
    assert run["created_at"] <= run["started_at"] <= run["ended_at"]


async def test_a_failed_run_says_why(server: Server) -> None:
    session_id = await server.session()
    server.stage.play(RuntimeError("a bug"))
    await server.send(session_id)
    [run] = (await server.client.get(f"/sessions/{session_id}/runs")).json()
    assert (run["status"], run["error"]["code"]) == ("failed", "internal_error")
    assert run["result"] is None


async def test_wait_holds_the_answer_until_the_run_has_ended(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate, "Done.")
    run_id = await server.start(session_id)
    await gate.reached.wait()
    target = f"/sessions/{session_id}/runs/{run_id}"
    assert (await server.client.get(target)).json()["status"] == "running"
    answers = []

    async def wait() -> None:
        answers.append((await server.client.get(f"{target}?wait=10")).json())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert answers == []
        gate.open()
    assert answers[0]["result"]["response"] == "Done."


async def test_wait_answers_after_its_time_with_a_run_that_goes_on(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate)
    run_id = await server.start(session_id)
    answer = await server.client.get(f"/sessions/{session_id}/runs/{run_id}?wait=1")
    assert answer.json()["status"] == "running"
    gate.open()
    await server.ended(session_id, run_id)


@pytest.mark.parametrize("wait", ["-1", "x", "100000", ""])
async def test_a_wait_that_is_no_time_is_refused(server: Server, wait: str) -> None:
    session_id = await server.session()
    run_id = (await server.send(session_id)).json()["run_id"]
    answer = await server.client.get(f"/sessions/{session_id}/runs/{run_id}?wait={wait}")
    status, code, message = error_of(answer)
    assert (status, code) == (400, "invalid_request")
    assert "`?wait`" in message


async def test_runs_are_listed_by_status_and_across_sessions(server: Server) -> None:
    first, second = await server.session(), await server.session()
    await server.send(first)
    gate = Gate()
    server.stage.play(gate)
    running = await server.start(second)
    await gate.reached.wait()
    queued = await server.start(second)

    async def ids(target: str) -> set[str]:
        return {run["id"] for run in (await server.client.get(target)).json()}

    assert len(await ids("/runs")) == 3
    assert await ids("/runs?status=running") == {running}
    assert await ids("/runs?status=queued,running") == {running, queued}
    assert await ids("/runs?status=failed") == set()
    assert await ids(f"/sessions/{second}/runs") == {running, queued}
    assert await ids(f"/sessions/{second}/runs?status=completed") == set()
    assert len(await ids("/runs?limit=1")) == 1
    gate.open()
    await server.ended(second, queued)


async def test_a_run_that_is_being_cancelled_says_so() -> None:
    may_stop = trio.Event()
    async with serving(tools=[lingering(may_stop)]) as server:
        session_id = await server.session(tools=["lingers"])
        server.stage.play(call("lingers"))
        run_id = await in_tool(server, session_id, "lingers")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.client.post, f"/sessions/{session_id}/cancel")
            run = {"status": "running"}
            while run["status"] == "running":
                run = (await server.client.get(f"/sessions/{session_id}/runs/{run_id}")).json()
            assert run["status"] == "cancelling"
            [found] = (await server.client.get("/runs?status=cancelling")).json()
            assert found["id"] == run_id
            assert (await server.client.get("/runs?status=running")).json() == []
            may_stop.set()
        assert (await server.ended(session_id, run_id))["status"] == "cancelled"


async def test_one_that_is_being_cancelled_is_found_behind_all_that_wait() -> None:
    may_stop = trio.Event()
    async with serving(tools=[lingering(may_stop)]) as server:
        session_id = await server.session(tools=["lingers"])
        server.stage.play(call("lingers"))
        run_id = await in_tool(server, session_id, "lingers")
        waiting = [await server.start(session_id) for _ in range(5)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.client.post, f"/sessions/{session_id}/runs/{run_id}/cancel")
            while (await server.client.get(f"/runs/{run_id}")).json()["status"] == "running":
                await trio.lowlevel.checkpoint()
            for path in ("/runs", f"/sessions/{session_id}/runs"):
                answer = await server.client.get(f"{path}?status=cancelling&limit=1")
                assert [run["id"] for run in answer.json()] == [run_id]
                assert "Link" not in answer.headers
                answer = await server.client.get(f"{path}?status=cancelling,queued&limit=6")
                assert [run["id"] for run in answer.json()] == [*reversed(waiting), run_id]
                answer = await server.client.get(f"{path}?status=running,completed")
                assert answer.json() == []
            may_stop.set()
        await server.ended(session_id, waiting[-1])


async def test_a_run_is_read_and_waited_for_by_its_id_alone(server: Server) -> None:
    gate = Gate()
    first, second = await server.session(), await server.session()
    server.stage.play("Hello.")
    ended = (await server.send(first)).json()["run_id"]
    server.stage.play(gate, "Done.")
    running = await server.start(second)
    await gate.reached.wait()
    queued = await server.start(second)
    for session_id, run_id, status in (
        (first, ended, "completed"),
        (second, running, "running"),
        (second, queued, "queued"),
    ):
        run = (await server.client.get(f"/runs/{run_id}")).json()
        assert (run["session_id"], run["status"]) == (session_id, status)
        assert run == (await server.client.get(f"/sessions/{session_id}/runs/{run_id}")).json()
    assert (await server.client.get(f"/runs/{running}?wait=1")).json()["status"] == "running"
    answers = []

    async def wait() -> None:
        answers.append((await server.client.get(f"/runs/{running}?wait=10")).json())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert answers == []
        gate.open()
    assert answers[0]["result"]["response"] == "Done."
    await server.ended(second, queued)
    unknown = await server.client.get("/runs/nothing")
    assert error_of(unknown)[:2] == (404, "run_not_found")
    assert error_of(await server.client.get(f"/runs/{ended}?wait=301"))[:2] == (
        400,
        "invalid_request",
    )
    await server.client.delete(f"/sessions/{second}")
    for query in ("", "?wait=1"):
        gone = await server.client.get(f"/runs/{running}{query}")
        assert error_of(gone)[:2] == (404, "run_not_found")


@pytest.mark.parametrize("fails", [False, True])
async def test_who_waits_for_a_run_by_its_id_is_told_that_its_session_was_deleted(
    server: Server, fails: bool
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate, *([RuntimeError("a bug")] if fails else []))
    run_id = await server.start(session_id)
    await gate.reached.wait()
    answers = []

    async def wait(path: str) -> None:
        answers.append(error_of(await server.client.get(f"{path}?wait=10"))[:2])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, f"/runs/{run_id}")
        nursery.start_soon(wait, f"/sessions/{session_id}/runs/{run_id}")
        await trio.testing.wait_all_tasks_blocked(0.05)
        nursery.start_soon(server.client.delete, f"/sessions/{session_id}")
    assert answers == [(404, "session_deleted")] * 2


async def test_an_unknown_status_run_or_session_is_refused(server: Server) -> None:
    session_id = await server.session()
    status, _, message = error_of(await server.client.get("/runs?status=dancing"))
    assert status == 400
    assert "'dancing'" in message
    unknown = await server.client.get(f"/sessions/{session_id}/runs/nothing")
    assert error_of(unknown)[:2] == (404, "run_not_found")
    nowhere = await server.client.get("/sessions/nowhere/runs")
    assert error_of(nowhere)[:2] == (404, "session_not_found")
    for target in ("nothing/cancel", "nothing/tools/toolu_1/cancel"):
        answer = await server.client.post(f"/sessions/{session_id}/runs/{target}")
        assert error_of(answer)[:2] == (404, "run_not_found")


async def test_a_run_of_another_session_is_not_found(server: Server) -> None:
    first, second = await server.session(), await server.session()
    run_id = (await server.send(first)).json()["run_id"]
    for method, target in (("GET", ""), ("POST", "/cancel")):
        answer = await server.client.request(method, f"/sessions/{second}/runs/{run_id}{target}")
        assert error_of(answer)[:2] == (404, "run_not_found")


async def test_cancelling_with_nothing_in_flight_is_an_empty_receipt(server: Server) -> None:
    session_id = await server.session()
    run_id = (await server.send(session_id)).json()["run_id"]
    for target in ("cancel", f"runs/{run_id}/cancel"):
        answer = await server.client.post(f"/sessions/{session_id}/{target}")
        assert (answer.status_code, answer.json()) == (200, {"cancelled": []})
    unknown = await server.client.post(f"/sessions/{session_id}/runs/{run_id}/tools/toolu_1/cancel")
    assert error_of(unknown)[:2] == (404, "tool_call_not_found")
    nowhere = await server.client.post("/sessions/nowhere/cancel")
    assert error_of(nowhere)[:2] == (404, "session_not_found")


async def in_tool(server: Server, session_id: str, name: str, count: int = 1) -> str:
    """Start a run and wait until its tool calls are under way; the run's id."""
    run_id = await server.start(session_id)
    live = server.runtime._host.active.find(session_id)
    assert live is not None
    seen = 0
    async with live.channel.reader(live.runs[run_id].first_event, run_id) as reader:
        while seen < count:
            seen += sum(p.event.kind == "tool_use" for p in await reader.receive())
    await trio.testing.wait_all_tasks_blocked()
    return run_id


async def test_a_cancel_answers_with_a_receipt_of_the_run_and_its_tools() -> None:
    async with serving(tools=[hang]) as server:
        session_id = await server.session(tools=["hang"])
        server.stage.play("Let me ", call("hang", "toolu_1"), call("hang", "toolu_2"))
        run_id = await in_tool(server, session_id, "hang", 2)
        answer = await server.client.post(f"/sessions/{session_id}/cancel")
        [receipt] = answer.json()["cancelled"]
        assert answer.status_code == 200
        assert (receipt["run_id"], receipt["was"]) == (run_id, "running")
        assert 0 <= receipt["stopped_in_ms"] < 2000
        assert receipt["tools"] == [
            {"id": "toolu_1", "outcome": "stopped"},
            {"id": "toolu_2", "outcome": "stopped"},
        ]
        run = await server.ended(session_id, run_id)
        assert (run["status"], run["result"]["stop_reason"]) == ("cancelled", "cancelled")
        # Text that had arrived is kept, every call has its result, and the next message runs.
        _, assistant, results = await server.history(session_id)
        assert assistant["content"][0] == {"type": "text", "text": "Let me "}
        assert [block["tool_use_id"] for block in results["content"]] == ["toolu_1", "toolu_2"]
        assert (await server.send(session_id)).json()["response"] == "Hello."


async def test_who_waits_for_a_cancelled_run_gets_what_had_arrived(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play("Half ", gate)
    answers = []

    async def send() -> None:
        answers.append(await server.send(session_id))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await gate.reached.wait()
        await server.client.post(f"/sessions/{session_id}/cancel")
    assert answers[0].status_code == 200
    assert (answers[0].json()["response"], answers[0].json()["stop_reason"]) == (
        "Half ",
        "cancelled",
    )


async def test_a_stream_of_a_cancelled_run_ends_with_done(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play("Half ", gate)
    async with await server.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        await wire.head()
        await gate.reached.wait()
        await server.client.post(f"/sessions/{session_id}/cancel")
        frames = await wire.frames()
    assert [frame.event for frame in frames] == ["text", "done"]
    assert frames[-1].data["stop_reason"] == "cancelled"


async def test_a_nameless_cancel_leaves_what_waits_unless_it_is_asked(server: Server) -> None:
    gates = [Gate(), Gate()]
    session_id = await server.session()
    for gate in gates:
        server.stage.play(gate)
    first = await server.start(session_id)
    await gates[0].reached.wait()
    second = await server.start(session_id)
    receipt = (await server.client.post(f"/sessions/{session_id}/cancel")).json()
    assert [entry["run_id"] for entry in receipt["cancelled"]] == [first]
    await gates[1].reached.wait()
    third = await server.start(session_id)
    answer = await server.client.post(f"/sessions/{session_id}/cancel", json={"queued": True})
    receipt = answer.json()
    assert [(entry["run_id"], entry["was"]) for entry in receipt["cancelled"]] == [
        (second, "running"),
        (third, "queued"),
    ]


async def test_a_cancel_that_names_a_run_touches_no_other(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate, "First.")
    first = await server.start(session_id)
    await gate.reached.wait()
    second = await server.start(session_id)
    answer = await server.client.post(f"/sessions/{session_id}/runs/{second}/cancel")
    [entry] = answer.json()["cancelled"]
    assert (entry["run_id"], entry["was"]) == (second, "queued")
    gate.open()
    assert (await server.ended(session_id, first))["status"] == "completed"
    assert (await server.ended(session_id, second))["status"] == "cancelled"
    assert len(server.stage.requests) == 1


async def test_one_tool_call_is_cancelled_and_the_model_is_told() -> None:
    async with serving(tools=[hang, quick]) as server:
        session_id = await server.session(tools=["hang", "quick"])
        server.stage.play(call("hang", "toolu_1"), call("quick", "toolu_2"))
        server.stage.play("Then without it.")
        run_id = await in_tool(server, session_id, "hang", 2)
        target = f"/sessions/{session_id}/runs/{run_id}/tools"
        answer = await server.client.post(f"{target}/toolu_1/cancel")
        [entry] = answer.json()["cancelled"]
        assert entry["tools"] == [{"id": "toolu_1", "outcome": "stopped"}]
        run = await server.ended(session_id, run_id)
        assert run["status"] == "completed"
        assert run["result"]["response"] == "Then without it."
        outputs = [(c["id"], c["is_error"]) for c in run["result"]["tool_calls"]]
        assert outputs == [("toolu_1", True), ("toolu_2", False)]
