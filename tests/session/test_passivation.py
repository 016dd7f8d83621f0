"""Idle sessions leave memory, and come back as they were."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import echo, idle, live_of, opened
from wingman.run import Published
from wingman.store import MemoryStore


async def test_an_idle_session_leaves_memory_and_comes_back_with_its_history(
    autojump_clock: MockClock,
) -> None:
    helper = echo()
    async with opened(helper, idle_after=10) as runtime:
        session = await runtime.create_session(helper, title="Mine")
        await session.run("one")
        before = await session.history()
        await trio.sleep(30)
        assert runtime._host.active.find(session.id) is None
        assert list(runtime._host.active._directory) == []
        assert (await session.run("two")).response == "two"
        history = await session.history()
        assert history[: len(before)] == before
        record = await runtime.describe(session.id)
        assert (record.title, record.usage.output_tokens) == ("Mine", 2)


async def test_event_ids_grow_over_passivations(autojump_clock: MockClock) -> None:
    helper = echo()
    ids: list[int] = []
    async with opened(helper, idle_after=10) as runtime:
        session = await runtime.create_session(helper)
        for _ in range(3):
            await session.run("hello")
            live = live_of(runtime, session.id)
            ids += [published.id for published in live.channel.read(live.channel.start)]
            shown = await runtime.describe(session.id)
            await trio.sleep(30)
            assert runtime._host.active.find(session.id) is None
            stored = await runtime.describe(session.id)
            assert stored.last_event_id >= ids[-1] >= shown.last_event_id
    assert len(ids) >= 9
    assert ids == sorted(set(ids))


async def test_a_session_that_runs_or_has_runs_queued_stays(autojump_clock: MockClock) -> None:
    helper = echo(delay=100)
    async with opened(helper, idle_after=10) as runtime:
        session = await runtime.create_session(helper)
        first, second = await session.submit("one"), await session.submit("two")
        await trio.sleep(150)
        assert set(live_of(runtime, session.id).runs) == {second.id}
        assert first.ended
        assert (await second.result()).response == "two"
        await trio.sleep(30)
        assert runtime._host.active.find(session.id) is None


async def test_a_reader_keeps_a_session_live(autojump_clock: MockClock) -> None:
    helper = echo()
    seen: list[Published] = []
    async with opened(helper, idle_after=10) as runtime:
        session = await runtime.create_session(helper)
        live = live_of(runtime, session.id)
        async with live.channel.reader() as reader:
            await trio.sleep(100)
            assert runtime._host.active.find(session.id) is live
            await session.run("hello")
            seen += await reader.receive()
        assert seen[-1].event.kind == "done"
        await trio.sleep(100)
        assert runtime._host.active.find(session.id) is None


async def test_a_reader_that_comes_as_its_session_passivates_keeps_it(
    autojump_clock: MockClock,
) -> None:
    helper = echo()
    async with opened(helper, idle_after=10) as runtime:
        session = await runtime.create_session(helper)
        live = live_of(runtime, session.id)
        await wait_all_tasks_blocked()
        cell = runtime._host.active._directory._cells[session.id]
        cell.request_passivation()
        async with live.channel.reader() as reader:
            await wait_all_tasks_blocked()
            assert runtime._host.active.find(session.id) is live
            assert live.channel.closed is None
            await session.run("hello")
            assert (await reader.receive())[-1].event.kind == "done"
        assert idle(runtime)


async def test_a_message_that_comes_as_its_session_passivates_is_answered(
    autojump_clock: MockClock,
) -> None:
    helper = echo()
    async with opened(helper, idle_after=10) as runtime:
        session = await runtime.create_session(helper)
        for number in range(5):
            await wait_all_tasks_blocked()
            runtime._host.active._directory._cells[session.id].request_passivation()
            for _ in range(number):
                await trio.lowlevel.checkpoint()
            assert (await session.run(str(number))).response == str(number)
            await session.history()
        assert idle(runtime)


async def test_many_sessions_leave_nothing_behind(autojump_clock: MockClock) -> None:
    helper = echo()
    async with opened(helper, idle_after=10, store=MemoryStore()) as runtime:

        async def visit() -> None:
            session = await runtime.create_session(helper)
            await session.run("hello")

        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(visit)
        assert [run.status for run in await runtime.store.runs()] == ["completed"] * 200
        await trio.sleep(30)
        assert len(runtime._host.active._directory) == 0
        assert list(runtime._host.active.all()) == []
        assert idle(runtime)
