"""POST /sessions/{id}/message: blocking, answered at once, and again under the same request id."""

import trio

from server_kit import Gate, Server, call, error_of, serving
from wingman import Limits, tool
from wingman.providers import ModelInfo


@tool
async def shout(text: str) -> str:
    """Say it louder."""
    await trio.lowlevel.checkpoint()
    return text.upper()


async def test_the_seeds_requests_work_as_they_stand(server: Server) -> None:
    headers = {"Content-Type": "application/json"}
    made = await server.client.post("/sessions", headers=headers, content=b'{"work_dir": "/tmp"}')
    agent_id = await server.agent()
    sent = await server.client.post(
        f"/sessions/{made.json()['id']}/message",
        headers=headers,
        content=b'{"agent_id": "%b", "message": "What files are in this directory?"}'
        % agent_id.encode(),
    )
    assert made.status_code == 201
    assert sent.status_code == 200
    assert sent.json()["response"] == "Hello."


async def test_a_blocking_answer_is_the_result_with_its_tool_calls() -> None:
    async with serving(tools=[shout]) as server:
        session_id = await server.session(tools=["shout"])
        server.stage.play("Let me see. ", call("shout", text="hey"))
        server.stage.play("It says ", "HEY.")
        answer = await server.send(session_id)
        run_id = answer.headers["Location"].rpartition("/")[2]
    assert answer.status_code == 200
    assert answer.json() == {
        "run_id": run_id,
        "response": "It says HEY.",
        "stop_reason": "end_turn",
        "steps": 2,
        "tool_calls": [
            {
                "id": "toolu_1",
                "tool_name": "shout",
                "input": {"text": "hey"},
                "output": "HEY",
                "is_error": False,
            }
        ],
        "usage": {"input_tokens": 20, "output_tokens": 10},
    }
    assert answer.headers["Location"] == f"/sessions/{session_id}/runs/{run_id}"


async def test_max_steps_ends_a_run_at_its_limit() -> None:
    async with serving(tools=[shout]) as server:
        session_id = await server.session(tools=["shout"])
        server.stage.play(call("shout", text="hey"))
        answer = await server.send(session_id, max_steps=1)
    assert (answer.status_code, answer.json()["stop_reason"]) == (200, "step_limit")


async def test_respond_async_names_the_run_at_once(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate, "Done.")
    answer = await server.send(session_id, headers={"Prefer": "respond-async"})
    run_id = answer.json()["run_id"]
    assert answer.status_code == 202
    assert set(answer.json()) == {"run_id", "status"}
    assert answer.headers["Location"] == f"/sessions/{session_id}/runs/{run_id}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    gate.open()
    run = await server.ended(session_id, run_id)
    assert run["result"]["response"] == "Done."


async def test_a_run_that_nobody_waits_for_has_nobody_to_be_disconnected_from(
    server: Server,
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate, "Done.")
    run_id = await server.start(session_id, on_disconnect="cancel")
    await gate.reached.wait()
    gate.open()
    assert (await server.ended(session_id, run_id))["status"] == "completed"


async def test_messages_of_one_session_run_in_order_and_two_sessions_side_by_side(
    server: Server,
) -> None:
    first, second = await server.session(), await server.session()
    gate = Gate()
    server.stage.play(gate, "one")
    run_ids = [await server.start(first, "a")]
    await gate.reached.wait()
    run_ids += [await server.start(first, text) for text in ("b", "c")]
    assert (await server.send(second, "elsewhere")).json()["response"] == "Hello."
    assert len(server.stage.requests) == 2
    gate.open()
    for run_id in run_ids:
        await server.ended(first, run_id)
    texts = [
        message["content"][0]["text"]
        for message in await server.history(first)
        if message["role"] == "user"
    ]
    assert texts == ["a", "b", "c"]


async def test_reject_answers_409_while_a_run_is_in_flight(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate)
    run_id = await server.start(session_id)
    await gate.reached.wait()
    refused = await server.send(session_id, on_busy="reject")
    assert error_of(refused)[:2] == (409, "session_busy")
    gate.open()
    await server.ended(session_id, run_id)
    assert (await server.send(session_id, on_busy="reject")).status_code == 200


async def test_interrupt_cancels_the_run_in_flight_and_goes_next(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play("Half a ", gate)
    first = await server.start(session_id)
    await gate.reached.wait()
    answer = await server.send(session_id, "instead", on_busy="interrupt")
    assert answer.json()["response"] == "Hello."
    run = await server.ended(session_id, first)
    assert (run["status"], run["result"]["response"]) == ("cancelled", "Half a ")


async def test_a_full_mailbox_answers_429_and_keeps_nothing() -> None:
    async with serving(limits=Limits(queued=1)) as server:
        gate = Gate()
        session_id = await server.session()
        server.stage.play(gate)
        await server.start(session_id)
        await gate.reached.wait()
        await server.start(session_id)
        refused = await server.send(session_id)
        assert error_of(refused)[:2] == (429, "mailbox_full")
        assert int(refused.headers["Retry-After"]) >= 1
        runs = await server.client.get(f"/sessions/{session_id}/runs")
        assert len(runs.json()) == 2


async def test_an_overloaded_server_answers_503() -> None:
    async with serving(limits=Limits(runs=1, waiting=1)) as server:
        gate = Gate()
        server.stage.play(gate)
        sessions = [await server.session() for _ in range(3)]
        await server.start(sessions[0])
        await gate.reached.wait()
        await server.start(sessions[1])
        refused = await server.send(sessions[2])
        assert error_of(refused)[:2] == (503, "overloaded")
        assert "Retry-After" in refused.headers


async def test_the_same_request_id_gives_the_first_runs_answer(server: Server) -> None:
    session_id = await server.session()
    first = await server.send(session_id, request_id="r-1")
    again = await server.send(session_id, request_id="r-1")
    assert again.json() == first.json()
    assert len(server.stage.requests) == 1
    assert len(await server.history(session_id)) == 2


async def test_the_same_request_id_waits_for_the_run_in_flight(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate, "Once.")
    run_id = await server.start(session_id, request_id="r-1")
    await gate.reached.wait()
    answers = []

    async def again() -> None:
        answers.append(await server.send(session_id, request_id="r-1", on_busy="queue"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(again)
        gate.open()
    assert answers[0].json()["run_id"] == run_id
    assert answers[0].json()["response"] == "Once."


async def test_another_body_under_the_same_request_id_is_a_conflict(server: Server) -> None:
    session_id = await server.session()
    await server.send(session_id, "one", request_id="r-1")
    status, code, message = error_of(await server.send(session_id, "two", request_id="r-1"))
    assert (status, code) == (409, "request_id_conflict")
    assert "'r-1'" in message


async def test_an_idempotency_key_is_the_request_id(server: Server) -> None:
    session_id = await server.session()
    key = {"Idempotency-Key": "k-1"}
    first = await server.send(session_id, headers=key)
    again = await server.send(session_id, request_id="k-1")
    assert again.json() == first.json()
    differs = await server.send(session_id, headers=key, request_id="other")
    assert error_of(differs)[:2] == (400, "invalid_request")
    too_long = await server.send(session_id, headers={"Idempotency-Key": "k" * 256})
    assert error_of(too_long)[:2] == (400, "invalid_request")


async def test_a_failed_run_is_its_error_again_under_its_request_id(server: Server) -> None:
    session_id = await server.session()
    server.stage.play(RuntimeError("a bug in the model"))
    first = await server.send(session_id, request_id="r-1")
    again = await server.send(session_id, request_id="r-1")
    assert error_of(first)[:2] == error_of(again)[:2] == (500, "internal_error")
    assert first.headers["Location"] == again.headers["Location"]
    assert "a bug in the model" not in first.text + again.text


async def test_a_message_without_an_agent_or_with_an_unknown_one_is_refused(
    server: Server,
) -> None:
    session_id = (await server.client.post("/sessions")).json()["id"]
    status, code, message = error_of(await server.send(session_id))
    assert (status, code) == (400, "invalid_request")
    assert "`$.agent_id`" in message
    assert error_of(await server.send(session_id, agent_id="none"))[:2] == (404, "agent_not_found")


async def test_a_message_to_an_unknown_session_is_404_in_every_form(server: Server) -> None:
    agent_id = await server.agent()
    for path in ("message", "message/stream"):
        answer = await server.client.post(
            f"/sessions/nowhere/{path}", json={"message": "go", "agent_id": agent_id}
        )
        assert error_of(answer)[:2] == (404, "session_not_found")


async def test_a_message_that_cannot_fit_into_the_models_window_is_a_400(server: Server) -> None:
    session_id = await server.session()
    models = [ModelInfo("stage-1", "Stage 1", context_window=100)]
    server.runtime.providers.register(
        "stage", server.stage, default_model="stage-1", known_models=models
    )
    answer = await server.send(session_id, "x" * 1000)
    assert error_of(answer)[:2] == (400, "context_too_long")
    assert server.stage.requests == []
