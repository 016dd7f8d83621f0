"""A bug in one session's actor, as its clients, its neighbours and the operator see it."""

import logging
from typing import Any

import pytest
import trio

from server_kit import Server, error_of, until
from wingman.session import LiveRun
from wingman.session.actor import BeginAgain, SessionActor


@pytest.fixture(autouse=True)
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message "crash" meets a bug in the actor, beyond what a run's own boundary catches."""
    honest = SessionActor.receive

    async def receive(actor: SessionActor, message: LiveRun | BeginAgain) -> None:
        if isinstance(message, LiveRun) and message.record.message == "crash":
            actor.live.begin(message)
            raise ZeroDivisionError("a bug")
        await honest(actor, message)

    monkeypatch.setattr(SessionActor, "receive", receive)


async def actors(server: Server) -> dict[str, Any]:
    answer: dict[str, Any] = (await server.client.get("/actors")).json()
    return answer


async def test_a_crash_fails_its_message_and_the_session_goes_on_and_the_operator_is_told(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await server.session(), await server.session()
    await server.send(bad, "before")
    history = await server.history(bad)
    answers: list[Any] = []

    async def send(session_id: str, message: str) -> None:
        answers.append(await server.send(session_id, message))

    with caplog.at_level(logging.WARNING):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, bad, "crash")
            live = server.runtime._host.active.find(bad)
            assert live is not None
            await until(lambda: live.runs)
            nursery.start_soon(send, bad, "after")
            for _ in range(20):
                assert (await server.send(good)).status_code == 200
    crashed, after = sorted(answers, key=lambda answer: -answer.status_code)
    status, code, message = error_of_run(crashed)
    assert (status, code) == (500, "internal_error")
    assert "goes on from what is stored" in message
    assert "bug" not in message
    assert after.json()["stop_reason"] == "end_turn"
    now = await server.history(bad)
    assert now[: len(history)] == history
    assert len(now) == len(history) + 2
    [info] = [a for a in (await actors(server))["actors"] if a["name"] == f"session {bad}"]
    assert (info["restarts"], info["state"]) == (1, "idle")
    [other] = [a for a in (await actors(server))["actors"] if a["name"] == f"session {good}"]
    assert other["restarts"] == 0
    assert f"actor session {bad} crashed" in caplog.text
    assert f"actor session {bad} begins again in" in caplog.text
    assert "ZeroDivisionError: a bug" in caplog.text
    assert good not in caplog.text


def error_of_run(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


async def test_one_that_keeps_crashing_is_quarantined_and_its_messages_are_refused_with_the_reason(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.actor.supervision.Backoff.delay", lambda *_: 0.01)
    bad, good = await server.session(), await server.session()
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            assert (await server.send(bad, "crash")).status_code in (500, 503)
            assert (await server.send(good)).status_code == 200
    refused = await server.send(bad, "and now")
    status, code, message = error_of(refused)
    assert (status, code) == (503, "session_quarantined")
    assert int(refused.headers["Retry-After"]) >= 1
    assert "crashed too often" in message
    assert "ZeroDivisionError" in message
    shown = await actors(server)
    assert list(shown["quarantined"]) == [bad]
    assert "ZeroDivisionError" in shown["quarantined"][bad]
    assert f"Session {bad} crashed too often" in caplog.text
    # What it has is still read, and its neighbours go on.
    assert (await server.client.get(f"/sessions/{bad}")).status_code == 200
    assert (await server.send(good)).json()["response"] == "Hello."
    assert good not in caplog.text
