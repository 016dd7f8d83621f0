"""Cancels that name what they saw, tool calls that are not there, frames that name their run."""

import pytest

from server.test_runs import hang, in_tool, quick
from server_kit import Gate, Server, call, error_of, serving, until
from wingman import Agent, Runtime
from wingman.errors import NotFound, NotInFlight
from wingman.providers import Scripted


async def test_a_cancel_that_names_the_run_in_flight_cancels_it(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate)
    run_id = await server.start(session_id)
    await gate.reached.wait()
    answer = await server.client.post(f"/sessions/{session_id}/cancel", json={"run_id": run_id})
    assert answer.status_code == 200
    assert [entry["run_id"] for entry in answer.json()["cancelled"]] == [run_id]


async def test_a_second_cancel_does_not_reach_the_next_run(server: Server) -> None:
    gates = [Gate(), Gate()]
    session_id = await server.session()
    for gate in gates:
        server.stage.play(gate, "Done.")
    first, second = await server.start(session_id), await server.start(session_id)
    await gates[0].reached.wait()
    target, body = f"/sessions/{session_id}/cancel", {"run_id": first}
    assert (await server.client.post(target, json=body)).status_code == 200
    await gates[1].reached.wait()
    for more in ({}, {"queued": True}):
        answer = await server.client.post(target, json=body | more)
        assert answer.status_code == 409
        error = answer.json()["error"]
        assert (error["code"], error["run_id"]) == ("run_ended", first)
        assert "has ended (cancelled)" in error["message"]
    gates[1].open()
    assert (await server.ended(session_id, second))["status"] == "completed"


async def test_a_cancel_that_names_a_queued_run_says_so_and_cancels_nothing(
    server: Server,
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate)
    first, second = await server.start(session_id), await server.start(session_id)
    await gate.reached.wait()
    target = f"/sessions/{session_id}/cancel"
    answer = await server.client.post(target, json={"run_id": second, "queued": True})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "run_queued"
    assert answer.json()["error"]["run_id"] == second
    gate.open()
    for run_id in (first, second):
        assert (await server.ended(session_id, run_id))["status"] == "completed"


async def test_a_cancel_that_names_no_run_of_the_session_is_404(server: Server) -> None:
    session_id, other = await server.session(), await server.session()
    run_id = (await server.send(other)).json()["run_id"]
    for name in ("nothing", run_id, "\0", "é" * 5000):
        answer = await server.client.post(f"/sessions/{session_id}/cancel", json={"run_id": name})
        assert error_of(answer)[:2] == (404, "run_not_found")
    nowhere = await server.client.post("/sessions/nowhere/cancel", json={"run_id": run_id})
    assert error_of(nowhere)[:2] == (404, "session_not_found")


@pytest.mark.parametrize(
    "body", [{"run_id": 1}, {"run_id": ""}, {"run_id": ["x"]}, {"run": "x"}, {"queued": 1}, [], "x"]
)
async def test_a_cancel_of_the_wrong_shape_is_400_and_cancels_nothing(
    server: Server, body: object
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate)
    run_id = await server.start(session_id)
    await gate.reached.wait()
    answer = await server.client.post(f"/sessions/{session_id}/cancel", json=body)
    assert error_of(answer)[:2] == (400, "invalid_request")
    gate.open()
    assert (await server.ended(session_id, run_id))["status"] == "completed"


async def test_a_null_is_a_run_id_that_was_not_given(server: Server) -> None:
    session_id = await server.session()
    answer = await server.client.post(f"/sessions/{session_id}/cancel", json={"run_id": None})
    assert answer.json() == {"cancelled": []}


async def test_a_tool_call_that_the_run_does_not_have_is_404() -> None:
    async with serving(tools=[hang, quick]) as server:
        session_id = await server.session(tools=["hang", "quick"])
        server.stage.play(call("quick", "toolu_0"))
        before = (await server.send(session_id)).json()["run_id"]
        server.stage.play(call("quick", "toolu_1"))
        server.stage.play(call("hang", "toolu_2"))
        run_id = await in_tool(server, session_id, "hang", 2)
        queued = await server.start(session_id)
        runs = f"/sessions/{session_id}/runs"

        async def cancel(run_id: str, tool_use_id: str) -> tuple[int, object]:
            answer = await server.client.post(f"{runs}/{run_id}/tools/{tool_use_id}/cancel")
            if answer.status_code == 200:
                return 200, answer.json()["cancelled"]
            return error_of(answer)[:2]

        unknown = (404, "tool_call_not_found")
        for missing in ("nothing", "hang", "toolu_0", "toolu_", "%00", "%ff"):
            assert await cancel(run_id, missing) == unknown
        for missing in ("toolu_1", "toolu_2"):
            assert await cancel(queued, missing) == unknown
            assert await cancel(before, missing) == unknown
        assert await cancel(before, "toolu_0") == (200, [])  # it is there, and has ended
        assert await cancel(run_id, "toolu_1") == (200, [])
        status, receipt = await cancel(run_id, "toolu_2")
        assert (status, len(receipt)) == (200, 1)  # type: ignore[arg-type]
        await server.ended(session_id, queued)
        assert await cancel(run_id, "toolu_2") == (200, [])
        assert await cancel(run_id, "nothing") == unknown


async def test_a_program_names_the_run_that_it_means() -> None:
    helper = Agent("helper", provider=Scripted(lambda _: "Hello.", delay=10))
    async with Runtime() as runtime:
        session = await runtime.create_session(helper)
        first, second = await session.submit("one"), await session.submit("two")
        await until(lambda: first.status == "running")
        with pytest.raises(NotInFlight, match="is queued") as queued:
            await session.cancel(run=second)
        assert (queued.value.code, queued.value.run_id) == ("run_queued", second.id)
        assert [entry.run_id for entry in (await session.cancel(run=first)).cancelled] == [first.id]
        with pytest.raises(NotInFlight, match=r"has ended \(cancelled\)"):
            await session.cancel(run=first.id)
        with pytest.raises(NotFound):
            await session.cancel(run="nothing")
        with pytest.raises(NotFound):
            await runtime.cancel_tool(session.id, first.id, "nothing")
        await session.cancel(queued=True)


async def test_no_frame_has_an_empty_run_id(server: Server) -> None:
    session_id = await server.session()
    first = await server.streamed(session_id)
    server.stage.play(*["x"] * 6000)
    await server.send(session_id)
    target = f"/sessions/{session_id}/events"
    after = [("Last-Event-ID", str(first[0].id))]
    async with await server.wire() as behind, await server.wire() as ahead:
        await behind.send("GET", target, headers=after)
        await ahead.send("GET", target)
        for wire in (behind, ahead):
            assert (await wire.head()).status == 200
        await server.send(session_id)
        await server.client.delete(f"/sessions/{session_id}")
        frames = [*await behind.frames(), *await ahead.frames()]
    assert {"resync", "error", "done", "text"} == {frame.event for frame in frames}
    for frame in frames:
        if frame.event in ("resync", "error"):
            assert set(frame.data) == {"code", "message"}
        else:
            assert frame.data["run_id"]


@pytest.mark.parametrize(
    "fields",
    [
        ["respond-async"],
        ["Respond-Async"],
        ["wait=10, respond-async"],
        ["respond-async,wait=10"],
        ["respond-async; foo=bar, handling=lenient"],
        ['foo="a, b", respond-async'],
        ["handling=strict", "respond-async"],
        [' respond-async="" '],
    ],
)
async def test_a_message_that_prefers_not_to_wait_is_answered_at_once(
    server: Server, fields: list[str]
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate)
    headers = [("Prefer", field) for field in fields]
    async with await server.wire() as wire:
        target = f"/sessions/{session_id}/message"
        head, body = await wire.ask("POST", target, {"message": "go"}, headers=headers)
    assert head.status == 202
    assert head.headers["preference-applied"] == "respond-async"
    assert b'"run_id":"' in body
    gate.open()


@pytest.mark.parametrize(
    "field",
    ["wait=10", "x-respond-async", 'foo="respond-async"', "respond-async-not", "", ',,;,="', "a;b"],
)
async def test_other_preferences_change_nothing(server: Server, field: str) -> None:
    session_id = await server.session()
    answer = await server.send(session_id, headers={"Prefer": field})
    assert (answer.status_code, answer.json()["response"]) == (200, "Hello.")
    assert "Preference-Applied" not in answer.headers
