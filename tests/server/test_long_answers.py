"""Lists by cursor and without long texts; long histories in pieces."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from pictures import noise
from server_kit import Server, error_of, serving
from wingman.store import RunQueued, RunRecord, SessionErased, SessionRecord, SessionSaved
from wingman.store.sqlite import SQLStore

NOON = datetime(2025, 5, 17, 12, 0, tzinfo=UTC)


async def pages(server: Server, target: str) -> list[list[dict[str, Any]]]:
    """All pages of a list, as a client follows them."""
    found = []
    while target:
        answer = await server.client.get(target)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        target = answer.links.get("next", {}).get("url", "")
    return found


async def test_runs_are_paged_by_cursor_newest_first(server: Server) -> None:
    session_id, other = await server.session(), await server.session()
    made = [(await server.send(session_id, f"{n}")).json()["run_id"] for n in range(5)]
    await server.send(other)
    found = await pages(server, f"/sessions/{session_id}/runs?limit=2")
    assert [[run["id"] for run in page] for page in found] == [
        [made[4], made[3]],
        [made[2], made[1]],
        [made[0]],
    ]
    found = await pages(server, "/runs?limit=4&status=completed,failed")
    assert [len(page) for page in found] == [4, 2]
    assert [len(page) for page in await pages(server, "/runs?limit=6")] == [6]
    assert "Link" not in (await server.client.get("/runs")).headers


@pytest.mark.parametrize("durable", [True, False])
async def test_every_run_and_session_is_reached_whatever_comes_and_goes_between_two_pages(
    durable: bool, tmp_path: Any
) -> None:
    store = SQLStore(tmp_path / "one.db") if durable else "memory"
    async with serving(store) as server:
        write = server.runtime.store.write
        for number in range(250):
            session = SessionRecord(
                id=f"s{number}",
                work_dir="/",
                title=None,
                agent_id=None,
                created_at=NOON,
                updated_at=NOON,
            )
            run = RunRecord(
                id=f"r{number}",
                session_id=f"s{number}",
                message="go",
                agent_id="a",
                agent=None,
                created_at=NOON,
                status="failed" if number % 2 else "completed",
            )
            commit = write(SessionSaved(session), RunQueued(run))
        await commit.wait()

        async def reached(target: str) -> list[str]:
            found: list[str] = []
            while target:
                answer = await server.client.get(target)
                found += [entry["id"][1:] for entry in answer.json()]
                target = answer.links.get("next", {}).get("url", "")
                # The last that was given goes, and the newest of all; another one comes.
                id = await server.session()
                await server.send(id)
                for gone in (f"s{found[-1]}", id):
                    await server.client.delete(f"/sessions/{gone}")
                await server.send(await server.session())
            return found

        failed = [f"{number}" for number in range(249, 0, -2)]
        assert await reached("/runs?status=failed&limit=7") == failed
        assert await reached("/runs?status=completed,failed,queued&limit=100") != []
        for target in ("/runs?limit=50", "/sessions"):
            numbers = [each for each in await reached(target) if each.isdigit()]
            assert numbers == sorted(set(numbers), key=int, reverse=True)
            left = (await server.runtime.store.sessions(1000)).sessions
            stayed = {session.id[1:] for session in left if len(session.id) < 5}
            assert len(stayed) > 100
            assert stayed <= set(numbers)


@pytest.mark.parametrize("query", ["cursor=0", "cursor=x", "cursor=", "limit=0", "limit=1001"])
async def test_a_page_that_cannot_be_is_refused(server: Server, query: str) -> None:
    session_id = await server.session()
    for target in ("/runs", "/sessions", f"/sessions/{session_id}/runs", "/agents"):
        status, code, message = error_of(await server.client.get(f"{target}?{query}"))
        assert (status, code) == (400, "invalid_request")
        assert f"`?{query.partition('=')[0]}`" in message


async def test_a_list_of_large_runs_is_small_and_each_run_is_whole(server: Server) -> None:
    session_id = await server.session()
    data = base64.b64encode(noise((300, 300))).decode()
    image = {"media_type": "image/png", "data": data}
    for _ in range(4):
        server.stage.play("y" * 100_000)
        await server.send(session_id, "x" * 1_000_000, images=[image])
    await server.send(session_id, "small")
    answer = await server.client.get(f"/sessions/{session_id}/runs")
    assert len(answer.content) < 20_000
    small, *large = answer.json()
    for run in large:
        assert (run["message"], run["cut"]) == ("x" * 1000, True)
        assert run["result"]["response"] == "y" * 1000
        whole = (await server.client.get(f"/sessions/{session_id}/runs/{run['id']}")).json()
        assert (whole["message"], whole["result"]["response"]) == ("x" * 1_000_000, "y" * 100_000)
        assert "cut" not in whole
        assert set(run) - {"cut"} == set(whole)
    assert small == (await server.client.get(f"/sessions/{session_id}/runs/{small['id']}")).json()


async def fill(server: Server, session_id: str) -> None:
    for number in range(4):
        server.stage.play(f"answer {number}")
        await server.send(session_id, f"{number}" * 700_000)


@pytest.mark.parametrize("durable", [True, False])
async def test_a_long_history_is_answered_in_pieces_and_is_the_same(
    durable: bool, tmp_path: Any
) -> None:
    store = SQLStore(tmp_path / "one.db") if durable else "memory"
    async with serving(store) as server:
        session_id = await server.session()
        await fill(server, session_id)
        target = f"/sessions/{session_id}"
        answer = await server.client.get(target)
        assert "Content-Length" not in answer.headers
        assert answer.headers["Content-Type"] == "application/json"
        view = await server.runtime.describe(session_id)
        shown = answer.json()
        texts = [message["content"][0]["text"] for message in shown["history"]]
        assert texts == [message.text for message in view.history]  # type: ignore[union-attr]
        assert (shown["id"], shown["status"], shown["title"]) == (session_id, "idle", None)
        changed = await server.client.put(target, json={**shown, "title": "New"})
        assert changed.json()["history"] == shown["history"]
        assert (await server.client.head(target)).status_code == 200
        async with await server.wire() as wire:
            await wire.stream.send_all(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            assert json.loads((await wire.answer())[1])["history"] == shown["history"]
        assert (await server.client.get("/health")).status_code == 200


async def test_a_history_that_is_erased_while_it_is_sent_is_cut_off_and_not_completed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as server:
        session_id = await server.session()
        await fill(server, session_id)
        store = server.runtime.store
        read = store.history_page

        async def erase(id: str, after: int = 0, until: int | None = None) -> Any:
            if after > 5:
                await store.write(SessionErased(session_id)).wait()
            return await read(id, after, until)

        store.history_page = erase  # type: ignore[method-assign]
        with pytest.raises(httpx.RemoteProtocolError):
            await server.client.get(f"/sessions/{session_id}")
        assert (await server.client.get("/health")).status_code == 200
    [record] = [r for r in caplog.records if r.levelname == "WARNING"]
    assert "was cut off" in record.getMessage()
    assert not [r for r in caplog.records if r.exc_info]


async def test_a_title_that_no_list_could_show_is_refused(server: Server) -> None:
    session_id = await server.session()
    for answer in (
        await server.client.post("/sessions", json={"title": "x" * 4097}),
        await server.client.put(f"/sessions/{session_id}", json={"title": "x" * 4097}),
    ):
        status, _, message = error_of(answer)
        assert status == 400
        assert "`$.title`" in message
    assert (await server.client.post("/sessions", json={"title": "é" * 4096})).status_code == 201


async def test_a_history_is_read_from_its_end_a_part_at_a_time(server: Server) -> None:
    session_id = await server.session()
    for number in range(3):
        await server.send(session_id, f"{number}")
    whole = (await server.client.get(f"/sessions/{session_id}")).json()["history"]
    target = f"/sessions/{session_id}/messages"
    found = await pages(server, f"{target}?limit=4")
    assert found == [whole[-4:], whole[:-4]]
    assert await pages(server, target) == [whole]
    assert await pages(server, f"/sessions/{await server.session()}/messages") == [[]]
    for wrong in ("limit=0", "limit=1001", "cursor=x", "before=3"):
        assert error_of(await server.client.get(f"{target}?{wrong}"))[1] == "invalid_request"
    unknown = await server.client.get("/sessions/none/messages")
    assert error_of(unknown)[:2] == (404, "session_not_found")
