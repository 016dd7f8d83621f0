"""The event channel: published once, read by many, bounded, and never waiting for anybody."""

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from wingman.conversation import NO_USAGE
from wingman.errors import StreamLagged
from wingman.events import Done, Error, Event, Result, Text, Thinking, ToolResult, ToolUse
from wingman.run import EventChannel, Published, Reader

RESULT = Result("r1", "hi", "end_turn", 1, (), NO_USAGE)


def texts(batch: object) -> list[str]:
    return [p.event.text for p in batch]  # type: ignore[attr-defined]


def publish(channel: EventChannel, *pieces: str, run_id: str = "r1") -> None:
    for piece in pieces:
        channel.publish(run_id, Text(piece))


async def test_a_reader_takes_all_there_is_in_one_go() -> None:
    channel = EventChannel(7)
    async with channel.reader() as reader:
        publish(channel, "a", "b")
        batch = await reader.receive()
        assert [p.id for p in batch] == [8, 9]
        assert texts(batch) == ["a", "b"]
        publish(channel, "c")
        assert texts(await reader.receive()) == ["c"]


async def test_a_reader_waits_for_the_next_event(autojump_clock: MockClock) -> None:
    channel = EventChannel(0)
    received: list[list[str]] = []

    async def read(reader: Reader) -> None:
        async with reader:
            while batch := await reader.receive():
                received.append(texts(batch))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(read, channel.reader())
        await wait_all_tasks_blocked()
        assert channel.readers == 3
        publish(channel, "a")
        await wait_all_tasks_blocked()
        publish(channel, "b", "c")
        channel.close("over")
    assert sorted(received) == sorted([["a"], ["b", "c"]] * 3)
    assert channel.readers == 0


async def test_a_reader_begins_where_it_is_told() -> None:
    channel = EventChannel(10)
    publish(channel, "a", "b", "c")
    assert texts(await channel.reader(12).receive()) == ["c"]
    assert texts(await channel.reader(10).receive()) == ["a", "b", "c"]
    with trio.move_on_after(0) as scope:
        await channel.reader().receive()
    assert scope.cancelled_caught


@pytest.mark.parametrize("after", [0, 9, 14, 1000])
async def test_a_reader_from_elsewhere_is_told_where_to_go_on_and_can(after: int) -> None:
    channel = EventChannel(10)
    publish(channel, "a", "b", "c")
    reader = channel.reader(after)
    with pytest.raises(StreamLagged) as caught:
        await reader.receive()
    again = channel.reader(caught.value.resume_at)
    assert texts(await again.receive()) == ["a", "b", "c"]


async def test_what_is_stored_goes_first_and_who_needs_it_is_told() -> None:
    channel = EventChannel(0, max_events=10)
    early = channel.reader()
    for number in range(30):
        publish(channel, str(number))
        channel.mark_stored(channel.last_id - 5)
    with pytest.raises(StreamLagged) as caught:
        await early.receive()
    assert caught.value.resume_at == 25
    batch = await channel.reader(caught.value.resume_at).receive()
    assert texts(batch) == ["25", "26", "27", "28", "29"]


async def test_the_step_under_way_is_never_let_go() -> None:
    channel = EventChannel(0, max_events=10, max_bytes=100)
    reader = channel.reader()
    publish(channel, *map(str, range(1000)))
    assert texts(await reader.receive()) == [str(n) for n in range(1000)]


async def test_large_events_are_let_go_by_their_size() -> None:
    channel = EventChannel(0, max_bytes=10_000)
    for event in (
        Text("x" * 4000),
        Thinking("x" * 4000),
        ToolResult("t", "x" * 4000, is_error=False),
    ):
        channel.publish("r1", event)
        channel.mark_stored(channel.last_id)
    with pytest.raises(StreamLagged):
        channel.read(0)
    assert len(channel.read(2)) == 1


async def test_a_reader_of_one_run_sees_it_alone_and_ends_with_it() -> None:
    channel = EventChannel(0)
    publish(channel, "a", run_id="r1")
    publish(channel, "b", run_id="r2")
    channel.publish("r2", Error("provider_error", "no", "r2"))
    publish(channel, "c", run_id="r1")
    channel.publish("r1", Done(RESULT))
    publish(channel, "d", run_id="r3")
    async with channel.reader(0, "r1") as reader:
        kinds = [(p.run_id, p.event.kind) for p in await reader.receive()]
        assert kinds == [("r1", "text"), ("r1", "text"), ("r1", "done")]
        assert await reader.receive() == ()
    async with channel.reader(0, "r2") as reader:
        assert [p.event.kind for p in await reader.receive()] == ["text", "error"]
        assert await reader.receive() == ()


async def test_a_closed_channel_gives_what_is_left_and_then_the_end() -> None:
    channel = EventChannel(0)
    publish(channel, "a")
    channel.close("shutting_down")
    reader = channel.reader(0)
    assert texts(await reader.receive()) == ["a"]
    assert await reader.receive() == ()
    channel.close("stopped")
    assert reader.closed == "shutting_down"


def test_an_event_is_encoded_once_for_all() -> None:
    published = Published(1, "r1", Text("hé\n"))
    head = b"id: 1\nevent: text\ndata: "
    assert published.run_frame() == head + b'{"text":"h\xc3\xa9\\n"}\n\n'
    assert published.run_frame() is published.run_frame()
    assert published.session_frame() == head + b'{"run_id":"r1","text":"h\xc3\xa9\\n"}\n\n'
    assert published.session_frame() is published.session_frame()
    end = Published(2, "r1", Done(RESULT))
    assert end.session_frame() is end.run_frame()
    assert msgspec.json.decode(data_of(end))["run_id"] == "r1"
    assert b"\n" not in data_of(Published(3, "r1", ToolUse("t", "say", {"text": "a\nb"})))


def data_of(published: Published) -> bytes:
    return published.run_frame().partition(b"data: ")[2].removesuffix(b"\n\n")


EVENTS = st.one_of(
    st.builds(Text, st.text(max_size=50)),
    st.builds(ToolResult, st.just("t"), st.text(max_size=50), st.booleans()),
)
ACTIONS = st.lists(
    st.one_of(EVENTS, st.sampled_from(["read", "store", "resume"])), min_size=1, max_size=60
)


@given(ACTIONS, st.integers(1, 8), st.integers(64, 1000), st.integers(0, 100))
def test_whatever_happens_a_reader_gets_all_in_order_or_is_told_what_it_misses(
    actions: list[Event | str], max_events: int, max_bytes: int, start: int
) -> None:
    channel = EventChannel(start, max_events=max_events, max_bytes=max_bytes)
    cursor = stored = start
    for action in actions:
        if action == "store":
            stored = channel.last_id
            channel.mark_stored(stored)
        elif action == "read":
            try:
                batch = channel.read(cursor)
            except StreamLagged as lagged:
                assert lagged.resume_at == stored > cursor  # noqa: PT017 it may raise, or not
                cursor = stored
                batch = channel.read(cursor)
            assert [p.id for p in batch] == list(range(cursor + 1, channel.last_id + 1))
            cursor = channel.last_id
        elif action == "resume":
            assert [p.id for p in channel.read(stored)] == list(
                range(stored + 1, channel.last_id + 1)
            )
        else:
            channel.publish("r1", action)  # type: ignore[arg-type]
