"""A session that is deleted is gone for all: for those who wait, who read, and who come later."""

from collections.abc import Sequence
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import FaultyStore, agent, echo, idle, live_of, opened
from wingman import Message, Runtime, Session
from wingman.errors import NotFound, SessionDeleted, StoreError
from wingman.events import Error
from wingman.providers import ToolCalls
from wingman.session import Run
from wingman.store import Chain, Change, Commit, MemoryStore, SessionDeleting, SessionRecord


async def assert_gone(runtime: Runtime, session: Session) -> None:
    host = runtime._host
    assert host.active.find(session.id) is None
    assert await runtime.store.session(session.id) is None
    assert await runtime.store.runs() == ()
    assert await runtime.store.deleting() == ()
    for attempt in (
        session.run("hello"),
        session.history(),
        session.cancel(),
        host.delete(session.id),
        runtime.describe(session.id),
        runtime.update_session(session.id, title="risen"),
        runtime.session(session.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await runtime.store.session(session.id) is None
    assert idle(runtime)


async def test_an_idle_session_is_deleted() -> None:
    async with opened(echo()) as runtime:
        session = await runtime.create_session("echo")
        await session.run("hello")
        await runtime.delete(session.id)
        await assert_gone(runtime, session)


async def test_a_session_that_is_not_live_is_deleted(autojump_clock: MockClock) -> None:
    async with opened(echo(), idle_after=10) as runtime:
        session = await runtime.create_session("echo")
        await session.run("hello")
        await trio.sleep(30)
        await runtime.delete(session.id)
        await assert_gone(runtime, session)


async def test_deleting_cancels_what_runs_and_tells_who_waits(autojump_clock: MockClock) -> None:
    helper = agent([ToolCalls(("wait", {"seconds": 1000}))])
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        runs = [await session.submit(text) for text in ("one", "two", "three")]
        told: list[str] = []
        events: list[object] = []

        async def wait_for(run: Run) -> None:
            with pytest.raises(SessionDeleted):
                await run.result()
            told.append(run.id)

        async def read() -> None:
            async with live_of(runtime, session.id).channel.reader() as reader:
                while batch := await reader.receive():
                    events.extend(published.event for published in batch)
                assert reader.closed == "deleted"

        async with trio.open_nursery() as nursery:
            for run in runs:
                nursery.start_soon(wait_for, run)
            nursery.start_soon(read)
            await wait_all_tasks_blocked()
            start = trio.current_time()
            await runtime.delete(session.id)
        assert trio.current_time() == start
        assert sorted(told) == sorted(run.id for run in runs)
        errors = [event for event in events if isinstance(event, Error)]
        assert [(e.code, e.run_id) for e in errors] == [
            ("session_deleted", run.id) for run in (*runs[1:], runs[0])
        ]
        await assert_gone(runtime, session)


async def test_two_that_delete_at_once_delete_once(autojump_clock: MockClock) -> None:
    helper = agent([ToolCalls(("stubborn", {"seconds": 3}))])
    outcomes: list[str] = []
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        await session.submit("go")
        await wait_all_tasks_blocked()

        async def delete() -> None:
            try:
                await runtime.delete(session.id)
            except NotFound:
                outcomes.append("not found")
            else:
                outcomes.append("deleted")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(delete)
            nursery.start_soon(delete)
        assert sorted(outcomes) == ["deleted", "not found"]
        await assert_gone(runtime, session)


async def test_a_delete_whose_caller_goes_away_is_done_all_the_same(
    autojump_clock: MockClock,
) -> None:
    helper = agent([ToolCalls(("stubborn", {"seconds": 3}))])
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        await session.submit("go")
        await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await runtime.delete(session.id)
        await assert_gone(runtime, session)


async def test_a_message_in_the_moment_of_the_delete_is_refused_or_told(
    autojump_clock: MockClock,
) -> None:
    helper = echo()
    for ticks in range(6):
        async with opened(helper, idle_after=10) as runtime:
            session = await runtime.create_session(helper)
            if ticks % 2:
                await trio.sleep(30)

            async def send(session: Session, ticks: int) -> None:
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                with suppress(NotFound, SessionDeleted):
                    await session.run("hello")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send, session, ticks)
                nursery.start_soon(runtime.delete, session.id)
            await assert_gone(runtime, session)


async def test_a_delete_that_cannot_be_recorded_changes_nothing() -> None:
    async with opened(echo(), store=FaultyStore(1, SessionDeleting)) as runtime:
        session = await runtime.create_session("echo")
        with pytest.raises(StoreError):
            await runtime.delete(session.id)
        assert (await session.run("hello")).response == "hello"
        await runtime.delete(session.id)
        await assert_gone(runtime, session)


async def test_a_session_whose_tool_will_not_stop_is_gone_for_all_but_the_tool(
    autojump_clock: MockClock,
) -> None:
    helper = agent([ToolCalls(("stubborn", {"seconds": 100}))])
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        start = trio.current_time()
        await runtime.delete(session.id)
        assert trio.current_time() - start == 10.0
        with pytest.raises(NotFound):
            await session.run("hello")
        with pytest.raises(SessionDeleted):
            await run.result()
        await trio.sleep(1)
        await assert_gone(runtime, session)


class Unhurried(MemoryStore):
    """A store that marks a session as deleted only after a second."""

    def write(self, *changes: Change) -> Commit:
        write = super().write
        if not isinstance(changes[0], SessionDeleting):
            return write(*changes)

        class Later:
            async def wait(self) -> None:
                await trio.sleep(1)
                await write(*changes).wait()

        return Later()


async def test_a_session_does_not_wake_while_it_is_being_marked(autojump_clock: MockClock) -> None:
    async with opened(echo(), store=Unhurried(), idle_after=10) as runtime:
        session = await runtime.create_session("echo")
        await trio.sleep(30)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.delete, session.id)
            await wait_all_tasks_blocked()
            with pytest.raises(NotFound):
                await session.run("hello")
            with pytest.raises(NotFound):
                await runtime.delete(session.id)
        await assert_gone(runtime, session)


class Ahead(MemoryStore):
    """A store whose reads and marks are there a second before anybody is told."""

    async def session_with_history(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[Message]] | None:
        await trio.sleep(0.5)
        return await super().session_with_history(session_id)

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        commit = super().write(*changes, chain=chain)
        if not isinstance(changes[0], SessionDeleting):
            return commit

        class Told:
            async def wait(self) -> None:
                await trio.sleep(1)

        return Told()


async def test_an_actor_that_is_still_loading_when_its_session_is_deleted_does_not_crash(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(echo(), store=Ahead(), idle_after=10) as runtime:
        session = await runtime.create_session("echo")
        await trio.sleep(30)
        await runtime.session(session.id)
        await runtime.delete(session.id)
        await assert_gone(runtime, session)
    assert caplog.records == []


async def test_an_actor_that_reads_a_mark_before_memory_hears_of_it_does_not_crash(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(echo(), store=Ahead(), idle_after=10) as runtime:
        session = await runtime.create_session("echo")
        await trio.sleep(30)
        run = await session.submit("hello")
        await runtime.delete(session.id)
        with pytest.raises(SessionDeleted):
            await run.result()
        await assert_gone(runtime, session)
    assert caplog.records == []


async def test_a_request_that_comes_again_during_the_delete_hears_of_the_session_not_of_a_run(
    autojump_clock: MockClock,
) -> None:
    codes = set()
    for ticks in range(12):
        store = MemoryStore()
        async with opened(echo(), store=store) as runtime:
            session = await runtime.create_session("echo")
            first = await session.submit("hello", request_id="one")
            await first.wait()
        async with opened(echo(), store=store) as runtime:
            again = await runtime.session(session.id)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(runtime.delete, session.id)
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                try:
                    assert (await again.submit("hello", request_id="one")).id == first.id
                except NotFound as error:
                    codes.add(error.code)
    assert codes == {"session_not_found"}
