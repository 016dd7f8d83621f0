"""What readers of a session see, whoever they are and however slow."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import agent, echo, live_of, opened
from wingman import Session, Text
from wingman.errors import StreamLagged
from wingman.events import Done
from wingman.providers import Finished, Parts, TextDelta, ToolCalls
from wingman.run.session_journal import _RESERVED
from wingman.store import MemoryStore


async def test_a_slow_consumer_gets_larger_pieces_and_holds_nobody_up(
    autojump_clock: MockClock,
) -> None:
    helper = echo(piece_size=1, piece_delay=1.0)
    async with Session(helper) as session:
        start = trio.current_time()
        async with session.run_stream("0123456789") as stream:
            assert not isinstance(await anext(stream), Text)
            await trio.sleep(100)
            assert stream.run.ended
            assert stream.result.response == "0123456789"
            texts = [event.text async for event in stream if isinstance(event, Text)]
        assert texts == list("0123456789")
        assert trio.current_time() - start == 100.0


async def test_a_reader_of_a_session_goes_on_from_run_to_run() -> None:
    async with opened(echo()) as runtime:
        session = await runtime.create_session("echo")
        async with live_of(runtime, session.id).channel.reader() as reader:
            runs = [await session.run(text) for text in ("one", "two")]
            events = await reader.receive()
        ends = [p.event.result for p in events if isinstance(p.event, Done)]
        assert ends == runs
        assert [p.id for p in events] == list(range(1, len(events) + 1))


async def test_the_reader_of_a_run_that_is_over_gets_its_events_and_the_end() -> None:
    async with opened(echo()) as runtime:
        session = await runtime.create_session("echo")
        await session.run("before")
        run = await session.submit("hello")
        await run.wait()
        await session.run("after")
        async with run.reader() as reader:
            batch = await reader.receive()
            assert {p.run_id for p in batch} == {run.id}
            assert batch[-1].event.kind == "done"
            assert await reader.receive() == ()
        stored = await runtime.run(session.id, run.id)
        async with stored.reader() as reader:
            assert await reader.receive() == ()


async def test_a_long_run_lets_go_of_steps_that_are_stored_and_who_needs_them_can_go_on(
    autojump_clock: MockClock,
) -> None:
    """A reader that resumes where it is told has, with the history, all there is."""
    steps = 30
    script = [ToolCalls(("say", {"text": "x" * 20_000})) for _ in range(steps)]
    helper = agent([*script, "the end"])
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        live = live_of(runtime, session.id)
        live.channel._max_bytes = 100_000
        first_event = live.channel.last_id
        run = await session.submit("go")
        await run.result()
        assert live.channel._floor > 0
        with pytest.raises(StreamLagged) as caught:
            live.channel.read(first_event)
        record = await runtime.describe(session.id)
        history = record.history
        assert caught.value.resume_at == record.last_event_id
        assert [p.event.kind for p in live.channel.read(caught.value.resume_at)] == ["done"]
        assert history[-1].text == "the end"


async def test_more_events_than_were_reserved_have_ids_that_last(
    autojump_clock: MockClock,
) -> None:
    pieces = _RESERVED + 10
    parts = Parts(*[TextDelta("x")] * pieces, Finished("end_turn"))
    store = MemoryStore()
    async with opened(agent([parts]), store=store) as runtime:
        session = await runtime.create_session("tester")
        live = live_of(runtime, session.id)
        assert (await session.run("go")).response == "x" * pieces
        record = await store.session(session.id)
        assert record is not None
        assert record.event_ceiling >= live.channel.last_id > pieces
        assert record.last_event_id == live.channel.last_id - 1


async def test_every_event_is_reserved_before_a_reader_sees_it(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    helper = echo(piece_size=1)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        async with live_of(runtime, session.id).channel.reader() as reader:
            run = await session.submit("word " * 2000)
            while not run.ended:
                batch = await reader.receive()
                record = await store.session(session.id)
                assert record is not None
                assert batch[-1].id <= record.event_ceiling
            await wait_all_tasks_blocked()
