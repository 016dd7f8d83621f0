"""Nodes that go away, are cut off, or are drained: what becomes of their sessions."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import trio

from cli.terminal import Command, wingman
from cli.test_serve import appears, post, url_of
from cluster.conftest import Pair, a_pair, number_of, until
from postgres_kit import Cluster, Proxy
from server_kit import Gate, Server, call, serving
from wingman import tool
from wingman.store.postgres.node import NodeConnection


async def owner_of(pair: Pair, session_id: str) -> int | None:
    query = f"SELECT node FROM sessions WHERE id = '{session_id}'"
    ((number,),) = pair.cluster.run(query, pair.database)
    return None if number is None else int(number)


async def begun(server: Server, session_id: str, *scene: object) -> tuple[str, Gate]:
    """A run that stands at a gate, and the gate."""
    gate = Gate()
    server.stage.play(*scene, gate)
    run_id = await server.start(session_id)
    with trio.fail_after(30):
        await gate.reached.wait()
    return run_id, gate


async def is_status(server: Server, run_id: str, status: str) -> bool:
    """Whether a run is so; not, where the server cannot say it just now."""
    answer = await server.client.get(f"/runs/{run_id}")
    return bool(answer.json().get("status") == status)


# --- a connection that is lost --------------------------------------------------------------------


async def test_a_node_that_is_connected_again_at_once_goes_on_with_its_sessions(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.cluster.member.LOOK_SECONDS", 3.0)
    monkeypatch.setattr("wingman.cluster.decisions.LOST_SECONDS", 6.0)
    async with a_pair(cluster, clean_database) as pair:
        session_id = await pair.first.session()
        run_id, gate = await begun(pair.first, session_id, "One")
        before = number_of(pair.first)
        pair.proxy.cut()
        await until(lambda: number_of(pair.first) != before)
        gate.open()
        await until(lambda: is_status(pair.second, run_id, "completed"))
        assert await owner_of(pair, session_id) == number_of(pair.first)


async def test_a_node_whose_birth_had_no_answer_goes_on_with_its_sessions(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.cluster.member.LOOK_SECONDS", 3.0)
    monkeypatch.setattr("wingman.cluster.decisions.LOST_SECONDS", 6.0)
    taken: list[int] = []
    take_along = NodeConnection.take_along

    def lose_two_answers(node: NodeConnection, *given: Any) -> Any:
        found = take_along(node, *given)
        taken.append(len(found))
        if len(taken) <= 2:
            raise psycopg.OperationalError("the answer is lost")
        return found

    monkeypatch.setattr(NodeConnection, "take_along", lose_two_answers)
    async with a_pair(cluster, clean_database) as pair:
        session_id = await pair.first.session()
        run_id, gate = await begun(pair.first, session_id, "One")
        before = number_of(pair.first)
        pair.proxy.cut()
        await until(lambda: len(taken) == 3 and number_of(pair.first) != before)
        gate.open()
        await until(lambda: is_status(pair.first, run_id, "completed"))
        assert taken == [1, 1, 1]
        assert await owner_of(pair, session_id) == number_of(pair.first)


async def test_who_waits_through_another_node_does_not_notice_that_a_node_is_connected_again(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.cluster.decisions.LOST_SECONDS", 6.0)
    async with a_pair(cluster, clean_database) as pair:
        session_id = await pair.first.session()
        gate = Gate()
        pair.first.stage.play("One", gate)
        async with await pair.second.wire() as wire, trio.open_nursery() as nursery:
            answers = []

            async def send() -> None:
                answers.append(await pair.second.send(session_id))

            await wire.send("GET", f"/sessions/{session_id}/events?after=0")
            await wire.head()
            nursery.start_soon(send)
            with trio.fail_after(10):
                await gate.reached.wait()
            before = number_of(pair.first)
            pair.proxy.cut()
            await until(lambda: number_of(pair.first) != before)
            assert pair.second.runtime.member is not None
            living = pair.second.runtime.member.nodes.living

            async def is_seen() -> bool:
                numbers = {node.number for node in await living()}
                return before not in numbers and number_of(pair.first) in numbers

            await until(is_seen)
            await trio.sleep(0.5)  # five looks
            gate.open()
            with trio.fail_after(10):
                frames = [await wire.frame(), await wire.frame()]
        assert [frame and frame.event for frame in frames] == ["text", "done"]
        assert answers[0].status_code == 200


async def test_a_node_that_is_cut_off_stops_its_sessions_and_others_take_them(
    cluster: Cluster, clean_database: str
) -> None:
    stopped = trio.Event()

    @tool
    async def works() -> str:
        """Work until it is stopped."""
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()
        return ""

    async with a_pair(cluster, clean_database, tools=[works]) as pair:
        session_id = await pair.first.session(tools=["works"])
        pair.first.stage.play(call("works"))
        run_id = await pair.first.start(session_id)
        queued = await pair.first.start(session_id, "later")
        await until(lambda: pair.first.runtime.status().in_flight)
        pair.cut_off_first()
        with trio.fail_after(30):
            await stopped.wait()
        # The other node has ended what was cut off, and goes on with what was queued.
        assert (await pair.second.ended(session_id, run_id))["status"] == "interrupted"
        assert (await pair.second.ended(session_id, queued))["status"] == "completed"
        assert await owner_of(pair, session_id) == number_of(pair.second)
        history = await pair.second.history(session_id)
        assert "may have run" in history[2]["content"][0]["content"]
        pair.let_in_first()
        latest = await pair.second.history(session_id)
        assert latest[: len(history)] == history
        await until(lambda: shows(pair.first, session_id, latest))


async def shows(server: Server, session_id: str, history: list[dict[str, Any]]) -> bool:
    """Whether this is the history; not, where the server cannot say it just now."""
    answer = await server.client.get(f"/sessions/{session_id}")
    return bool(answer.json().get("history") == history)


async def test_who_waits_for_a_run_of_a_node_that_is_cut_off_is_told_to_ask_again(
    pair: Pair,
) -> None:
    session_id = await pair.first.session()
    gate = Gate()
    pair.first.stage.play("One", gate)
    answer: list[httpx.Response] = []
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            answer.append(await pair.first.send(session_id, request_id="mine"))

        nursery.start_soon(send)
        with trio.fail_after(30):
            await gate.reached.wait()
        pair.cut_off_first()
    assert (answer[0].status_code, answer[0].json()["error"]["code"]) == (503, "node_lost")
    again = await pair.second.send(session_id, request_id="mine")
    assert again.json()["stop_reason"] == "interrupted"
    assert (await pair.second.send(session_id)).json()["response"] == "Hello."


async def test_a_reader_goes_on_at_another_node_after_its_last_event(pair: Pair) -> None:
    session_id = await pair.first.session()
    path = f"/sessions/{session_id}/events"
    async with await pair.first.wire() as wire:
        await wire.send("GET", path)
        await wire.head()
        await pair.first.send(session_id)
        done = [await wire.frame(), await wire.frame()][-1]
        assert done is not None
        pair.cut_off_first()
        with trio.fail_after(30):
            (last,) = await wire.frames()
        assert (last.event, last.data["code"]) == ("error", "shutting_down")
    async with await pair.second.wire() as wire:
        await wire.send("GET", path, headers=[("Last-Event-ID", str(done.id))])
        await wire.head()
        resync = await wire.frame()
        assert resync is not None
        assert resync.event == "resync"
        await pair.second.send(session_id)
        with trio.fail_after(30):
            frames = [await wire.frame(), await wire.frame()]
        assert [frame and frame.event for frame in frames] == ["text", "done"]


async def test_a_node_that_sees_no_other_one_keeps_its_sessions(
    cluster: Cluster, clean_database: str
) -> None:
    async with Proxy(cluster) as proxy, serving(proxy.url(clean_database)) as server:
        session_id = await server.session()
        run_id, gate = await begun(server, session_id, "One")
        proxy.shut = True
        proxy.cut()
        member = server.runtime.member
        assert member is not None
        await until(lambda: member.nodes.lost_for > 1)
        assert server.runtime.status().in_flight == 1
        proxy.shut = False
        await until(lambda: member.nodes.lost_for == 0)
        gate.open()
        await until(lambda: is_status(server, run_id, "completed"))


# --- draining -------------------------------------------------------------------------------------


async def test_a_node_that_shuts_down_hands_its_idle_sessions_over_and_finishes_its_runs(
    cluster: Cluster, clean_database: str
) -> None:
    async with a_pair(cluster, clean_database, grace=20) as pair:
        idle, busy = await pair.first.session(), await pair.first.session()
        await pair.first.send(idle)
        run_id, gate = await begun(pair.first, busy, "One")
        pair.first.shutdown.set()
        await until(lambda: owned_by_nobody(pair, idle))
        assert (await pair.first.client.get("/ready")).status_code == 503
        assert (await pair.second.send(idle)).json()["response"] == "Hello."
        assert await owner_of(pair, idle) == number_of(pair.second)
        # What still runs is asked for there; what is new waits for the end.
        assert (await pair.second.client.get(f"/runs/{run_id}")).json()["status"] == "running"
        refused = await pair.second.send(busy)
        assert refused.json()["error"]["code"] == "shutting_down"
        gate.open()
        with trio.fail_after(30):
            await pair.first.stopped.wait()
        assert (await pair.second.client.get(f"/runs/{run_id}")).json()["status"] == "completed"
        assert (await pair.second.send(busy)).status_code == 200


async def test_who_follows_a_run_that_a_node_finishes_as_it_shuts_down_is_told_why_it_ends(
    cluster: Cluster, clean_database: str
) -> None:
    async with a_pair(cluster, clean_database, grace=20) as pair:
        session_id = await pair.first.session()
        _, gate = await begun(pair.first, session_id, "One")
        async with await pair.second.wire() as wire:
            await wire.send("GET", f"/sessions/{session_id}/events?after=0")
            await wire.head()
            await wire.frame()
            pair.first.shutdown.set()
            gate.open()
            with trio.fail_after(10):
                frames = await wire.frames()
        assert [frame.event for frame in frames] == ["done", "error"]
        assert frames[-1].data["code"] == "shutting_down"


async def owned_by_nobody(pair: Pair, session_id: str) -> bool:
    return await owner_of(pair, session_id) is None


async def test_runs_that_are_queued_on_a_node_that_stops_go_on_at_another(
    cluster: Cluster, clean_database: str
) -> None:
    async with a_pair(cluster, clean_database) as pair:
        session_id = await pair.first.session()
        run_id, _ = await begun(pair.first, session_id, "One")
        queued = await pair.first.start(session_id, "later")
        pair.first.shutdown.set()
        await until(lambda: is_status(pair.second, queued, "completed"))
        run = await pair.second.client.get(f"/runs/{run_id}")
        assert run.json()["status"] == "interrupted"


# --- directories ----------------------------------------------------------------------------------


async def test_a_queued_run_waits_for_a_node_that_has_its_directory(
    cluster: Cluster, clean_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "work"
    directory.mkdir()
    async with a_pair(cluster, clean_database) as pair:
        agent_id = await pair.first.agent()
        body = {"agent_id": agent_id, "work_dir": str(directory)}
        session_id = (await pair.first.client.post("/sessions", json=body)).json()["id"]
        await begun(pair.first, session_id, "One")
        queued = await pair.first.start(session_id, "later")
        directory.rename(tmp_path / "elsewhere")
        pair.first.shutdown.set()
        with trio.fail_after(30):
            await pair.first.stopped.wait()
        await until(lambda: "wait for a node that has its directory" in caplog.text)
        assert str(directory) in caplog.text
        (tmp_path / "elsewhere").rename(directory)
        await until(lambda: is_status(pair.second, queued, "completed"))


async def test_a_session_is_not_claimed_for_a_message_where_its_directory_is_not(
    cluster: Cluster, clean_database: str, tmp_path: Path
) -> None:
    directory = tmp_path / "work"
    directory.mkdir()
    async with a_pair(cluster, clean_database) as pair:
        agent_id = await pair.first.agent()
        body = {"agent_id": agent_id, "work_dir": str(directory)}
        session_id = (await pair.first.client.post("/sessions", json=body)).json()["id"]
        pair.first.shutdown.set()
        with trio.fail_after(30):
            await pair.first.stopped.wait()
        directory.rmdir()
        refused = await pair.second.send(session_id)
        assert refused.json()["error"]["code"] == "no_node"
        assert f"{str(directory)!r} of session {session_id} is not on this node" in refused.text
        assert await owner_of(pair, session_id) is None
        directory.mkdir()
        assert (await pair.second.send(session_id)).status_code == 200
        directory.rmdir()
        assert (await pair.second.client.delete(f"/sessions/{session_id}")).status_code == 200


# --- processes ------------------------------------------------------------------------------------


@pytest.fixture
async def processes(
    cluster: Cluster, clean_database: str, tmp_path: Path
) -> AsyncIterator[tuple[Command, Command]]:
    """Two nodes, each a process of its own."""
    serve = ("serve", "--port", "0", "--db", cluster.tcp_url(clean_database))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with (
        wingman(*serve, home=tmp_path / "one") as one,
        wingman(*serve, home=tmp_path / "two") as two,
    ):
        yield one, two


async def session_at(url: str, work_dir: Path, message: str) -> str:
    """A session whose agent runs a command; its id."""
    fields = {"name": "a", "tools": ["bash"], "provider": {"id": "scripted"}}
    agent = await post(url, "/agents", fields)
    body = {"agent_id": agent["id"], "work_dir": str(work_dir)}
    session = await post(url, "/sessions", body)
    path = f"/sessions/{session['id']}/message"
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.post(
            path, json={"message": message}, headers={"Prefer": "respond-async"}
        )
        assert answer.status_code == 202, answer.text
    return str(session["id"])


async def test_the_sessions_of_a_process_that_is_killed_are_taken_over(
    processes: tuple[Command, Command], tmp_path: Path
) -> None:
    one, two = processes
    here, there = await url_of(one), await url_of(two)
    session_id = await session_at(here, tmp_path, "!bash touch begun; sleep 600")
    await appears(tmp_path / "begun")
    one.process.send_signal(signal.SIGKILL)
    async with httpx.AsyncClient(base_url=there, timeout=20) as client:

        async def is_interrupted() -> bool:
            runs = (await client.get(f"/sessions/{session_id}/runs")).json()
            return [run["status"] for run in runs] == ["interrupted"]

        await until(is_interrupted)
        answer = await client.post(
            f"/sessions/{session_id}/message", json={"message": "!bash echo again"}
        )
        assert "again" in answer.json()["response"]


async def test_a_process_that_was_stopped_writes_nothing_when_it_goes_on(
    processes: tuple[Command, Command], tmp_path: Path, clean_database: str, cluster: Cluster
) -> None:
    one, two = processes
    here, there = await url_of(one), await url_of(two)
    session_id = await session_at(here, tmp_path, "!bash touch begun; sleep 600")
    await appears(tmp_path / "begun")
    os.kill(one.process.pid, signal.SIGSTOP)
    try:
        async with httpx.AsyncClient(base_url=there, timeout=30) as client:
            # This is sent to the node that is stopped, and waits until its connection is ended.
            with trio.fail_after(30):
                answer = await client.get(f"/sessions/{session_id}")
            assert answer.json()["status"] in ("idle", "queued", "running")
            sent = await client.post(
                f"/sessions/{session_id}/message", json={"message": "!bash echo again"}
            )
            assert "again" in sent.json()["response"]
            history = (await client.get(f"/sessions/{session_id}")).json()["history"]
    finally:
        os.kill(one.process.pid, signal.SIGCONT)
    await until(lambda: "this is another node now" in one.err, 20)
    async with httpx.AsyncClient(base_url=here, timeout=20) as client:
        seen = (await client.get(f"/sessions/{session_id}")).json()
        assert seen["history"] == history
    living = cluster.run("SELECT count(*) FROM nodes", clean_database)
    assert living == [(3,)]
