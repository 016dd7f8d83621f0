"""What all sessions hold for their readers is bounded, by session and in total."""

from collections import Counter

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import agent, echo, live_of, opened
from wingman import Limits, Text
from wingman.errors import StreamLagged
from wingman.face import Followed, Resynced
from wingman.providers import Finished, Parts, TextDelta, ToolCalls
from wingman.run import BATCH, EventChannel, EventMemory, Reader
from wingman.run.channel import _KEPT_BYTES, _KEPT_EVENTS


def publish(channel: EventChannel, pieces: int, length: int = 1, *, stored: bool = True) -> None:
    for _ in range(pieces):
        channel.publish("r1", Text("x" * length))
    if stored:
        channel.mark_stored(channel.last_id)


def ids(channel: EventChannel) -> list[int]:
    return [published.id for published in channel.read(channel._floor)]


async def read_all(reader: Reader, most: int = 4096) -> list[int]:
    """All that is there for a reader, in batches."""
    found: list[int] = []
    while reader.cursor < reader._channel.last_id:
        batch = await reader.receive(most)
        assert len(batch) == 1 or sum(published.size for published in batch) <= most
        found += [published.id for published in batch]
    return found


async def test_of_what_is_stored_and_read_a_session_keeps_little() -> None:
    memory = EventMemory()
    channel = EventChannel(0, memory)
    publish(channel, 4000, 10)
    assert len(ids(channel)) <= _KEPT_EVENTS
    assert memory.held <= _KEPT_BYTES
    assert ids(channel)[-1] == 4000
    # The step under way is held, and so is all that was published since.
    publish(channel, 4000, 10, stored=False)
    assert len(ids(channel)) >= 4000


async def test_who_comes_back_gets_each_event_once_or_is_told_where_to_go_on() -> None:
    channel = EventChannel(0)
    publish(channel, 4000, 10)
    for after in range(0, 4001, 50):
        reader = channel.reader(after)
        try:
            found = await read_all(reader)
        except StreamLagged as lagged:
            assert lagged.resume_at == 4000 > after  # noqa: PT017 it may raise, or not
        else:
            assert found == list(range(after + 1, 4001))


async def test_what_a_slow_reader_has_not_read_is_held_until_it_has_or_is_gone() -> None:
    memory = EventMemory()
    channel = EventChannel(0, memory)
    slow, gone, never_entered = channel.reader(), channel.reader(), channel.reader()
    async with slow, gone:
        publish(channel, 3000, 10)
        assert ids(channel) == list(range(1, 3001))
        assert await read_all(slow) == list(range(1, 3001))
        assert len(ids(channel)) == 3000  # the others have yet to read
        del never_entered
    publish(channel, 1)
    assert len(ids(channel)) <= _KEPT_EVENTS
    assert memory.held <= _KEPT_BYTES


async def test_over_the_bound_of_all_sessions_the_one_that_stored_longest_ago_lets_go_first() -> (
    None
):
    memory = EventMemory(100_000)
    channels = [EventChannel(0, memory) for _ in range(20)]
    for channel in channels:
        publish(channel, 10, 1000)
        assert memory.held <= memory.most
    held = [len(ids(channel)) for channel in channels]
    assert held == sorted(held)
    assert (held[0], held[-1]) == (0, 10)
    with pytest.raises(StreamLagged) as caught:
        channels[0].read(0)
    assert caught.value.resume_at == 10


async def test_the_steps_under_way_are_held_whatever_they_have() -> None:
    memory = EventMemory(100_000)
    stored, under_way = EventChannel(0, memory), EventChannel(0, memory)
    publish(stored, 10, 1000)
    publish(under_way, 300, 1000, stored=False)
    assert memory.held > memory.most
    assert ids(stored) == []
    assert len(ids(under_way)) == 300
    under_way.mark_stored(300)
    assert memory.held <= memory.most


async def test_what_channels_held_is_counted_no_more_when_they_are_gone() -> None:
    memory = EventMemory()
    for _ in range(50):
        channel = EventChannel(0, memory)
        publish(channel, 100, 100, stored=False)
        async with channel.reader(0) as reader:
            for published in await reader.receive():
                reader.frame(published)
    del channel, reader, published
    assert memory.held == 0


async def test_the_frames_of_events_are_counted_and_made_once_for_all_readers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: Counter[int] = Counter()

    def counted(id: int, kind: str, data: bytes) -> bytes:
        made[id] += 1
        return b"%b %b" % (kind.encode(), data)

    monkeypatch.setattr("wingman.run.published.frame", counted)
    memory = EventMemory()
    channel = EventChannel(0, memory)
    publish(channel, 10, 1000, stored=False)
    before, frames = memory.held, set()
    for _ in range(200):
        reader = channel.reader(0)
        frames |= {id(reader.frame(published)) for published in await reader.receive()}
    assert made == dict.fromkeys(range(1, 11), 1)
    assert len(frames) == 10
    assert 10_000 < memory.held - before < 12_000


async def test_a_programs_reader_that_stops_holds_no_more_than_a_batch() -> None:
    """With all that is published meanwhile, and let go of."""
    parts = Parts(*[TextDelta("x" * 1000)] * 2000, Finished("end_turn"))
    helper = agent([parts, "end"])
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        async with session.follow() as news, session.run_stream("go") as stream:
            await stream.run.wait()
            for _ in range(2):
                await anext(stream)
                await anext(news)
            held = [*news._batch, *stream._batch]
            assert 0 < len(held) * 1000 <= 2 * BATCH
            live_of(runtime, session.id).channel.let_go_of_stored()
            with pytest.raises(StreamLagged):
                async for _ in stream:
                    pass
            seen = [await anext(news) for _ in range(len(news._batch) + 1)]
            assert isinstance(seen[-1], Resynced)
            assert seen[-1].session.history is not None
            await session.run("again")
            following = [await anext(news) for _ in range(3)]
            assert [one.event.kind for one in following if isinstance(one, Followed)] == [
                *("step", "text", "done")
            ]


async def test_a_session_holds_little_of_a_long_text_with_or_without_a_follower(
    autojump_clock: MockClock,
) -> None:
    helper = echo(piece_size=5)
    async with opened(helper) as runtime:
        sessions = [await runtime.create_session(helper) for _ in range(2)]
        reader = live_of(runtime, sessions[0].id).channel.reader()
        async with reader, trio.open_nursery() as nursery:

            async def follow() -> None:
                while await reader.receive(BATCH):
                    pass

            nursery.start_soon(follow)
            for session in sessions:
                assert len((await session.run("word " * 4000)).response) == 20_000
            await wait_all_tasks_blocked()
            for session in sessions:
                live = live_of(runtime, session.id)
                assert live.channel.last_id > 4000
                end = live.channel._events[-1]
                assert end.event.kind == "done"
                assert live.channel._bytes <= _KEPT_BYTES + end.size
            nursery.cancel_scope.cancel()


async def test_the_bound_is_the_runtimes() -> None:
    script = [ToolCalls(("say", {"text": "x" * 20_000})) for _ in range(30)]
    limits = Limits(event_bytes=200_000)
    async with opened(agent([*script, "end"] * 3), limits=limits) as runtime:
        sessions = [await runtime.create_session("tester") for _ in range(3)]
        memory = runtime._root.services.events
        assert memory.most == 200_000
        for session in sessions:
            await session.run("go")
            assert memory.held <= 200_000
