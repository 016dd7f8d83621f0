"""A store that fails, as clients see it: 503, how things stand, and nothing that is not so."""

import httpx
import pytest
import trio

import wingman.session.actor
from server_kit import Gate, Server, call, error_of, serving, until
from session_kit import BreakableStore, LateStore
from wingman import tool
from wingman.errors import StoreUnavailable
from wingman.store import MemoryStore, RunEnded, RunQueued, SessionSaved


def unavailable(answer: httpx.Response) -> str:
    """The message of a 503 `store_unavailable`, which says when to ask again."""
    status, code, message = error_of(answer)
    assert (status, code) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    return message


async def test_a_receipt_does_not_lie_and_a_second_cancel_is_told_the_same() -> None:
    store = BreakableStore()
    async with serving(store) as server:
        session_id = await server.session()
        gate = Gate()
        server.stage.play(gate, "One.")
        first = await server.start(session_id)
        await gate.reached.wait()
        queued = await server.start(session_id, "two")
        store.break_down()
        for path in (f"/sessions/{session_id}/runs/{queued}/cancel",) * 2:
            message = unavailable(await server.client.post(path))
            assert f"run {queued} is still queued" in message
            assert "shutting down" not in message
        run = (await server.client.get(f"/sessions/{session_id}/runs/{queued}")).json()
        assert run["status"] == "queued"
        store.mend()
        gate.open()
        assert (await server.ended(session_id, first))["status"] == "completed"
        assert (await server.ended(session_id, queued))["status"] == "completed"


async def test_a_message_that_is_not_taken_says_so_and_leaves_its_request_id_free() -> None:
    store = BreakableStore()
    async with serving(store) as server:
        session_id = await server.session()
        gate = Gate()
        server.stage.play(gate, "One.")
        first = await server.start(session_id)
        await gate.reached.wait()
        store.break_down()
        for _ in range(6):
            answer = await server.send(session_id, "x", request_id="r", on_busy="interrupt")
            assert "was not taken" in unavailable(answer)
            assert "Location" not in answer.headers
        streamed = await server.client.post(
            f"/sessions/{session_id}/message/stream", json={"message": "x"}
        )
        assert "was not taken" in unavailable(streamed)
        assert "full" in unavailable(await server.client.get("/ready"))
        assert (await server.client.get("/health")).status_code == 200
        assert "full" in unavailable(await server.client.post("/sessions", json={}))
        store.mend()
        assert (await server.client.get("/ready")).json() == {"status": "ready"}
        taken = await server.start(session_id, "y", request_id="r")
        gate.open()
        assert (await server.ended(session_id, first))["status"] == "completed"
        assert (await server.ended(session_id, taken))["status"] == "completed"
        runs = (await server.client.get(f"/sessions/{session_id}/runs")).json()
        assert [run["id"] for run in runs] == [taken, first]


async def test_a_blocking_client_is_not_kept_by_a_store_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wingman.session.actor, "_PATIENCE", 0.2)
    store = BreakableStore()
    async with serving(store) as server:
        session_id = await server.session()
        gate = Gate()
        server.stage.play(gate, "One.")
        answers: list[httpx.Response] = []

        async def send() -> None:
            answers.append(await server.send(session_id, "go", request_id="r"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await gate.reached.wait()
            store.break_down(RunEnded)
            gate.open()
        [answer] = answers
        assert "its end is not recorded yet" in unavailable(answer)
        run_id = answer.json()["error"]["run_id"]
        assert answer.headers["Location"] == f"/sessions/{session_id}/runs/{run_id}"
        run = (await server.client.get(answer.headers["Location"])).json()
        assert run["status"] == "running"
        store.mend()
        run = await server.ended(session_id, run_id)
        assert (run["status"], run["error"]["code"]) == ("failed", "store_unavailable")
        assert "goes on from what is stored" in run["error"]["message"]
        assert (await server.send(session_id)).status_code == 200


async def test_cancel_all_reaches_what_is_stored_while_the_server_drains() -> None:
    store = MemoryStore()
    async with serving(store, grace=20) as server:
        session_id = await server.session()
        gate = Gate()
        server.stage.play(gate, "One.")
        first = await server.start(session_id)
        await gate.reached.wait()
        queued = [await server.start(session_id, str(number)) for number in range(2)]
        one = await server.start(session_id, "by name")
        server.shutdown.set()
        await until(lambda: server.runtime.status().unready)
        answer = await server.client.post(f"/sessions/{session_id}/runs/{one}/cancel")
        assert [run["run_id"] for run in answer.json()["cancelled"]] == [one]
        answer = await server.client.post(f"/sessions/{session_id}/cancel", json={"queued": True})
        cancelled = {run["run_id"]: run["was"] for run in answer.json()["cancelled"]}
        assert cancelled == {first: "running", queued[0]: "queued", queued[1]: "queued"}
    async with serving(store) as server:
        runs = (await server.client.get(f"/sessions/{session_id}/runs")).json()
        assert [run["status"] for run in runs] == ["cancelled"] * 4
        assert server.stage.requests == []


async def test_a_queued_run_waits_for_its_key_over_starts_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    store = MemoryStore()
    async with serving(store, grace=20) as server:
        session_id = await server.session()
        gate = Gate()
        server.stage.play(gate, "One.")
        await server.start(session_id)
        await gate.reached.wait()
        agent_id = await server.agent(provider={"id": "anthropic", "model": "claude"})
        queued = await server.start(session_id, "two", agent_id=agent_id)
        server.shutdown.set()
        gate.open()
        await server.stopped.wait()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    for _ in range(2):
        async with serving(store) as server:
            path = f"/sessions/{session_id}/runs/{queued}"

            async def waiting(server: Server = server, path: str = path) -> dict[str, str]:
                while True:
                    run = (await server.client.get(path)).json()
                    assert (run["status"], run["error"]) == ("queued", None)
                    if "waiting_for" in run:
                        found: dict[str, str] = run["waiting_for"]
                        return found

            with trio.fail_after(5):
                reason = await waiting()
            assert reason["code"] == "provider_not_configured"
            assert "ANTHROPIC_API_KEY" in reason["message"]
    async with serving(store) as server:
        # It starts by itself when the key is there; that nobody answers at that place is its end.
        body = {"providers": {"anthropic": {"type": "api_key", "key": "sk-ant-2"}}}
        assert (await server.client.put("/provider/auth", json=body)).status_code == 200
        await server.client.post(f"/sessions/{session_id}/runs/{queued}/cancel")
        run = await server.ended(session_id, queued)
        assert run["started_at"] is not None or run["status"] == "cancelled"
        assert "waiting_for" not in run


async def test_a_request_id_is_looked_at_before_the_agent(server: Server) -> None:
    agent_id = await server.agent()
    session_id = (await server.client.post("/sessions", json={"agent_id": agent_id})).json()["id"]
    named = await server.send(session_id, "go", agent_id=agent_id, request_id="named")
    default = await server.send(session_id, "go", request_id="default")
    other = await server.agent(name="Other")
    await server.client.put(f"/sessions/{session_id}", json={"agent_id": other})
    again = await server.send(session_id, "go", request_id="default")
    assert again.json() == default.json()
    await server.client.delete(f"/agents/{agent_id}")
    again = await server.send(session_id, "go", agent_id=agent_id, request_id="named")
    assert again.json() == named.json()
    # Another body is another body, whatever has become of the agent.
    conflict = await server.send(session_id, "go", agent_id=other, request_id="named")
    assert error_of(conflict)[:2] == (409, "request_id_conflict")
    fresh = await server.send(session_id, "go", agent_id=agent_id, request_id="fresh")
    assert error_of(fresh)[:2] == (404, "agent_not_found")


async def test_a_client_that_leaves_during_a_slow_commit_ends_its_run() -> None:
    store = LateStore(RunQueued)
    async with serving(store) as server:
        session_id = await server.session()
        server.stage.play(Gate())
        async with await server.wire() as wire:
            body = {"message": "go", "on_disconnect": "cancel"}
            await wire.send("POST", f"/sessions/{session_id}/message", body)
            await until(lambda: any(isinstance(c, RunQueued) for c in store.written))
        await until(lambda: any(isinstance(c, RunEnded) for c in store.written))
        [run] = (await server.client.get(f"/sessions/{session_id}/runs")).json()
        assert run["status"] == "cancelled"


async def test_runs_that_recovery_ends_are_counted() -> None:
    store = BreakableStore()
    async with serving(store) as server:
        session_id = await server.session()
        server.stage.play("Let me see.", call("read", path="README.md"))
        gate = Gate()
        server.stage.play(gate)
        await server.start(session_id)
        await gate.reached.wait()
        store.break_down(RunEnded)
    store.mend()
    assert [run.status for run in await store.runs()] == ["running"]
    async with serving(store) as server:
        metrics = (await server.client.get("/metrics")).text
        assert 'wingman_runs_total{status="interrupted"} 1.0' in metrics


@tool
async def leave(how: str) -> str:
    """Leave in some way."""
    await trio.lowlevel.checkpoint()
    if how == "exit":
        raise SystemExit(2)
    if how == "generator":
        raise GeneratorExit
    if how == "group":
        raise BaseExceptionGroup("several", [SystemExit(3), ValueError("and this")])
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit", "SystemExit: 2"),
        ("generator", "GeneratorExit"),
        ("group", "SystemExit: 3; ValueError: and this"),
        ("interrupt", "KeyboardInterrupt"),
    ],
)
async def test_what_a_tool_raises_is_its_own_failure_and_nobody_elses(how: str, said: str) -> None:
    async with serving(tools=[leave]) as server:
        session_id, other = await server.session(tools=["leave"]), await server.session()
        gate = Gate()
        server.stage.play(gate, "Still here.")
        run_id = await server.start(other)
        await gate.reached.wait()
        server.stage.play(call("leave", how=how))
        result = (await server.send(session_id)).json()
        [leaving] = result["tool_calls"]
        assert leaving["is_error"]
        assert leaving["output"] == f"The tool failed: {said}"
        assert result["response"] == "Hello."
        gate.open()
        assert (await server.ended(other, run_id))["status"] == "completed"


async def test_a_title_that_is_not_recorded_is_not_shown() -> None:
    store = BreakableStore()
    async with serving(store) as server:
        session_id = await server.session()
        await server.send(session_id)
        store.break_down(SessionSaved)
        unavailable(await server.client.put(f"/sessions/{session_id}", json={"title": "New"}))
        store.mend()
        assert (await server.client.get(f"/sessions/{session_id}")).json()["title"] is None


async def test_a_change_that_is_recorded_is_not_said_to_be_refused_where_it_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unreadable(*_: object) -> None:
        raise StoreUnavailable("The connection was lost.")

    async with serving(MemoryStore()) as server:
        session_id = await server.session()
        with monkeypatch.context() as store:
            store.setattr("wingman.runtime.Runtime.read_session", unreadable)
            store.setattr("wingman.runtime.Runtime.describe", unreadable)
            change = {"title": "New"}
            message = unavailable(await server.client.put(f"/sessions/{session_id}", json=change))
            assert f"The change of session {session_id} is recorded" in message
            assert "is recorded" in unavailable(await server.client.post("/sessions", json={}))
        assert (await server.client.get(f"/sessions/{session_id}")).json()["title"] == "New"
        assert len((await server.client.get("/sessions")).json()) == 2
