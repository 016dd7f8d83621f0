"""A commit that fails may have been written; and what is not written is not told as if it was.

Random operations have found these cases (`crash.operations`).
"""

import pytest
import trio
from trio.testing import MockClock

from crash.faults import FaultyMemory, NoFaults, OneFault
from session_kit import FaultyStore, agent, live_of, opened
from wingman import Runtime
from wingman.errors import ShuttingDown, StoreUnavailable
from wingman.events import Error
from wingman.providers import ToolCalls
from wingman.session import Run
from wingman.store import RunEnded, RunQueued

LONG = [ToolCalls(("wait", {"seconds": 5.0})), "Done.", "Done.", "Done."]


async def test_a_cancel_that_was_written_although_it_failed_is_the_run_s_end(
    autojump_clock: MockClock,
) -> None:
    store = FaultyStore(0, RunEnded, all_the_same=True)
    async with opened(agent(LONG), store=store) as runtime:
        session = await runtime.create_session("tester")
        first = await session.submit("first")
        queued = await session.submit("second")
        store.failures = 1
        await queued.cancel()
        assert queued.status == "cancelled"
        await first.result()
        third = await session.submit("third")
        await third.result()
        record = await store.run(session.id, queued.id)
        assert record is not None
        assert (record.status, record.started_at) == ("cancelled", None)


async def test_a_message_that_was_written_although_it_was_refused_is_run_when_it_is_sent_again(
    autojump_clock: MockClock,
) -> None:
    store = FaultyStore(0, RunQueued, all_the_same=True)
    async with opened(agent(["Done."]), store=store) as runtime:
        session = await runtime.create_session("tester")
        store.failures = 1
        with pytest.raises(StoreUnavailable):
            await session.submit("hello", request_id="one")
        run = await session.submit("hello", request_id="one")
        assert (await run.result()).response == "Done."
        assert [record.id for record in await store.runs(session.id)] == [run.id]


async def test_an_event_whose_id_is_not_reserved_is_not_published(
    autojump_clock: MockClock,
) -> None:
    """Else the next process would give the same id to another one."""
    store = FaultyMemory(OneFault(2, "period", 10.0))
    async with opened(agent(["Done."]), store=store) as runtime:
        session = await runtime.create_session("tester")
        channel = live_of(runtime, session.id).channel
        with pytest.raises(StoreUnavailable):
            await session.submit("refused")
        await trio.sleep(1.0)
        assert channel.last_id == 0
        await trio.sleep(10.0)
        await session.run("taken")
        # Nobody heard of the one that was refused.
        assert not any(isinstance(published.event, Error) for published in channel.read(0))
        ceiling = store.ledger.sessions[session.id].event_ceiling
        assert channel.last_id <= ceiling


async def test_a_drain_tells_who_waits_for_a_run_whose_end_cannot_be_recorded(
    autojump_clock: MockClock,
) -> None:
    store = FaultyMemory(NoFaults())
    async with opened(agent(LONG), store=store) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("first")
        await trio.sleep(1.0)
        store.faults = OneFault(1, "period", 60.0)
        heard: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_hear, run, heard)
            nursery.start_soon(_cancel, runtime, run, heard)
            await trio.sleep(1.0)
            await runtime.drain(0)
        assert sorted(heard) == ["not cancelled", "shutting_down"]
        record = await store.run(session.id, run.id)
        assert record is not None
        assert record.status == "running"


async def _hear(run: Run, heard: list[str]) -> None:
    with pytest.raises(ShuttingDown) as caught:
        await run.result()
    assert run.id in caught.value.message
    heard.append(caught.value.code)


async def _cancel(runtime: Runtime, run: Run, heard: list[str]) -> None:
    with pytest.raises(StoreUnavailable):
        await runtime.cancel_run(run.session_id, run.id)
    heard.append("not cancelled")


async def test_a_store_that_fails_as_the_runtime_opens_raises_its_own_error(
    autojump_clock: MockClock,
) -> None:
    store = FaultyMemory(NoFaults())
    async with opened(agent(LONG), store=store) as runtime:
        session = await runtime.create_session("tester")
        await session.submit("first")
        await trio.sleep(1.0)
        left = list(store.committed)
    with pytest.raises(StoreUnavailable):
        async with opened(agent(LONG), store=FaultyMemory(OneFault(1, "refused", 0.0), left)):
            pass
