"""The end: what is refused, what may finish, what is said to those who listen, and how long."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from server_kit import Gate, Server, call, error_of, serving, until
from wingman import tool


@tool
async def hang() -> str:
    """Never return."""
    await trio.sleep_forever()
    return ""


async def draining(server: Server) -> None:
    """Begin the shutdown, and return when it has begun."""
    server.shutdown.set()
    await until(lambda: server.runtime._root.services.room.draining.is_set())


async def test_new_work_is_refused_while_what_runs_may_finish() -> None:
    async with serving(grace=5) as server:
        gate = Gate()
        session_id = await server.session()
        first = await server.send(session_id, request_id="r-1")
        server.stage.play("In ", gate, "time.")
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(await server.send(session_id))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await gate.reached.wait()
            await draining(server)
            for refused in (
                await server.send(session_id),
                await server.client.post(
                    f"/sessions/{session_id}/message/stream", json={"message": "go"}
                ),
                await server.client.post("/sessions"),
                await server.client.get("/ready"),
            ):
                assert error_of(refused)[:2] == (503, "shutting_down")
                assert int(refused.headers["Retry-After"]) >= 1
            # What needs no new run is answered as ever.
            assert (await server.send(session_id, request_id="r-1")).json() == first.json()
            assert (await server.client.get("/health")).status_code == 200
            assert (await server.client.get(f"/sessions/{session_id}")).status_code == 200
            gate.open()
        assert answers[0].json()["response"] == "In time."
        with trio.fail_after(1):
            await server.stopped.wait()


async def test_what_outlasts_the_grace_is_interrupted_and_kept() -> None:
    async with serving(tools=[hang], grace=0.1) as server:
        blocking, streaming = await server.session(tools=["hang"]), await server.session()
        gate = Gate()
        server.stage.play("Half ", gate)
        async with await server.wire() as wire, trio.open_nursery() as nursery:
            target = f"/sessions/{streaming}/message/stream"
            await wire.send("POST", target, {"message": "go"})
            await wire.head()
            await gate.reached.wait()
            server.stage.play(call("hang"))
            answers: list[httpx.Response] = []

            async def send() -> None:
                answers.append(await server.send(blocking))

            nursery.start_soon(send)
            await until(lambda: len(server.stage.requests) == 2)
            server.shutdown.set()
            with trio.fail_after(1.1):
                frames = await wire.frames()
                await server.stopped.wait()
    assert answers[0].json()["stop_reason"] == "interrupted"
    assert [frame.event for frame in frames] == ["text", "done"]
    assert frames[-1].data["response"] == "Half "
    assert frames[-1].data["stop_reason"] == "interrupted"


async def test_a_reader_of_a_session_is_told_that_the_server_goes() -> None:
    async with serving() as server:
        session_id = await server.session()
        async with await server.wire() as wire:
            await wire.send("GET", f"/sessions/{session_id}/events")
            await wire.head()
            live = server.runtime._host.active.find(session_id)
            assert live is not None
            await until(lambda: live.channel.readers == 1)
            server.shutdown.set()
            [frame] = await wire.frames()
            assert await wire.at_end()
    assert frame.event == "error"
    assert frame.data["code"] == "shutting_down"


async def test_who_waits_for_a_queued_run_is_told_and_the_run_starts_next_time(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "w.db") as server:
        gate = Gate()
        session_id = await server.session()
        server.stage.play("First ", gate)
        await server.start(session_id, "one")
        await gate.reached.wait()
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(await server.send(session_id, "two"))

        async with await server.wire() as wire, trio.open_nursery() as nursery:
            nursery.start_soon(send)
            live = server.runtime._host.active.find(session_id)
            assert live is not None
            await until(lambda: len(live.runs) == 2)
            await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "three"})
            head = await wire.head()
            server.shutdown.set()
            frames = await wire.frames()
        run_id = answers[0].headers["Location"].rpartition("/")[2]
        third = head.headers["location"].rpartition("/")[2]
    error: dict[str, Any] = answers[0].json()["error"]
    assert (answers[0].status_code, error["code"]) == (503, "shutting_down")
    assert error["run_id"] == run_id
    assert "Retry-After" in answers[0].headers
    assert [(f.event, f.data["code"], f.data["run_id"]) for f in frames] == [
        ("error", "shutting_down", third)
    ]
    async with serving(tmp_path / "w.db") as server:
        for queued in (run_id, third):
            assert (await server.ended(session_id, queued))["status"] == "completed"
        runs = (await server.client.get(f"/sessions/{session_id}/runs")).json()
        assert sorted(run["status"] for run in runs) == ["completed", "completed", "interrupted"]


async def test_done_is_last_also_when_the_server_goes_at_that_moment() -> None:
    async with serving(grace=5) as server:
        sessions = [await server.session() for _ in range(20)]
        gates = [Gate() for _ in sessions]
        streams: list[list[str]] = []

        async def stream(session_id: str) -> None:
            streams.append([frame.event for frame in await server.streamed(session_id)])

        async with trio.open_nursery() as nursery:
            for session_id, gate in zip(sessions, gates, strict=True):
                server.stage.play("Bye.", gate)
                nursery.start_soon(stream, session_id)
            for gate in gates:
                await gate.reached.wait()
            await draining(server)
            for gate in gates:
                gate.open()
    assert streams == [["text", "done"]] * 20


async def test_idle_connections_do_not_delay_the_end() -> None:
    async with serving() as server:
        fresh, used, streamed = [await server.wire() for _ in range(3)]
        session_id = await server.session()
        await used.ask("GET", "/health")
        await streamed.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        await streamed.head()
        await streamed.frames()
        server.shutdown.set()
        with trio.fail_after(0.5):
            await server.stopped.wait()
        for wire in (fresh, used, streamed):
            async with wire:
                assert await wire.at_end()


async def test_nobody_gets_in_after_the_end() -> None:
    async with serving() as server:
        server.shutdown.set()
        await server.stopped.wait()
        with pytest.raises(httpx.ConnectError):
            await server.client.get("/health")


async def test_a_client_that_waits_for_a_run_is_answered_before_the_end() -> None:
    async with serving(grace=0) as server:
        gate = Gate()
        session_id = await server.session()
        server.stage.play(gate)
        run_id = await server.start(session_id)
        await gate.reached.wait()
        async with await server.wire() as wire:
            await wire.send("GET", f"/sessions/{session_id}/runs/{run_id}?wait=60")
            await trio.testing.wait_all_tasks_blocked(0.05)
            server.shutdown.set()
            head, body = await wire.answer()
    assert head.status == 200
    assert b'"status":"interrupted"' in body
