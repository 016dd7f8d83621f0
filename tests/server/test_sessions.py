"""/sessions: create, list in pages, read, change, delete."""

from pathlib import Path

import pytest
import trio

from server_kit import Gate, Server, call, error_of, lingering, serving


async def test_a_session_is_made_where_it_is_to_work(server: Server, tmp_path: Path) -> None:
    body = {"work_dir": str(tmp_path), "title": "First"}
    made = await server.client.post("/sessions", json=body)
    session = made.json()
    assert made.status_code == 201
    assert made.headers["Location"] == f"/sessions/{session['id']}"
    assert session == {
        "id": session["id"],
        "work_dir": str(tmp_path),
        "title": "First",
        "agent_id": None,
        "status": "idle",
        "last_event_id": session["last_event_id"],
        "created_at": session["created_at"],
        "updated_at": session["created_at"],
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "history": [],
    }
    assert (await server.client.get(made.headers["Location"])).json() == session


async def test_a_session_shows_its_history_usage_and_what_it_is_doing(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("read me")
    gate = Gate()
    agent_id = await server.agent(tools=["bash"])
    body = {"work_dir": str(tmp_path), "agent_id": agent_id}
    session_id = (await server.client.post("/sessions", json=body)).json()["id"]
    server.stage.play(call("bash", command="ls"))
    server.stage.play("One ", gate, "file.")
    run_id = await server.start(session_id, "What is here?")
    await gate.reached.wait()
    assert (await server.client.get(f"/sessions/{session_id}")).json()["status"] == "running"
    gate.open()
    await server.ended(session_id, run_id)
    session = (await server.client.get(f"/sessions/{session_id}")).json()
    assert session["status"] == "idle"
    assert session["usage"] == {"input_tokens": 20, "output_tokens": 10}
    use = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}}
    result = {"tool_use_id": "toolu_1", "content": "README.md\n", "is_error": False}
    assert session["history"] == [
        {"role": "user", "content": [{"type": "text", "text": "What is here?"}]},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [{"type": "tool_result", **result}]},
        {"role": "assistant", "content": [{"type": "text", "text": "One file."}]},
    ]


async def test_sessions_are_listed_newest_first_in_pages_without_histories(
    server: Server,
) -> None:
    made = [(await server.client.post("/sessions")).json()["id"] for _ in range(7)]
    target = "/sessions?limit=3"
    pages = []
    while target:
        answer = await server.client.get(target)
        pages.append([session["id"] for session in answer.json()])
        assert all("history" not in session for session in answer.json())
        target = answer.links.get("next", {}).get("url", "")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [id for page in pages for id in page] == made[::-1]


async def test_a_page_is_not_moved_by_what_comes_after(server: Server) -> None:
    made = [(await server.client.post("/sessions")).json()["id"] for _ in range(4)]
    first = await server.client.get("/sessions?limit=2")
    await server.client.post("/sessions")
    await server.client.delete(f"/sessions/{made[2]}")
    second = await server.client.get(first.links["next"]["url"])
    assert [session["id"] for session in second.json()] == [made[1], made[0]]
    assert "next" not in second.links


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=100000", "limit=-1", "cursor=x", "limit=" + "9" * 5000]
)
async def test_a_wrong_page_is_refused(server: Server, query: str) -> None:
    status, code, message = error_of(await server.client.get(f"/sessions?{query}"))
    assert (status, code) == (400, "invalid_request")
    assert f"`?{query.partition('=')[0]}`" in message


async def test_put_changes_title_agent_and_work_dir_for_the_next_run(
    server: Server, tmp_path: Path
) -> None:
    session_id = await server.session(tools=["bash"])
    session = (await server.client.get(f"/sessions/{session_id}")).json()
    session |= {"title": "New", "work_dir": str(tmp_path)}
    # All that was read is sent back: history and the like are ignored.
    answer = await server.client.put(f"/sessions/{session_id}", json=session | {"history": [1]})
    assert answer.status_code == 200
    assert (answer.json()["title"], answer.json()["history"]) == ("New", [])
    server.stage.play(call("bash", command="pwd"))
    sent = await server.send(session_id)
    assert sent.json()["tool_calls"][0]["output"] == f"{tmp_path}\n"
    cleared = await server.client.put(f"/sessions/{session_id}", json={"title": None})
    assert cleared.json()["title"] is None
    assert cleared.json()["work_dir"] == str(tmp_path)


async def test_put_refuses_what_is_unknown_or_wrong(server: Server) -> None:
    session_id = await server.session()
    target = f"/sessions/{session_id}"
    for body, path in (
        ({"titel": "x"}, "titel"),
        ({"title": 1}, "`$.title`"),
        ({"work_dir": "/no/such/place"}, "`$.work_dir`"),
        ({"work_dir": None}, "`$.work_dir`"),
    ):
        status, code, message = error_of(await server.client.put(target, json=body))
        assert (status, code) == (400, "invalid_request")
        assert path in message
    unknown = await server.client.put(target, json={"agent_id": "nobody"})
    assert error_of(unknown)[:2] == (404, "agent_not_found")
    nowhere = await server.client.put("/sessions/nowhere", json={"title": "x"})
    assert error_of(nowhere)[:2] == (404, "session_not_found")


async def test_a_session_with_an_unknown_agent_is_not_made(server: Server) -> None:
    answer = await server.client.post("/sessions", json={"agent_id": "nobody"})
    assert error_of(answer)[:2] == (404, "agent_not_found")
    assert (await server.client.get("/sessions")).json() == []


async def test_a_deleted_session_is_404_for_all(server: Server) -> None:
    session_id = await server.session()
    run_id = (await server.send(session_id)).json()["run_id"]
    answer = await server.client.delete(f"/sessions/{session_id}")
    assert (answer.status_code, answer.json()) == (200, {"status": "deleted"})
    assert (await server.client.get("/sessions")).json() == []
    assert (await server.client.get("/runs")).json() == []
    message = {"message": "go", "agent_id": server._agent_id}
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"title": "x"}),
        ("DELETE", "", None),
        ("POST", "/message", message),
        ("POST", "/message/stream", message),
        ("GET", "/events", None),
        ("GET", "/runs", None),
        ("POST", "/cancel", {}),
    ):
        gone = await server.client.request(method, f"/sessions/{session_id}{path}", json=body)
        assert error_of(gone)[:2] == (404, "session_not_found"), path
    for path in (f"/runs/{run_id}", f"/runs/{run_id}?wait=1"):
        gone = await server.client.get(f"/sessions/{session_id}{path}")
        assert gone.status_code == 404
    gone = await server.client.post(f"/sessions/{session_id}/runs/{run_id}/cancel")
    assert gone.status_code == 404


async def test_deleting_a_session_ends_its_run_and_frees_all_who_wait() -> None:
    stopping, may_stop = trio.Event(), trio.Event()
    async with serving(tools=[lingering(may_stop, stopping)]) as server:
        session_id = await server.session(tools=["lingers"])
        server.stage.play("First ", call("lingers"))
        answers = []

        async def send() -> None:
            answers.append(await server.send(session_id))

        async with await server.wire() as wire, trio.open_nursery() as nursery:
            await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
            await wire.head()
            assert [(await wire.frame()).event for _ in range(2)] == ["text", "tool_use"]  # type: ignore[union-attr]
            nursery.start_soon(send)
            runs = f"/sessions/{session_id}/runs"
            while len((await server.client.get(runs)).json()) < 2:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(server.client.delete, f"/sessions/{session_id}")
            await stopping.wait()
            # It is being deleted, and is gone already for whoever asks.
            for path in ("", "/runs", "/events"):
                gone = await server.client.get(f"/sessions/{session_id}{path}")
                assert error_of(gone)[:2] == (404, "session_not_found"), path
            gone = await server.client.post(f"/sessions/{session_id}/cancel")
            assert error_of(gone)[:2] == (404, "session_not_found")
            may_stop.set()
            frames = await wire.frames()
    assert error_of(answers[0])[:2] == (404, "session_deleted")
    assert frames[-1].event == "error"
    assert frames[-1].data["code"] == "session_deleted"
    assert [frame.event for frame in frames].count("error") == 1


async def test_sessions_are_there_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path / "w.db") as server:
        session_id = await server.session()
        await server.send(session_id, "remember me")
        before = (await server.client.get(f"/sessions/{session_id}")).json()
        ended = (await server.client.get(f"/sessions/{session_id}/runs")).json()
    async with serving(tmp_path / "w.db") as server:
        after = (await server.client.get(f"/sessions/{session_id}")).json()
        assert after.pop("last_event_id") > before.pop("last_event_id")
        assert after == before
        assert (await server.client.get(f"/sessions/{session_id}/runs")).json() == ended
        assert (await server.send(session_id)).status_code == 200
