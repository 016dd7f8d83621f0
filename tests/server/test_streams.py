"""POST /sessions/{id}/message/stream: one run as Server-Sent Events."""

import pytest
import trio

from server_kit import Frame, Gate, Server, call, error_of, serving, thought, until
from wingman import tool
from wingman.errors import ProviderError
from wingman.events import Error
from wingman.run import EventChannel
from wingman.server.sse import RunFrames, included


@tool
async def shout(text: str) -> str:
    """Say it louder."""
    await trio.lowlevel.checkpoint()
    return text.upper()


def strip(frames: list[Frame]) -> list[tuple[str, object]]:
    return [(frame.event, frame.data) for frame in frames]


async def test_a_stream_has_the_seeds_events_in_order_with_done_last() -> None:
    async with serving(tools=[shout]) as server:
        session_id = await server.session(tools=["shout"])
        server.stage.play(thought("Hm."), "Let me ", "see.", call("shout", text="hey"))
        server.stage.play("HEY.")
        frames = await server.streamed(session_id)
        run = (await server.client.get(f"/sessions/{session_id}/runs")).json()[0]
    assert strip(frames) == [
        ("text", {"text": "Let me "}),
        ("text", {"text": "see."}),
        ("tool_use", {"id": "toolu_1", "name": "shout", "input": {"text": "hey"}}),
        ("tool_result", {"tool_use_id": "toolu_1", "content": "HEY", "is_error": False}),
        ("text", {"text": "HEY."}),
        ("done", run["result"]),
    ]
    ids = [frame.id for frame in frames]
    assert None not in ids
    assert ids == sorted(set(ids))


async def test_ids_go_on_growing_from_run_to_run(server: Server) -> None:
    session_id = await server.session()
    ids = [f.id for _ in range(3) for f in await server.streamed(session_id)]
    assert ids == sorted(set(ids))


async def test_more_kinds_of_events_are_sent_to_those_who_ask() -> None:
    async with serving(tools=[shout]) as server:
        session_id = await server.session(tools=["shout"])
        server.stage.play(thought("Hm."), call("shout", text="hey"))
        frames = await server.streamed(session_id, query="?include=thinking,step")
    assert [f.event for f in frames] == [
        "step",
        "thinking",
        "tool_use",
        "tool_result",
        "step",
        "text",
        "done",
    ]
    assert frames[1].data == {"text": "Hm."}


async def test_what_a_running_tool_says_is_sent_as_progress(server: Server) -> None:
    session_id = await server.session(tools=["bash"])
    server.stage.play(call("bash", command="echo out"))
    frames = await server.streamed(session_id, query="?include=progress")
    progress = [frame.data for frame in frames if frame.event == "tool_progress"]
    assert {"tool_use_id": "toolu_1", "text": "out\n"} in progress


async def test_an_unknown_thing_to_include_is_refused_before_anything_runs(
    server: Server,
) -> None:
    session_id = await server.session()
    answer = await server.client.post(
        f"/sessions/{session_id}/message/stream?include=everything", json={"message": "go"}
    )
    status, code, message = error_of(answer)
    assert (status, code) == (400, "invalid_request")
    assert "'everything'" in message
    assert server.stage.requests == []


async def test_the_head_comes_with_the_runs_location_before_the_run_says_anything(
    server: Server,
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play(gate, "At last.")
    async with await server.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        head = await wire.head()
        assert head.status == 200
        assert head.headers["content-type"] == "text/event-stream"
        assert head.headers["cache-control"] == "no-cache, no-transform"
        assert head.headers["x-accel-buffering"] == "no"
        run = await server.client.get(head.headers["location"])
        assert run.json()["status"] in ("queued", "running")
        gate.open()
        frames = await wire.frames()
    assert strip(frames)[0] == ("text", {"text": "At last."})


async def test_frames_arrive_as_they_happen(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play("First.", gate)
    async with await server.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        await wire.head()
        frame = await wire.frame()
        assert frame is not None
        assert frame.data == {"text": "First."}
        gate.open()
        assert [f.event for f in await wire.frames()] == ["done"]


async def test_a_connection_takes_the_next_request_after_a_stream(server: Server) -> None:
    session_id = await server.session()
    async with await server.wire() as wire:
        for _ in range(2):
            await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
            await wire.head()
            assert [f.event for f in await wire.frames()] == ["text", "done"]
        head, body = await wire.ask("GET", "/health")
        assert (head.status, body) == (200, b'{"status":"ok"}')


async def test_a_failed_run_ends_its_stream_with_an_error(server: Server) -> None:
    session_id = await server.session()
    server.stage.play("So far ", ProviderError("it broke", provider="stage"))
    frames = await server.streamed(session_id)
    run = (await server.client.get(f"/sessions/{session_id}/runs")).json()[0]
    assert [f.event for f in frames] == ["text", "error"]
    assert frames[-1].data == {
        "code": "provider_error",
        "message": "stage: it broke",
        "run_id": run["id"],
    }


async def test_a_stream_of_a_known_request_id_sends_what_is_stored_then_done() -> None:
    async with serving(tools=[shout]) as server:
        session_id = await server.session(tools=["shout"])
        server.stage.play("Let me ", "see.", call("shout", text="hey"))
        server.stage.play("HE", "Y.")
        first = await server.send(session_id, request_id="r-1")
        frames = await server.streamed(session_id, request_id="r-1")
        again = await server.streamed(session_id, request_id="r-1")
    assert strip(frames) == [
        ("text", {"text": "Let me see."}),
        ("tool_use", {"id": "toolu_1", "name": "shout", "input": {"text": "hey"}}),
        ("tool_result", {"tool_use_id": "toolu_1", "content": "HEY", "is_error": False}),
        ("text", {"text": "HEY."}),
        ("done", first.json()),
    ]
    assert again == frames


async def test_a_stream_of_a_failed_request_id_ends_with_its_error_again(server: Server) -> None:
    session_id = await server.session()
    server.stage.play("So far ", ProviderError("it broke", provider="stage"))
    first = await server.streamed(session_id, request_id="r-1")
    again = await server.streamed(session_id, request_id="r-1")
    assert strip(again) == strip(first)


async def test_a_second_stream_of_a_running_request_id_follows_the_same_run(
    server: Server,
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play("One ", gate, "run.")
    message = {"message": "go", "request_id": "r-1"}
    target = f"/sessions/{session_id}/message/stream"
    async with await server.wire() as one, await server.wire() as two:
        await one.send("POST", target, message)
        await one.head()
        await gate.reached.wait()
        await two.send("POST", target, message)
        await two.head()
        gate.open()
        assert await one.frames() == await two.frames()
    assert len(server.stage.requests) == 1


async def test_silence_is_filled_with_comments(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.server.sse.KEEP_ALIVE_SECONDS", 0.01)
    gate = Gate()
    session_id = await server.session()
    server.stage.play(*[thought("…")] * 20, gate)
    async with await server.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        await wire.head()
        await gate.reached.wait()
        async with trio.open_nursery() as nursery:

            async def open_after_some_comments() -> None:
                await until(lambda: wire.comments >= 3)
                gate.open()

            nursery.start_soon(open_after_some_comments)
            frames = await wire.frames()
    assert [f.event for f in frames] == ["done"]
    assert wire.comments >= 3


async def test_a_bug_in_a_stream_cuts_it_and_is_logged_and_its_run_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("wingman.run.published.frame", broken)
    session_id = await server.session()
    async with await server.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        head = await wire.head()
        assert await wire.at_end()
    run = (await server.client.get(f"{head.headers['location']}?wait=10")).json()
    assert run["status"] == "completed"
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.name == "wingman.server"
    assert record.exc_info is not None


async def test_head_of_a_stream_has_no_body_and_does_not_wait(server: Server) -> None:
    session_id = await server.session()
    async with await server.wire() as wire:
        await wire.send("HEAD", f"/sessions/{session_id}/events")
        head = await wire.head()
        assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
        await wire.send("HEAD", "/health")
        assert (await wire.head()).status == 200


@pytest.mark.parametrize("kind", ["deleted", "shutting_down"])
async def test_a_run_that_has_ended_has_one_end_also_where_its_session_ends_with_it(
    kind: str,
) -> None:
    channel = EventChannel(0)
    async with RunFrames(channel.reader(run_id="r"), included(None), "r") as frames:
        channel.publish("r", Error("session_deleted", "The session was deleted.", "r"))
        channel.close(kind)
        sent = [piece async for piece in frames]
    assert b"".join(sent).count(b"event: error") == 1


async def test_a_run_whose_session_is_closed_before_its_end_is_told_so() -> None:
    channel = EventChannel(0)
    async with RunFrames(channel.reader(run_id="r"), included(None), "r") as frames:
        channel.close("shutting_down")
        sent = [piece async for piece in frames]
    assert b'"code":"shutting_down"' in b"".join(sent)
