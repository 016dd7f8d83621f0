"""Readers that come and go at random, over passivations and restarts, and one that stops reading.

What was published is written down as it is published; what a reader gets is held against it.
"""

import random
import socket
from pathlib import Path

import attrs
import pytest
import trio

from server_kit import Frame, Server, Wire, serving, until
from wingman.api import USUAL
from wingman.events import Event
from wingman.run import EventChannel

READERS = 4
LIVES = 3
RUNS = 12


@attrs.define
class Truth:
    """Every event that was published, of what kind and text, by id."""

    events: dict[int, tuple[str, str]] = attrs.field(factory=dict)

    def spy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        publish = EventChannel.publish

        def note(channel: EventChannel, run_id: str, event: Event) -> None:
            publish(channel, run_id, event)
            assert channel.last_id not in self.events, "an id was given twice"
            self.events[channel.last_id] = (event.kind, getattr(event, "text", ""))

        monkeypatch.setattr(EventChannel, "publish", note)

    def between(self, after: int, last: int) -> list[int]:
        """The ids that a client is sent, from one to another."""
        found = [id for id in self.events if after < id <= last]
        return [id for id in sorted(found) if self.events[id][0] in USUAL]


@attrs.define(eq=False)
class Follower:
    """One reader. `last` is the id that it has, of a frame or of the session as it was read."""

    truth: Truth
    luck: random.Random
    last: int = 0
    connects: int = 0
    resyncs: int = 0
    frames: int = 0

    async def follow(self, server: Server, session_id: str, stop: trio.Event) -> None:
        """Connect, read some, leave; again, until the runs of this life are over."""
        while not stop.is_set():
            try:
                async with await server.wire() as wire:
                    await self._listen(server, session_id, wire)
            except (OSError, trio.BrokenResourceError):
                pass  # the server went as we came
            except AssertionError as error:
                if "the connection ended" not in str(error):
                    raise
            # Sometimes long enough for the session to leave memory.
            await trio.sleep(self.luck.choice([0, 0, 0.01, 0.08]))

    async def _listen(self, server: Server, session_id: str, wire: Wire) -> None:
        self.connects += 1
        headers = [("Last-Event-ID", f"{self.last}")]
        await wire.send("GET", f"/sessions/{session_id}/events", headers=headers)
        if (await wire.head()).status != 200:
            return
        with trio.move_on_after(0.1):
            for _ in range(self.luck.randrange(1, 40)):
                frame = await wire.frame()
                if frame is None or (frame.event == "error" and frame.id is None):
                    return  # the server goes
                await self._take(server, session_id, frame)

    async def _take(self, server: Server, session_id: str, frame: Frame) -> None:
        assert frame.id is not None
        if frame.event == "resync":
            await self._read(server, session_id, frame.id)
            return
        assert self.truth.between(self.last, frame.id) == [frame.id], "a gap, or a repeat"
        kind, text = self.truth.events[frame.id]
        assert (frame.event, frame.data.get("text", "")) == (kind, text)
        self.frames += 1
        self.last = frame.id

    async def _read(self, server: Server, session_id: str, id: int) -> None:
        """The history contains all texts up to there, and the reader goes on from there."""
        assert id > self.last or self.last == 0, "a resync leads backwards"
        self.resyncs += 1
        with trio.CancelScope(shield=True):
            shown = (await server.client.get(f"/sessions/{session_id}")).json()
        said = {b["text"] for m in shown["history"] for b in m["content"] if b["type"] == "text"}
        texts = [self.truth.events[n][1] for n in self.truth.events if self.last < n <= id]
        for text in filter(None, texts):
            assert any(text in whole for whole in said), f"{text!r} is nowhere"
        self.last = id


async def talk(server: Server, session_id: str, chance: random.Random, stop: trio.Event) -> None:
    """Some runs, with pauses in which the session may leave memory."""
    for _ in range(RUNS // LIVES):
        pieces = [f"<{chance.getrandbits(60)}>" for _ in range(chance.randrange(1, 40))]
        server.stage.play(*pieces)
        assert (await server.send(session_id)).status_code == 200
        await trio.sleep(chance.choice([0, 0.1]))
    stop.set()


@pytest.mark.parametrize("seed", range(2))
async def test_over_reconnects_restarts_and_passivations_a_reader_misses_and_repeats_nothing(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = Truth()
    truth.spy(monkeypatch)
    chance = random.Random(seed)
    followers = [Follower(truth, random.Random(f"{seed} {n}")) for n in range(READERS)]
    session_id = ""
    for _ in range(LIVES):
        async with serving(tmp_path / "w.db", idle_after=0.03) as server:
            session_id = session_id or await server.session()
            stop = trio.Event()
            async with trio.open_nursery() as nursery:
                for follower in followers:
                    nursery.start_soon(follower.follow, server, session_id, stop)
                await talk(server, session_id, chance, stop)
    async with serving(tmp_path / "w.db") as server:
        for follower in followers:
            # At the end each has all: what it does not have yet it is sent, or told to read.
            async with await server.wire() as wire:
                await follower._listen(server, session_id, wire)
            assert truth.between(follower.last, 10**9) == []
    assert sum(follower.connects for follower in followers) > READERS * LIVES
    assert min(follower.resyncs for follower in followers) >= 1
    assert min(follower.frames for follower in followers) >= 1


async def test_a_reader_that_had_stopped_reading_is_told_to_resync_and_goes_on(
    server: Server,
) -> None:
    session_id = await server.session()
    stream = trio.socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    await stream.connect((host, int(port)))
    async with Wire(trio.SocketStream(stream), f"{host}:{port}") as wire:
        await wire.send("GET", f"/sessions/{session_id}/events")
        await wire.head()
        live = server.runtime._host.active.find(session_id)
        assert live is not None
        await until(lambda: live.channel.readers == 1)
        sent = 0
        for number in range(8):
            pieces = [f"{number} {'x' * 4000}"] * 500
            server.stage.play(*pieces)
            with trio.fail_after(5):
                assert (await server.send(session_id)).status_code == 200
            sent += sum(map(len, pieces))
        assert live.channel._bytes <= 4_100_000 < sent
        # Now it reads: what was on its way, in order, then that it has missed some, then the rest.
        server.stage.play("The last.")
        last = (await server.send(session_id)).json()
        frames: list[Frame] = []
        while not frames or frames[-1].data.get("run_id") != last["run_id"]:
            frame = await wire.frame()
            assert frame is not None
            frames.append(frame)
        ids = [frame.id or 0 for frame in frames]
        resyncs = [place for place, frame in enumerate(frames) if frame.event == "resync"]
        assert len(resyncs) == 1
        before, after = ids[: resyncs[0]], ids[resyncs[0] :]
        assert before == sorted(set(before))
        assert after == sorted(set(after))
        assert ids[resyncs[0]] > before[-1]


async def test_a_reader_of_one_run_that_had_stopped_reading_is_told_so(server: Server) -> None:
    session_id = await server.session()
    pieces = ["x" * 4000] * 3000
    server.stage.play(*pieces)
    async with await server.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        await wire.head()
        live = server.runtime._host.active.find(session_id)
        assert live is not None
        await until(lambda: not live.runs)
        frames = await wire.frames()
    if frames[-1].event == "error":
        assert frames[-1].data["code"] == "resync"
    else:
        assert sum(frame.event == "text" for frame in frames) == len(pieces)
