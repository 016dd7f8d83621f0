"""GET /sessions/{id}/events: following a session, and going on where one was cut off."""

import random
from pathlib import Path

import pytest
import trio

from server_kit import Frame, Gate, Server, Wire, error_of, serving, until


async def follow(server: Server, session_id: str, after: int | None = None) -> Wire:
    """An event stream whose head was read."""
    wire = await server.wire()
    headers = [] if after is None else [("Last-Event-ID", str(after))]
    await wire.send("GET", f"/sessions/{session_id}/events", headers=headers)
    assert (await wire.head()).status == 200
    return wire


async def read(wire: Wire, count: int) -> list[Frame]:
    """So many frames, and not one more."""
    frames = []
    for _ in range(count):
        frame = await wire.frame()
        assert frame is not None
        frames.append(frame)
    return frames


async def subscribed(server: Server, session_id: str, readers: int = 1) -> None:
    """Wait until so many read the session's channel: "from now" is then."""
    live = server.runtime._host.active.find(session_id)
    assert live is not None
    await until(lambda: live.channel.readers >= readers)


async def test_a_reader_follows_from_now_on_and_from_run_to_run(server: Server) -> None:
    session_id = await server.session()
    await server.send(session_id, "before")
    async with await follow(server, session_id) as wire:
        await subscribed(server, session_id)
        first = (await server.send(session_id)).json()
        second = (await server.send(session_id)).json()
        frames = await read(wire, 4)
    assert [frame.event for frame in frames] == ["text", "done", "text", "done"]
    assert frames[0].data == {"run_id": first["run_id"], "text": "Hello."}
    assert [frames[1].data, frames[3].data] == [first, second]


@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_a_reader_goes_on_after_the_last_event_it_saw(server: Server, how: str) -> None:
    session_id = await server.session()
    seen = await server.streamed(session_id)
    missed = await server.streamed(session_id)
    query = {"header": "", "query": f"?after={seen[-1].id}", "both": "?after=0"}[how]
    headers = [] if how == "query" else [("Last-Event-ID", str(seen[-1].id))]
    async with await server.wire() as wire:
        await wire.send("GET", f"/sessions/{session_id}/events{query}", headers=headers)
        await wire.head()
        got = await read(wire, len(missed))
    assert [(f.id, f.event) for f in got] == [(f.id, f.event) for f in missed]


async def test_several_readers_see_the_same(server: Server) -> None:
    session_id = await server.session()
    wires = [await follow(server, session_id) for _ in range(5)]
    await subscribed(server, session_id, 5)
    sent = await server.streamed(session_id)
    for wire in wires:
        async with wire:
            assert [f.id for f in await read(wire, len(sent))] == [f.id for f in sent]


async def test_reconnecting_at_random_points_misses_nothing_and_repeats_nothing(
    server: Server,
) -> None:
    chance = random.Random(20260117)
    session_id = await server.session()
    whole: list[Frame] = []

    async def talk() -> None:
        for number in range(12):
            pieces = [f"{number}.{i} " for i in range(chance.randrange(1, 30))]
            server.stage.play(*pieces)
            whole.extend(await server.streamed(session_id))

    async def listen(seed: int, start: int) -> None:
        luck = random.Random(seed)
        seen: list[Frame] = []
        last = start
        while not (len(seen) > 0 and sum(f.event == "done" for f in seen) == 12):
            async with await follow(server, session_id, last) as wire:
                for _ in range(luck.randrange(1, 40)):
                    seen += await read(wire, 1)
                    if sum(f.event == "done" for f in seen) == 12:
                        break
            last = seen[-1].id or 0
        heard.append(seen)

    heard: list[list[Frame]] = []
    start = (await server.client.get(f"/sessions/{session_id}")).json()["last_event_id"]
    async with trio.open_nursery() as nursery:
        for seed in range(4):
            nursery.start_soon(listen, seed, start)
        nursery.start_soon(talk)
    for seen in heard:
        assert [(f.id, f.event) for f in seen] == [(f.id, f.event) for f in whole]
    texts = "".join(f.data["text"] for f in heard[0] if f.event == "text")
    assert texts == "".join(f.data["text"] for f in whole if f.event == "text")


async def test_a_reader_is_told_to_resync_when_the_channel_holds_its_place_no_more(
    server: Server,
) -> None:
    session_id = await server.session()
    first = await server.streamed(session_id)
    server.stage.play(*["x"] * 6000)
    await server.send(session_id)
    async with await follow(server, session_id, first[0].id) as wire:
        [resync] = await read(wire, 1)
        shown = (await server.client.get(f"/sessions/{session_id}")).json()
        assert resync.event == "resync"
        assert resync.id == shown["last_event_id"]
        assert resync.data["code"] == "resync"
        # The same connection goes on from there, and so does one that begins with the frame's id.
        # The history has the run's texts, and its end is still to be told.
        then = await server.streamed(session_id)
        done, *goes_on = await read(wire, 3)
        assert done.event == "done"
        assert [f.id for f in goes_on] == [f.id for f in then]
    async with await follow(server, session_id, resync.id) as wire:
        assert await read(wire, 3) == [done, *goes_on]


@pytest.mark.parametrize("after", [10**17, 8_000_000])
async def test_an_id_that_was_never_given_is_answered_with_a_resync(
    server: Server, after: int
) -> None:
    session_id = await server.session()
    async with await follow(server, session_id, after) as wire:
        [resync] = await read(wire, 1)
        assert resync.event == "resync"
        sent = await server.streamed(session_id)
        assert [f.id for f in await read(wire, 2)] == [f.id for f in sent]


async def test_after_a_restart_an_old_id_gets_a_resync_and_goes_on(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/w.db"
    async with serving(store) as server:
        session_id = await server.session()
        old = await server.streamed(session_id)
    async with serving(store) as server:
        async with await follow(server, session_id, old[-1].id) as wire:
            [resync] = await read(wire, 1)
            assert resync.event == "resync"
            shown = (await server.client.get(f"/sessions/{session_id}")).json()
            assert resync.id == shown["last_event_id"]
            assert len(shown["history"]) == 2
        async with await follow(server, session_id, resync.id) as wire:
            sent = await server.streamed(session_id)
            assert [f.id for f in await read(wire, 2)] == [f.id for f in sent]
            assert all(new.id > (old[-1].id or 0) for new in sent if new.id)


async def test_after_a_restart_the_id_of_the_session_as_read_needs_no_resync(
    tmp_path: Path,
) -> None:
    store = f"sqlite:///{tmp_path}/w.db"
    async with serving(store) as server:
        session_id = await server.session()
        await server.send(session_id)
    async with serving(store) as server:
        shown = (await server.client.get(f"/sessions/{session_id}")).json()
        sent = await server.streamed(session_id)
        async with await follow(server, session_id, shown["last_event_id"]) as wire:
            assert [f.id for f in await read(wire, 2)] == [f.id for f in sent]


async def test_a_reader_keeps_its_session_in_memory_and_lets_go_of_it() -> None:
    async with serving(idle_after=0.05) as server:
        session_id = await server.session()
        wire = await follow(server, session_id)
        await subscribed(server, session_id)
        await trio.sleep(0.2)
        assert server.runtime._host.active.find(session_id) is not None
        sent = await server.streamed(session_id)
        assert [f.id for f in await read(wire, 2)] == [f.id for f in sent]
        await trio.aclose_forcefully(wire.stream)
        await until(lambda: server.runtime._host.active.find(session_id) is None)


async def test_a_reader_of_a_deleted_session_is_told_so(server: Server) -> None:
    session_id = await server.session()
    async with await follow(server, session_id) as wire:
        await subscribed(server, session_id)
        await server.client.delete(f"/sessions/{session_id}")
        [frame] = await wire.frames()
    assert (frame.event, frame.data["code"]) == ("error", "session_deleted")


@pytest.mark.parametrize("text", ["abc", "-1", "1.5", "٣", "9" * 5000])
async def test_an_event_id_that_is_no_number_is_refused(server: Server, text: str) -> None:
    session_id = await server.session()
    answer = await server.client.get(f"/sessions/{session_id}/events", params={"after": text})
    status, code, message = error_of(answer)
    assert (status, code) == (400, "invalid_request")
    assert "Last-Event-ID" in message


async def test_events_of_an_unknown_session_are_404(server: Server) -> None:
    answer = await server.client.get("/sessions/nowhere/events")
    assert error_of(answer)[:2] == (404, "session_not_found")


async def test_a_reader_that_joins_in_the_middle_of_a_run_gets_the_rest(server: Server) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play("Before. ", gate, "After.")
    run_id = await server.start(session_id)
    await gate.reached.wait()
    async with await follow(server, session_id) as wire:
        await subscribed(server, session_id)
        gate.open()
        text, done = await read(wire, 2)
    assert text.data == {"run_id": run_id, "text": "After."}
    assert done.data["response"] == "Before. After."
