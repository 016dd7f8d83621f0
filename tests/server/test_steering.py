"""Steering over HTTP: messages that the run in flight is to read at its next step."""

from typing import Any

import httpx
import trio

from server_kit import Gate, Server, call, error_of, until
from session_kit import live_of

ASYNC = {"Prefer": "respond-async"}


async def steer(server: Server, session_id: str, message: str, **more: Any) -> httpx.Response:
    """Send a message that is to steer, and do not wait."""
    return await server.send(session_id, message, headers=ASYNC, on_busy="steer", **more)


async def in_flight(server: Server, *scene: Any, **agent: Any) -> tuple[str, str, Gate]:
    """A session with a run in flight that waits at a gate: their ids, and the gate."""
    gate = Gate()
    session_id = await server.session(**agent)
    server.stage.play(gate, *(scene or ("First.",)))
    run_id = await server.start(session_id)
    await gate.reached.wait()
    return session_id, run_id, gate


def texts(history: list[dict[str, Any]]) -> list[str]:
    return [block["text"] for m in history for block in m["content"] if block["type"] == "text"]


async def run_of(server: Server, session_id: str, run_id: str) -> httpx.Response:
    return await server.client.get(f"/sessions/{session_id}/runs/{run_id}")


async def test_words_are_read_by_the_run_in_flight_and_its_result_is_theirs(
    server: Server,
) -> None:
    session_id, run_id, gate = await in_flight(server)
    answer = await steer(server, session_id, "the other way")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["disposition"], body["steers"]) == ("steered", run_id)
    target = f"/sessions/{session_id}/message"
    results: list[dict[str, Any]] = []

    async def send_and_wait() -> None:
        told = await server.client.post(target, json={"message": "now", "on_busy": "steer"})
        assert told.status_code == 200
        results.append(told.json())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_and_wait)
        await until(lambda: len(live_of(server.runtime, session_id).runs) == 3)
        gate.open()
    assert [result["run_id"] for result in results] == [run_id]
    assert results[0]["response"] == "Hello."
    history = await server.history(session_id)
    assert texts(history) == ["go", "First.", "the other way", "now", "Hello."]
    listed = (await server.client.get(f"/sessions/{session_id}/runs?status=steered")).json()
    assert [run["steers"] for run in listed] == [run_id, run_id]


async def test_words_come_after_the_results_of_the_step_and_are_an_event(server: Server) -> None:
    session_id, run_id, gate = await in_flight(server, call("bash", command="echo seen"))
    async with await server.wire() as wire:
        await wire.send("GET", f"/sessions/{session_id}/events")
        await wire.head()
        words = (await steer(server, session_id, "look closer")).json()["run_id"]
        gate.open()
        seen = []
        while (frame := await wire.frame()) is not None:
            seen.append(frame)
            if frame.event == "done":
                break
    kinds = [frame.event for frame in seen]
    place = kinds.index("steered")
    assert kinds.index("tool_result") < place
    assert seen[place].data["message_id"] == words
    assert seen[place].data["text"] == "look closer"
    assert (await server.ended(session_id, run_id))["status"] == "completed"
    message = (await server.history(session_id))[2:4]
    assert "tool_result" in [block["type"] for m in message for block in m["content"]]
    assert texts(message)[-1] == "look closer"


async def test_with_nothing_in_flight_words_are_a_run_of_their_own(server: Server) -> None:
    session_id = await server.session()
    answer = await steer(server, session_id, "go on")
    body = answer.json()
    assert body["disposition"] == "started"
    assert "steers" not in body
    run = await server.ended(session_id, body["run_id"])
    assert run["status"] == "completed"
    assert texts(await server.history(session_id)) == ["go on", "Hello."]


async def test_words_for_a_run_that_is_queued_or_has_ended_are_refused(server: Server) -> None:
    session_id, run_id, gate = await in_flight(server)
    second = await server.start(session_id, "second")
    answer = await steer(server, session_id, "late", expect_run=second)
    assert error_of(answer)[:2] == (409, "run_queued")
    gate.open()
    await server.ended(session_id, run_id)
    await server.ended(session_id, second)
    for answer in (
        await steer(server, session_id, "late", expect_run=run_id),
        await server.client.post(
            f"/sessions/{session_id}/runs/{run_id}/steer", json={"message": "late"}
        ),
    ):
        assert error_of(answer)[:2] == (409, "run_ended")
    assert "late" not in texts(await server.history(session_id))
    unknown = await server.client.post(
        f"/sessions/{session_id}/runs/{'0' * 26}/steer", json={"message": "late"}
    )
    assert unknown.status_code == 404


async def test_expect_run_goes_with_steer_alone_and_a_stream_has_no_words(server: Server) -> None:
    session_id = await server.session()
    answer = await server.send(session_id, "go", expect_run="0" * 26)
    assert error_of(answer)[:2] == (400, "invalid_request")
    answer = await server.client.post(
        f"/sessions/{session_id}/message/stream", json={"message": "go", "on_busy": "steer"}
    )
    assert answer.status_code == 400
    assert texts(await server.history(session_id)) == []


async def test_a_run_may_be_steered_by_its_id_and_a_request_id_works_as_everywhere(
    server: Server,
) -> None:
    session_id, run_id, gate = await in_flight(server)
    target = f"/sessions/{session_id}/runs/{run_id}/steer"
    body = {"message": "once", "request_id": "the-first"}
    first, again = [(await server.client.post(target, json=body)) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    other = await server.client.post(target, json={**body, "message": "another"})
    assert other.status_code == 409
    gate.open()
    await server.ended(session_id, run_id)
    assert texts(await server.history(session_id)).count("once") == 1
    late = await server.client.post(target, json=body)
    assert late.status_code == 202, late.text
    assert texts(await server.history(session_id)).count("once") == 1


async def test_words_without_an_agent_have_that_of_the_run_they_steer(server: Server) -> None:
    agent_id = await server.agent()
    session_id = (await server.client.post("/sessions", json={})).json()["id"]
    gate = Gate()
    server.stage.play(gate, "First.")
    run_id = await server.start(session_id, agent_id=agent_id)
    await gate.reached.wait()
    answer = await server.client.post(
        f"/sessions/{session_id}/runs/{run_id}/steer", json={"message": "words"}
    )
    assert answer.status_code == 202, answer.text
    gate.open()
    await server.ended(session_id, run_id)
    assert texts(await server.history(session_id)) == ["go", "First.", "words", "Hello."]


async def test_a_message_that_nobody_has_read_is_taken_back(server: Server) -> None:
    session_id, run_id, gate = await in_flight(server)
    words = (await steer(server, session_id, "never mind")).json()["run_id"]
    target = f"/sessions/{session_id}/messages/{words}"
    answer = await server.client.delete(target)
    assert answer.status_code == 200
    assert [entry["run_id"] for entry in answer.json()["cancelled"]] == [words]
    gate.open()
    assert (await server.ended(session_id, run_id))["status"] == "completed"
    assert texts(await server.history(session_id)) == ["go", "First."]
    assert (await run_of(server, session_id, words)).json()["status"] == "cancelled"


async def test_a_message_that_was_read_is_not_taken_back(server: Server) -> None:
    session_id, run_id, gate = await in_flight(server)
    words = (await steer(server, session_id, "read this")).json()["run_id"]
    for message in (run_id, words):
        if message == words:
            gate.open()
            await server.ended(session_id, run_id)
        answer = await server.client.delete(f"/sessions/{session_id}/messages/{message}")
        assert error_of(answer)[:2] == (409, "message_read")
    answer = await server.client.delete(f"/sessions/{session_id}/messages/{'0' * 26}")
    assert answer.status_code == 404


async def test_the_receipt_of_a_cancel_has_the_text_that_nobody_has_read(server: Server) -> None:
    session_id, run_id, _gate = await in_flight(server)
    words = [(await steer(server, session_id, text)).json()["run_id"] for text in ("one", "two")]
    answer = await server.client.post(f"/sessions/{session_id}/runs/{run_id}/cancel")
    assert answer.status_code == 200
    receipt = answer.json()["cancelled"]
    assert [(entry["run_id"], entry.get("unread")) for entry in receipt] == [
        (run_id, None),
        (words[0], "one"),
        (words[1], "two"),
    ]
    for each in words:
        assert (await run_of(server, session_id, each)).json()["status"] == "cancelled"
    assert (await server.send(session_id, "next")).status_code == 200
    sent = texts(await server.history(session_id))
    assert "one" not in sent
    assert "two" not in sent


async def test_a_run_that_interrupts_leaves_unread_words_a_run_of_their_own(
    server: Server,
) -> None:
    session_id, run_id, _gate = await in_flight(server)
    words = (await steer(server, session_id, "words")).json()["run_id"]
    newcomer = await server.start(session_id, "urgent", on_busy="interrupt")
    assert (await server.ended(session_id, run_id))["status"] == "cancelled"
    for each in (words, newcomer):
        assert (await server.ended(session_id, each))["status"] == "completed"
    sent = texts(await server.history(session_id))
    assert [sent.count(text) for text in ("words", "urgent")] == [1, 1]
