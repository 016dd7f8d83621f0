"""Clients that stop reading, read slowly, or come and go: what the server holds for them."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from server_kit import Frame, Server, Wire, serving, until
from wingman import Limits
from wingman.run import EventChannel, EventMemory

MB = 1_000_000
PIECE = 32 * 1024


@asynccontextmanager
async def stopped(
    server: Server, session_ids: Sequence[str], headers: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[list[Wire]]:
    """Clients that follow these sessions, and have read no more than the head of the answer."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    async with AsyncExitStack() as stack:
        wires = []
        for session_id in session_ids:
            sock = trio.socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            await sock.connect((host, int(port)))
            stream = trio.SocketStream(sock)
            wires.append(await stack.enter_async_context(Wire(stream, f"{host}:{port}")))
            await wires[-1].send("GET", f"/sessions/{session_id}/events", headers=headers)
        channels = {id: channel_of(server, id) for id in session_ids}
        for id, channel in channels.items():
            count = list(session_ids).count(id)
            await until(lambda channel=channel, count=count: channel.readers == count)
        yield wires


def channel_of(server: Server, session_id: str) -> EventChannel:
    live = server.runtime._host.active.find(session_id)
    assert live is not None
    return live.channel


def memory_of(server: Server) -> EventMemory:
    return server.runtime._root.services.events


async def say(server: Server, session_id: str, size: int, piece: int = 1000) -> None:
    """A run whose model says so many bytes; it ends while nobody reads."""
    server.stage.play(*["x" * piece] * (size // piece))
    with trio.fail_after(10):
        assert (await server.send(session_id)).status_code == 200


async def test_of_many_readers_of_a_session_that_stop_each_holds_a_piece() -> None:
    async with serving() as server:
        session_id = await server.session()
        channel, memory = channel_of(server, session_id), memory_of(server)
        async with stopped(server, [session_id] * 60):
            for _ in range(6):
                await say(server, session_id, MB)
            held = memory.held - channel.held
            assert 0 < held <= 60 * PIECE
            assert channel._bytes <= 4 * MB
            server.shutdown.set()
            with trio.fail_after(3):
                await server.stopped.wait()
        await until(lambda: memory.held == channel.held)


async def test_readers_of_many_sessions_that_stop_hold_less_than_is_allowed_in_total() -> None:
    async with serving(limits=Limits(event_bytes=MB)) as server:
        sessions = [await server.session() for _ in range(30)]
        memory = memory_of(server)
        async with stopped(server, sessions) as wires:
            for session_id in sessions:
                await say(server, session_id, MB // 2)
            assert memory.held <= MB + 30 * PIECE
            # One of them reads on: in order, each once, and told once what it has missed.
            last = (await server.send(sessions[0])).json()
            frames = await read_until_end_of(wires[0], last["run_id"])
        assert_in_order(frames)
        assert [frame.event for frame in frames].count("resync") == 1
        await until(lambda: all(channel_of(server, id).readers == 0 for id in sessions))
        assert memory.held == sum(channel_of(server, id).held for id in sessions)


async def read_until_end_of(wire: Wire, run_id: str) -> list[Frame]:
    await wire.head()
    frames: list[Frame] = []
    while not frames or frames[-1].event != "done" or frames[-1].data["run_id"] != run_id:
        frame = await wire.frame()
        assert frame is not None
        frames.append(frame)
    return frames


def assert_in_order(frames: Sequence[Frame]) -> None:
    ids = [frame.id for frame in frames if frame.id is not None]
    assert ids == sorted(set(ids))


async def test_a_large_event_arrives_whole_and_a_frame_at_a_time(server: Server) -> None:
    session_id = await server.session()
    large = "".join(f"{number:07} " for number in range(2_500_000 // 8))
    async with await server.wire() as wire:
        await wire.send("GET", f"/sessions/{session_id}/events")
        await wire.head()
        server.stage.play("before", large, "after")
        frames = await server.streamed(session_id)
        followed = await read_frames(wire, len(frames))
    texts = [frame.data["text"] for frame in frames if frame.event == "text"]
    assert texts == ["before", large, "after"]
    assert [frame.data.get("text") for frame in followed] == [
        frame.data.get("text") for frame in frames
    ]
    await until(lambda: channel_of(server, session_id).readers == 0)
    assert memory_of(server).held == channel_of(server, session_id).held


async def read_frames(wire: Wire, count: int) -> list[Frame]:
    frames = [await wire.frame() for _ in range(count)]
    return [frame for frame in frames if frame is not None]


async def test_readers_that_stop_in_a_large_event_share_it_and_get_the_rest(
    server: Server,
) -> None:
    session_id, memory = await server.session(), memory_of(server)
    async with stopped(server, [session_id] * 20) as wires:
        await say(server, session_id, 5 * MB, piece=5 * MB)
        await say(server, session_id, 10_000)  # the channel has let go of it
        assert channel_of(server, session_id)._bytes < MB
        assert 5 * MB <= memory.held < 17 * MB  # not twenty times that
        for wire in wires[:2]:
            await wire.head()
            frame = await wire.frame()
            assert frame is not None
            assert frame.data["text"] == "x" * 5 * MB
    await until(lambda: memory.held == channel_of(server, session_id).held)


async def test_a_reader_in_an_event_that_is_too_large_to_hold_is_cut_off_and_comes_back() -> None:
    async with serving(limits=Limits(event_bytes=MB)) as server:
        session_id, memory = await server.session(), memory_of(server)
        await say(server, session_id, 10)
        first = channel_of(server, session_id).last_id
        async with stopped(server, [session_id]) as [wire]:
            await say(server, session_id, 8 * MB, piece=8 * MB)
            assert memory.held <= 1.1 * MB
            await wire.head()
            with trio.fail_after(10):
                while not wire._bytes.endswith(b"0\r\n\r\n"):  # the end of a body in chunks
                    assert await wire._more()
            assert len(wire._bytes) < 8 * MB
            assert b"}\n\n" not in wire._bytes  # a frame without its end is none
        last = (await server.send(session_id)).json()
        async with stopped(server, [session_id], [("Last-Event-ID", f"{first}")]) as [wire]:
            frames = await read_until_end_of(wire, last["run_id"])
        assert frames[0].event == "resync"
        assert_in_order(frames)


async def test_of_readers_that_come_and_go_nothing_is_held(server: Server) -> None:
    session_id, memory = await server.session(), memory_of(server)
    for _ in range(5):
        async with stopped(server, [session_id] * 20):
            await say(server, session_id, MB // 2)
    channel = channel_of(server, session_id)
    await until(lambda: channel.readers == 0)
    assert len(channel._cursors) == 0
    end = channel._events[-1]
    assert memory.held == channel.held <= 256 * 1024 + end.held


async def test_a_body_that_never_began_holds_nothing_back(server: Server) -> None:
    """Its client was gone before: the reader of its run was made, and never entered."""
    session_id = await server.session()
    for _ in range(20):
        wire = await server.wire()
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        await trio.aclose_forcefully(wire.stream)
    channel = channel_of(server, session_id)
    await until(lambda: not server.runtime._host.active.find(session_id).runs)
    await until(lambda: channel.readers == 0 and len(channel._cursors) == 0)
    await say(server, session_id, MB)
    assert channel._bytes <= 256 * 1024 + channel._events[-1].size
