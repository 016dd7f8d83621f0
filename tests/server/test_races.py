"""Fifty clients at once, each on a connection of its own."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio

from server_kit import Gate, Server, error_of, serving, until

CLIENTS = 50
ALL_KEPT = httpx.Limits(max_keepalive_connections=CLIENTS)


async def race(server: Server, session_id: str, answers: list[httpx.Response], **more: Any) -> None:
    """Fifty connections that stand open, and a message on each in one moment."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, limits=ALL_KEPT) as client:

        async def one(number: int) -> None:
            body = {"message": f"{number}", **more}
            answers.append(await client.post(f"/sessions/{session_id}/message", json=body))

        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(client.get, "/health")
        async with trio.open_nursery() as nursery:
            for number in range(CLIENTS):
                nursery.start_soon(one, number)


async def raced(server: Server, session_id: str, **more: Any) -> list[httpx.Response]:
    """The answers of a race that nothing else takes part in."""
    answers: list[httpx.Response] = []
    await race(server, session_id, answers, **more)
    assert len(answers) == CLIENTS
    return answers


async def asked(server: Server, session_id: str) -> list[str]:
    """The messages that the history has."""
    history = await server.history(session_id)
    return [m["content"][0]["text"] for m in history if m["role"] == "user"]


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_one_request_id_sent_by_fifty_is_one_run_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "w.db") as server:
        session_id = await server.session()
        answers = await raced(server, session_id, message="once", request_id="r-1")
        assert len(server.stage.requests) == 1
    async with serving(tmp_path / "w.db") as server:
        answers += await raced(server, session_id, message="once", request_id="r-1")
        assert server.stage.requests == []
        assert await asked(server, session_id) == ["once"]
    assert statuses(answers) == {200: 2 * CLIENTS}
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1


async def test_of_fifty_bodies_under_one_request_id_one_runs_and_the_others_conflict(
    server: Server,
) -> None:
    session_id = await server.session()
    answers = await raced(server, session_id, request_id="r-1")
    assert statuses(answers) == {200: 1, 409: CLIENTS - 1}
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {error_of(answer)[1] for answer in refused} == {"request_id_conflict"}
    assert len(await asked(server, session_id)) == len(server.stage.requests) == 1


async def test_queue_takes_all_fifty_in_the_order_that_their_runs_were_admitted(
    server: Server,
) -> None:
    session_id = await server.session()
    answers = await raced(server, session_id)
    assert statuses(answers) == {200: CLIENTS}
    listed = (await server.client.get(f"/sessions/{session_id}/runs?limit=1000")).json()
    admitted = [run["message"] for run in sorted(listed, key=lambda run: run["created_at"])]
    assert sorted(admitted) == sorted(f"{number}" for number in range(CLIENTS))
    assert await asked(server, session_id) == admitted
    for answer in answers:
        assert answer.json()["stop_reason"] == "end_turn"


async def test_reject_lets_one_of_fifty_in(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate, "Done.")
    answers: list[httpx.Response] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(race, server, session_id, answers, on_busy="reject"))
        await until(lambda: len(answers) == CLIENTS - 1)
        gate.open()
    assert statuses(answers) == {200: 1, 409: CLIENTS - 1}
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {error_of(answer)[1] for answer in refused} == {"session_busy"}
    assert len(await asked(server, session_id)) == 1


async def test_interrupts_of_fifty_are_all_answered_and_the_last_is_the_one_that_stays(
    server: Server,
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.scenes += [(gate, "Done.")] * CLIENTS
    answers: list[httpx.Response] = []

    async def admitted() -> list[dict[str, Any]]:
        listed = (await server.client.get(f"/sessions/{session_id}/runs?limit=1000")).json()
        return sorted(listed, key=lambda run: run["created_at"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(race, server, session_id, answers, on_busy="interrupt"))
        with trio.fail_after(20):
            while len(await admitted()) < CLIENTS:
                pass
        gate.open()
    assert statuses(answers) == {200: CLIENTS}
    first, *_, last = await admitted()
    assert (first["status"], last["status"]) == ("cancelled", "completed")
    reasons = Counter(answer.json()["stop_reason"] for answer in answers)
    assert set(reasons) == {"cancelled", "end_turn"}
    assert reasons["cancelled"] >= CLIENTS // 2
    # The next message finds the session as it should be.
    assert (await server.send(session_id)).json()["stop_reason"] == "end_turn"
