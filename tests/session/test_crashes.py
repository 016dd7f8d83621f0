"""A session whose actor crashes begins again from the store, says so, and disturbs nobody."""

import pytest
import trio
from trio.testing import MockClock

import wingman.session.actor
from session_kit import FaultyStore, agent, assert_ends, assert_valid, echo, idle, live_of, opened
from wingman.conversation import ToolResultBlock
from wingman.errors import RunFailed, SessionQuarantined, StoreError
from wingman.events import Error
from wingman.providers import ToolCalls
from wingman.run import Ending, RunJournal
from wingman.session.actor import SessionActor
from wingman.store import MemoryStore, RunEnded, StepEnded, StepRecorded


@pytest.mark.parametrize("kind", [StepRecorded, (StepEnded, RunEnded), RunEnded])
async def test_after_a_failed_write_the_session_goes_on_from_what_is_stored(
    kind: type | tuple[type, ...], autojump_clock: MockClock
) -> None:
    calls = ToolCalls(("say", {"text": "hi"}), text="Let me see. ")
    first = [True]

    def speak(request: object) -> object:
        return calls if first and first.pop() else "fine"

    helper = agent(speak)  # type: ignore[arg-type]
    store = FaultyStore(len(kind) if isinstance(kind, tuple) else 1, kind)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        live = live_of(runtime, session.id)
        run, queued = await session.submit("go"), await session.submit("queued")
        with pytest.raises(StoreError, match=r"disk is full.*goes on from what is stored"):
            await run.result()
        assert run.status == "failed"
        assert (await queued.result()).response
        assert live_of(runtime, session.id) is live
        assert [info.restarts for info in runtime._root.services.system.snapshot()] == [0]
        result = await session.run("again")
        assert result.response == "fine"
        history = await session.history()
        assert_valid(history)
        assert live.history == list(history)
        records = await store.runs(session.id)
        assert [record.status for record in records] == ["failed", "completed", "completed"]
        assert records[0].error is not None
        assert records[0].error.code == "store_unavailable"
        assert_ends(live.channel.read(0), [record.id for record in records])
        record = await runtime.describe(session.id)
        assert record.last_event_id <= live.channel.last_id
        assert idle(runtime)


async def test_the_step_under_way_is_completed_from_its_rows(autojump_clock: MockClock) -> None:
    calls = ToolCalls(("say", {"text": "hi"}), ("say", {"text": "ho"}))
    store = FaultyStore(2, (StepEnded, RunEnded))
    helper = agent([calls, "never stored"])
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        with pytest.raises(StoreError):
            await session.run("go")
        history = await session.history()
        assert_valid(history)
        results = [b for b in history[2].content if isinstance(b, ToolResultBlock)]
        assert [b.content for b in results] == ["hi", "ho"]


def break_recovery(monkeypatch: pytest.MonkeyPatch, session_id: str) -> None:
    """Let one session's actor crash whenever it begins again."""
    end = wingman.session.actor.end_from_store

    async def broken(journal: RunJournal, ending: Ending) -> None:
        if journal.session.session_id == session_id:
            raise RuntimeError("a bug")
        await end(journal, ending)

    monkeypatch.setattr(wingman.session.actor, "end_from_store", broken)


async def test_one_that_keeps_crashing_is_quarantined_with_a_reason_and_others_go_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = echo()
    store = FaultyStore(0)
    async with opened(helper, store=store) as runtime:
        bad, good = [await runtime.create_session(helper) for _ in range(2)]
        store.failures, store.only = 1, bad.id
        with monkeypatch.context() as patch:
            break_recovery(patch, bad.id)
            async with live_of(runtime, bad.id).channel.reader() as reader:
                run, queued = await bad.submit("go"), await bad.submit("queued")
                for each in (run, queued):
                    with pytest.raises(SessionQuarantined, match=r"crashed too often.*a bug"):
                        await each.result()
                events = [published.event for published in await reader.receive()]
                assert [e.run_id for e in events if isinstance(e, Error)] == [run.id, queued.id]
                assert await reader.receive() == ()
                assert reader.closed == "crashed"
            with pytest.raises(SessionQuarantined, match="a bug") as caught:
                await bad.run("again")
            assert caught.value.retry_after > 0
            assert (await good.run("hello")).response == "hello"
            assert idle(runtime)
        # When the actor is well again, the run in flight is accounted for.
        await trio.sleep(100)
        assert (await bad.run("at last")).response == "at last"
        records = await store.runs(bad.id)
        assert [record.status for record in records] == ["interrupted", "failed", "completed"]
        assert records[1].error is not None
        assert records[1].error.code == "session_quarantined"
        assert_valid(await bad.history())
        assert idle(runtime)


async def test_a_quarantined_session_can_be_deleted(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = echo()
    store = FaultyStore(1)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        break_recovery(monkeypatch, session.id)
        with pytest.raises(SessionQuarantined):
            await session.run("go")
        await runtime.delete(session.id)
        assert await store.session(session.id) is None
        assert idle(runtime)


async def test_a_run_can_be_cancelled_while_its_session_begins_again(
    autojump_clock: MockClock,
) -> None:
    helper = echo()
    store = FaultyStore(2)  # the end, and the first try to begin again
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run, queued = await session.submit("go"), await session.submit("queued")
        await trio.sleep(0.05)
        receipt = await session.cancel(queued=True)
        assert {c.run_id for c in receipt.cancelled} == {run.id, queued.id}
        assert run.ended
        assert queued.outcome().stop_reason == "cancelled"
        assert (await session.run("again")).response == "again"
        assert idle(runtime)


async def test_an_end_that_was_recorded_after_all_is_believed(autojump_clock: MockClock) -> None:
    helper = echo()
    async with opened(helper, store=FaultyStore(1, all_the_same=True)) as runtime:
        session = await runtime.create_session(helper)
        result = await session.run("hello")
        assert (result.response, result.stop_reason) == ("hello", "end_turn")
        assert [info.restarts for info in runtime._root.services.system.snapshot()] == [0]
        assert len(await session.history()) == 2
        assert idle(runtime)


async def test_a_reader_goes_on_from_the_id_it_is_shown_after_a_crash(
    autojump_clock: MockClock,
) -> None:
    helper = echo()
    async with opened(helper, store=FaultyStore(1)) as runtime:
        session = await runtime.create_session(helper)
        with pytest.raises(StoreError):
            await session.run("lost")
        record = await runtime.describe(session.id)
        history = record.history
        assert [message.text for message in history] == ["lost"]
        await session.run("hello")
        events = live_of(runtime, session.id).channel.read(record.last_event_id)
        assert [p.event.kind for p in events] == ["error", "step", "text", "done"]


async def test_a_crash_before_a_run_has_begun_is_the_end_of_that_run_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = echo()
    store = MemoryStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        await session.run("before")
    read = SessionActor._read
    bugs = [RuntimeError("a bug")]

    async def broken(actor: SessionActor) -> None:
        if bugs:
            raise bugs.pop()
        await read(actor)

    monkeypatch.setattr(SessionActor, "_read", broken)
    async with opened(helper, store=store) as runtime:
        session = await runtime.session(session.id)
        run, queued = await session.submit("one"), await session.submit("two")
        with pytest.raises(RunFailed, match="cut off by an error inside the server") as caught:
            await run.result()
        assert caught.value.code == "internal_error"
        assert (await queued.result()).response == "two"
        assert [record.status for record in await store.runs()] == [
            "completed",
            "failed",
            "completed",
        ]
        assert idle(runtime)
