"""A store whose commit fails: memory says nothing that the store does not, and all goes on."""

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import (
    BreakableStore,
    FaultyStore,
    LateStore,
    SlowStore,
    agent,
    assert_valid,
    echo,
    idle,
    live_of,
    opened,
    requests_of,
)
from wingman import Message, tool
from wingman.conversation import ToolResultBlock
from wingman.errors import NotFound, StoreUnavailable
from wingman.events import ToolResult
from wingman.providers import Delay, Parts, TextDelta, ToolCalls
from wingman.store import (
    CallEnded,
    CeilingRaised,
    RunEnded,
    RunQueued,
    RunStarted,
    SessionDeleting,
    SessionErased,
    SessionSaved,
    StepEnded,
    StepRecorded,
)


async def test_a_queued_run_whose_cancel_is_not_recorded_is_still_queued_and_says_so(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(delay=10), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        first, second = await session.submit("one"), await session.submit("two")
        await wait_all_tasks_blocked()
        store.break_down()
        for _ in range(2):  # the second is told the same
            with pytest.raises(StoreUnavailable, match=f"run {second.id} is still queued.*full"):
                await second.cancel()
            assert second.status == "queued"
            assert (await runtime.describe_run(session.id, second.id)).status == "queued"
        store.mend()
        assert (await first.result()).response == "one"
        assert (await second.result()).response == "two"
        assert idle(runtime)


async def test_a_cancel_of_all_says_which_are_cancelled_and_which_are_not(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(delay=10), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        runs = [await session.submit(text) for text in ("one", "two", "three")]
        await wait_all_tasks_blocked()
        store.break_down()
        start = trio.current_time()
        with pytest.raises(StoreUnavailable) as caught:
            await session.cancel(queued=True)
        assert trio.current_time() - start <= 5.0
        assert f"run {runs[0].id} has stopped, and its end is not recorded yet" in str(caught.value)
        for run in runs[1:]:
            assert f"run {run.id} is still queued" in str(caught.value)
        store.mend()
        # The one whose work had stopped is ended as what it was: cancelled. The others go on.
        await runs[0].wait()
        assert runs[0].outcome().stop_reason == "cancelled"
        assert [(await run.result()).response for run in runs[1:]] == ["two", "three"]
        statuses = [record.status for record in await store.runs(session.id)]
        assert statuses == ["cancelled", "completed", "completed"]
        assert idle(runtime)


async def test_a_message_that_is_not_recorded_is_nowhere_and_has_interrupted_nothing(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(delay=10), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        live = live_of(runtime, session.id)
        first = await session.submit("one")
        await wait_all_tasks_blocked()
        for attempt in range(6):
            store.break_down()
            with pytest.raises(StoreUnavailable, match=r"was not taken.*disk is full"):
                await session.submit(f"lost {attempt}", request_id="r1", on_busy="interrupt")
            assert list(live.runs) == [first.id]
            assert live.requests == {}
            store.mend()
        assert first.status == "running"
        # The request id is free at once, and means the message that is taken.
        taken = await session.submit("two", request_id="r1")
        assert (await first.result()).response == "one"
        assert (await taken.result()).response == "two"
        assert [record.message for record in await store.runs(session.id)] == ["one", "two"]
        assert idle(runtime)


async def test_a_message_that_is_not_recorded_while_its_session_is_idle_does_not_run(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        for _ in range(6):  # more often than an actor may crash
            store.break_down(RunQueued)
            with pytest.raises(StoreUnavailable):
                await session.run("lost")
            store.mend()
        assert requests_of(helper) == []
        assert await session.history() == ()
        assert (await session.run("taken")).response == "taken"
        assert [info.restarts for info in runtime.status().actors] == [0]
        assert idle(runtime)


UNKNOWN = (
    "Interrupted: the result of this call could not be recorded. It may have run, in part or whole."
)


@tool
async def pay(amount: int) -> str:
    """Pay an amount."""
    await trio.sleep(1)
    return f"paid {amount}"


def results_in(messages: Sequence[Message]) -> list[str]:
    """The contents of all tool results in these messages."""
    blocks = (block for message in messages for block in message.content)
    return [block.content for block in blocks if isinstance(block, ToolResultBlock)]


@pytest.mark.parametrize("kind", [StepEnded, CallEnded, StepRecorded, RunEnded])
async def test_no_write_overtakes_a_failed_one_and_the_run_is_ended_from_what_is_stored(
    kind: type, autojump_clock: MockClock
) -> None:
    calls = Delay(ToolCalls(("pay", {"amount": 5})), first=1)
    # It is asked what it makes of the results only where these are recorded.
    said = ["I have paid."] if kind is RunEnded else []
    helper = agent([calls, *said, "fine", "fine"], tools=(pay,))
    store = BreakableStore()
    async with opened(helper, store=store) as runtime:
        session, other = [await runtime.create_session(helper) for _ in range(2)]
        run = await session.submit("pay")
        await wait_all_tasks_blocked()
        store.break_down(kind)
        queued = await session.submit("next")
        await trio.sleep(3)
        assert runtime.status().unready is not None
        view = await runtime.describe_run(session.id, queued.id)
        assert view.status == "queued"
        store.mend()
        with pytest.raises(StoreUnavailable, match="goes on from what is stored"):
            await run.result()
        assert (await queued.result()).response == "fine"
        history = await session.history()
        assert_valid(history)
        record = await store.run(session.id, run.id)
        assert record is not None
        assert record.error is not None
        assert (record.status, record.error.code) == ("failed", "store_unavailable")
        # What the next inference is shown is what is stored, no more and no less.
        assert results_in(requests_of(helper)[-1]) == results_in(history)
        assert (
            results_in(history)
            == {
                StepRecorded: [],
                CallEnded: [UNKNOWN],
                StepEnded: ["paid 5"],
                RunEnded: ["paid 5"],
            }[kind]
        )
        assert (await other.run("hello")).response == "fine"
        assert runtime.status().unready is None
        assert idle(runtime)


async def test_a_run_whose_start_is_not_recorded_stays_queued_and_starts_later(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        store.break_down(RunStarted)
        run = await session.submit("one")
        await trio.sleep(3)
        view = await runtime.describe_run(session.id, run.id)
        assert (view.status, run.status) == ("queued", "queued")
        assert view.waiting_for is not None
        assert view.waiting_for.code == "store_unavailable"
        assert requests_of(helper) == []
        store.mend()
        assert (await run.result()).response == "one"
        assert len(await session.history()) == 2
        assert idle(runtime)


async def test_a_run_whose_start_was_recorded_after_all_does_not_start_twice(
    autojump_clock: MockClock,
) -> None:
    helper = echo()
    async with opened(helper, store=FaultyStore(1, RunStarted, all_the_same=True)) as runtime:
        session = await runtime.create_session(helper)
        assert (await session.run("one")).stop_reason == "interrupted"
        assert requests_of(helper) == []
        assert [message.text for message in await session.history()] == ["one"]
        assert (await session.run("two")).response == "two"
        assert idle(runtime)


async def test_a_step_whose_end_failed_for_a_moment_is_not_lost_behind_a_completed_run(
    autojump_clock: MockClock,
) -> None:
    """The disk was full for a second, and free again when the model answered."""
    helper = agent([ToolCalls(("pay", {"amount": 5})), "fine"], tools=(pay,))
    store = BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("pay")
        await wait_all_tasks_blocked()
        store.break_down(StepEnded)
        async with run.reader() as reader:
            while not any(isinstance(p.event, ToolResult) for p in await reader.receive()):
                pass
        await wait_all_tasks_blocked()
        store.mend()
        with pytest.raises(StoreUnavailable):
            await run.result()
        history = await session.history()
        assert "paid 5" in str(history)
        await session.run("next")
        assert "paid 5" in str(requests_of(helper)[-1])


async def test_who_waits_for_a_run_that_cannot_be_recorded_is_told_in_seconds(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(delay=1), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("one", request_id="r1")
        await wait_all_tasks_blocked()
        store.break_down(RunEnded)
        start = trio.current_time()
        with pytest.raises(StoreUnavailable, match="its end is not recorded yet") as caught:
            await run.result()
        assert trio.current_time() - start <= 7.0
        assert caught.value.run_id == run.id
        assert not run.ended
        assert (await runtime.describe_run(session.id, run.id)).status == "running"
        # Who sends it again meets the same run, and the same answer, until the store is well.
        again = await session.submit("one", request_id="r1")
        with pytest.raises(StoreUnavailable, match="its end is not recorded yet"):
            await again.result()
        store.mend()
        await run.wait()
        assert run.status == "failed"
        with pytest.raises(StoreUnavailable, match="goes on from what is stored"):
            await again.result()
        assert idle(runtime)


async def test_a_session_is_not_set_aside_for_what_its_store_does(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(delay=0.5), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        queued = []
        for round in range(8):
            run = await session.submit(f"lost {round}")
            await wait_all_tasks_blocked()
            store.break_down(RunEnded)
            queued.append(await session.submit(f"kept {round}"))
            await trio.sleep(1)
            store.mend()
            with pytest.raises(StoreUnavailable):
                await run.result()
            await queued[-1].wait()
        results = [(await run.result()).response for run in queued]
        assert results == [f"kept {round}" for round in range(8)]
        assert runtime.status().quarantined == {}
        assert idle(runtime)


async def test_a_drain_does_not_wait_for_a_store_that_fails(autojump_clock: MockClock) -> None:
    helper, store = echo(delay=0.5), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("one")
        await wait_all_tasks_blocked()
        store.break_down(RunEnded)
        queued = await session.submit("two")
        await trio.sleep(1)
        start = trio.current_time()
        await runtime.drain(grace=1, patience=1)
        assert trio.current_time() - start <= 2.0
    for each in (run, queued):
        assert each.ended
    assert [record.status for record in await store.runs()] == ["running", "queued"]
    store.mend()
    async with opened(helper, store=store) as runtime:
        again = await runtime.run(session.id, queued.id)
        assert (await again.result()).response == "two"
        statuses = [record.status for record in await store.runs()]
        assert statuses == ["interrupted", "completed"]


async def test_a_change_that_is_not_recorded_is_not_in_memory(autojump_clock: MockClock) -> None:
    helper, store = echo(), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper, title="old")
        store.break_down(SessionSaved)
        with pytest.raises(StoreUnavailable):
            await runtime.update_session(session.id, title="new")
        with pytest.raises(StoreUnavailable):
            await runtime.create_session(helper)
        assert (await runtime.describe(session.id)).title == "old"
        assert live_of(runtime, session.id).record.title == "old"
        assert len((await runtime.sessions()).sessions) == 1
        store.mend()
        assert (await session.run("hello")).response == "hello"


async def test_two_changes_of_one_session_at_once_are_both_kept(autojump_clock: MockClock) -> None:
    helper = echo()
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: runtime.update_session(session.id, title="new"))
            nursery.start_soon(lambda: runtime.update_session(session.id, agent_id=None))
        view = await runtime.describe(session.id)
        assert (view.title, view.agent_id) == ("new", None)


@pytest.mark.parametrize("kind", [SessionDeleting, SessionErased])
async def test_a_delete_that_is_not_recorded_says_how_things_stand(
    kind: type, autojump_clock: MockClock
) -> None:
    helper, store = echo(), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        await session.run("hello")
        store.break_down(kind)
        with pytest.raises(StoreUnavailable) as caught:
            await runtime.delete(session.id)
        store.mend()
        if kind is SessionDeleting:
            assert (await session.run("still here")).response == "still here"
        else:
            assert "is deleted" in str(caught.value)
            with pytest.raises(NotFound):
                await runtime.describe(session.id)
    async with opened(helper, store=store) as runtime:
        assert await store.deleting() == ()


async def test_ids_that_could_not_be_reserved_are_not_given(autojump_clock: MockClock) -> None:
    pieces = ["word "] * 10_000
    helper, store = agent([Delay(Parts(*map(TextDelta, pieces)), first=1)]), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("one")
        await wait_all_tasks_blocked()
        store.break_down(CeilingRaised)
        await trio.sleep(2)
        stored = await store.session(session.id)
        assert stored is not None
        assert live_of(runtime, session.id).channel.last_id <= stored.event_ceiling
        store.mend()
        with pytest.raises(StoreUnavailable):
            await run.result()
        stored = await store.session(session.id)
        assert stored is not None
        assert live_of(runtime, session.id).channel.last_id <= stored.event_ceiling


async def test_an_interrupt_takes_effect_once_it_is_durable(autojump_clock: MockClock) -> None:
    helper, store = echo(delay=10), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        first = await session.submit("one")
        await wait_all_tasks_blocked()
        second = await session.submit("two", on_busy="interrupt")
        assert (await second.result()).response == "two"
        assert first.outcome().stop_reason == "cancelled"


async def test_nobody_but_its_sender_hears_of_a_message_that_is_refused(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(), BreakableStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        async with live_of(runtime, session.id).channel.reader() as reader:
            store.break_down(RunQueued)
            with pytest.raises(StoreUnavailable):
                async with session.run_stream("lost"):
                    raise AssertionError("never")
            store.mend()
            taken = await session.submit("taken")
            await taken.wait()
            assert {p.run_id for p in await reader.receive()} == {taken.id}
        assert idle(runtime)


async def test_a_cancel_of_a_queued_run_waits_for_what_the_store_says(
    autojump_clock: MockClock,
) -> None:
    """Somebody else's lock made the store wait, for as long as a cancel waits for a tool."""
    helper, store = echo(delay=100), SlowStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        await session.submit("one")
        queued, other = await session.submit("two"), await session.submit("three")
        await wait_all_tasks_blocked()
        store.slow_until_refused = 6.0
        with pytest.raises(StoreUnavailable, match=f"run {queued.id} is still queued"):
            await queued.cancel()
        store.slow_until_refused = 1000.0
        start = trio.current_time()
        with pytest.raises(StoreUnavailable, match=f"whether run {other.id} is cancelled is not"):
            await other.cancel()
        assert trio.current_time() - start == 30.0
        store.slow_until_refused = 0.0
        assert (await queued.result()).response == "two"


async def test_a_commit_that_never_returns_does_not_keep_the_runtime_from_closing(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(delay=1), SlowStore()
    start = trio.current_time()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("one")
        await wait_all_tasks_blocked()
        store.slow_until_refused = 100_000.0
        with pytest.raises(StoreUnavailable, match="its end is not recorded yet"):
            await run.result()
        assert 30 < trio.current_time() - start < 40  # what the end of a run may take, and a bit
        assert run.status == "running"
    assert trio.current_time() - start < 100
    assert run.ended


async def test_a_message_during_a_delete_that_is_not_recorded_is_taken(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(), SlowStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        store.slow_until_refused, store.kinds = 5.0, (SessionDeleting,)
        told: list[str] = []

        async def delete() -> None:
            with pytest.raises(StoreUnavailable):
                await runtime.delete(session.id)
            told.append("still there")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(delete)
            await wait_all_tasks_blocked()
            told.append((await session.run("hello")).response)
        assert told == ["still there", "hello"]


async def test_a_change_whose_client_leaves_is_in_memory_once_it_is_stored(
    autojump_clock: MockClock,
) -> None:
    helper, store = echo(), LateStore(SessionSaved)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        with trio.move_on_after(0.1):
            await runtime.update_session(session.id, title="new")
        await runtime.update_session(session.id, agent_id=None)
        view = await runtime.describe(session.id)
        assert (view.title, view.agent_id) == ("new", None)
        record = live_of(runtime, session.id).record
        assert (record.title, record.agent_id) == ("new", None)
