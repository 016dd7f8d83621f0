"""Cancelling by name: exactly what was named stops, and the receipt says what has."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import LateStore, agent, assert_valid, echo, idle, live_of, opened, requests_of
from wingman import Limits, Session, tool
from wingman.api import CancelledTool, Receipt
from wingman.conversation import ToolResultBlock
from wingman.providers import Delay, ToolCalls
from wingman.session import Run
from wingman.store import MemoryStore, RunEnded


async def test_a_cancel_takes_the_run_in_flight_and_returns_when_it_has_stopped(
    autojump_clock: MockClock,
) -> None:
    cleaned = False

    @tool
    async def tidy() -> str:
        """Work, and tidy up for two seconds when told to stop."""
        nonlocal cleaned
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            cleaned = True
        return "never"

    async with Session(agent([ToolCalls(("tidy", {})), "next"], tools=[tidy])) as session:
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        receipt = await session.cancel()
        assert cleaned
        (cancelled,) = receipt.cancelled
        assert (cancelled.run_id, cancelled.was) == (run.id, "running")
        assert cancelled.stopped_in_ms == 2000.0
        assert cancelled.tools == (CancelledTool("toolu_1", "stopped"),)
        assert cancelled.outcome is None
        assert run.outcome().stop_reason == "cancelled"
        assert (await session.run("again")).response == "next"


async def test_a_cancel_keeps_text_that_had_arrived_and_answers_every_call(
    autojump_clock: MockClock,
) -> None:
    calls = ToolCalls(("wait", {"seconds": 1}), ("wait", {"seconds": 1000}), text="Let me see. ")
    async with Session(agent([calls, "next"])) as session:
        run = await session.submit("go")
        await trio.sleep(5)
        await run.cancel()
        result = run.outcome()
        assert result.response == ""
        assert [call.is_error for call in result.tool_calls] == [False, True]
        history = await session.history()
        assert_valid(history)
        assert history[1].text == "Let me see. "
        marks = [b.cut_short for b in history[2].content if isinstance(b, ToolResultBlock)]
        assert marks == [None, "cancelled"]


async def test_with_nothing_in_flight_a_cancel_gives_an_empty_receipt() -> None:
    async with Session(echo()) as session:
        assert await session.cancel() == Receipt(())
        run = await session.submit("hello")
        await run.wait()
        assert await run.cancel() == Receipt(())
        assert await run.cancel_tool("toolu_1") == Receipt(())
        assert run.status == "completed"


async def test_a_queued_run_that_is_cancelled_never_starts(autojump_clock: MockClock) -> None:
    helper = echo(delay=10)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        first, second, third = [await session.submit(text) for text in ("one", "two", "three")]
        await wait_all_tasks_blocked()
        receipt = await second.cancel()
        assert [(c.run_id, c.was) for c in receipt.cancelled] == [(second.id, "queued")]
        assert second.outcome().stop_reason == "cancelled"
        assert first.status == "running"
        assert (await third.result()).response == "three"
        assert (await first.result()).response == "one"
        assert [requests[-1].text for requests in requests_of(helper)] == ["one", "three"]
        stored = await runtime.store.run(session.id, second.id)
        assert stored is not None
        assert (stored.status, stored.result) == ("cancelled", second.outcome())
        assert idle(runtime)


async def test_a_cancel_that_names_a_run_touches_no_other(autojump_clock: MockClock) -> None:
    helper = echo(delay=10)
    async with Session(helper) as session:
        first, second = await session.submit("one"), await session.submit("two")
        await first.wait()
        assert await first.cancel() == Receipt(())
        assert (await second.result()).response == "two"


async def test_a_nameless_cancel_leaves_what_waits_unless_told(autojump_clock: MockClock) -> None:
    async with Session(echo(delay=10)) as session:
        first, second = await session.submit("one"), await session.submit("two")
        await wait_all_tasks_blocked()
        assert [c.run_id for c in (await session.cancel()).cancelled] == [first.id]
        third = await session.submit("three")
        await wait_all_tasks_blocked()
        receipt = await session.cancel(queued=True)
        assert [(c.run_id, c.was) for c in receipt.cancelled] == [
            (second.id, "running"),
            (third.id, "queued"),
        ]
        assert (await session.run("four")).response == "four"


async def test_a_call_that_is_cancelled_while_the_model_still_speaks_never_runs(
    autojump_clock: MockClock,
) -> None:
    ran = []

    @tool
    async def note(text: str) -> str:
        """Take a note."""
        ran.append(text)
        return "noted"

    calls = Delay(ToolCalls(("note", {"text": "one"}), ("note", {"text": "two"})), each=100)
    async with Session(agent([calls, "ok"], tools=[note])) as session:
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        start = trio.current_time()
        for _ in range(2):  # to ask again changes nothing
            (cancelled,) = (await run.cancel_tool("toolu_1")).cancelled
            assert cancelled.tools == (CancelledTool("toolu_1", "stopped"),)
        assert trio.current_time() == start  # the model need not have ended
        assert run.status == "running"
        result = await run.result()
        first, second = result.tool_calls
        assert (first.is_error, second.output) == (True, "noted")
        assert "the user cancelled this tool call" in first.output
        assert ran == ["two"]
        assert await run.cancel_tool("toolu_1") == Receipt(())
        assert_valid(await session.history())


async def test_one_tool_call_is_cancelled_alone(autojump_clock: MockClock) -> None:
    calls = ToolCalls(("wait", {"seconds": 1000}), ("wait", {"seconds": 7}))
    helper = agent([calls, "ok"])
    async with Session(helper) as session:
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        receipt = await run.cancel_tool("toolu_1")
        (cancelled,) = receipt.cancelled
        assert cancelled.tools == (CancelledTool("toolu_1", "stopped"),)
        assert run.status == "running"
        assert await run.cancel_tool("toolu_1") == Receipt(())
        result = await run.result()
        assert result.stop_reason == "end_turn"
        first, second = result.tool_calls
        assert "the user cancelled this tool call" in first.output
        assert second.output == "waited 7.0"


async def test_what_does_not_stop_is_reported_and_the_session_stays_cancelling(
    autojump_clock: MockClock,
) -> None:
    helper = agent([ToolCalls(("stubborn", {"seconds": 100})), "next"])
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        start = trio.current_time()
        (cancelled,) = (await run.cancel()).cancelled
        assert trio.current_time() - start == 5.0
        assert cancelled.outcome == "still_running"
        assert cancelled.tools == (CancelledTool("toolu_1", "still_running"),)
        assert run.status == "cancelling"
        (again,) = (await run.cancel()).cancelled
        assert (again.was, again.outcome) == ("cancelling", "still_running")
        # In the end it stops, and the next message is answered.
        assert (await session.run("again")).response == "next"
        assert run.status == "cancelled"
        assert trio.current_time() - start == 100.0
        assert idle(runtime)


async def test_a_provider_that_ignores_its_cancellation_is_waited_for(
    autojump_clock: MockClock,
) -> None:
    async def deaf(request: object) -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(60)
        return "too late"

    async with Session(agent(deaf)) as session:
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        (cancelled,) = (await run.cancel()).cancelled
        assert cancelled.outcome == "still_running"
        await run.wait()
        assert run.status == "cancelled"
        assert_valid(await session.history())


async def test_a_run_that_waits_for_a_place_can_be_cancelled_and_takes_none(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(runs=1)) as runtime:
        one, two = [await runtime.create_session(helper) for _ in range(2)]
        first = await one.submit("one")
        await wait_all_tasks_blocked()
        second = await two.submit("two")
        await wait_all_tasks_blocked()
        assert (first.status, second.status) == ("running", "queued")
        receipt = await two.cancel()
        assert [c.was for c in receipt.cancelled] == ["queued"]
        assert runtime.status().waiting == 0
        assert second.outcome().stop_reason == "cancelled"
        assert await two.history() == ()
        assert (await first.result()).response == "one"
        assert (await two.run("again")).response == "again"
        assert idle(runtime)


async def test_a_cancel_in_the_very_moment_of_admission_is_not_lost() -> None:
    async with opened(echo()) as runtime:
        session = await runtime.create_session("echo")
        for _ in range(5):
            run = await session.submit("hello")
            receipt = await run.cancel()
            assert run.ended
            assert len(receipt.cancelled) <= 1
            if receipt.cancelled:
                assert run.outcome().stop_reason == "cancelled"
        assert live_of(runtime, session.id).runs == {}
        assert idle(runtime)


async def test_a_run_that_was_about_to_end_by_itself_is_not_said_to_have_been_stopped(
    autojump_clock: MockClock,
) -> None:
    async with opened(echo(), store=LateStore(RunEnded)) as runtime:
        session = await runtime.create_session("echo")
        run = await session.submit("hello")
        await wait_all_tasks_blocked()
        (cancelled,) = (await run.cancel()).cancelled
        assert (cancelled.was, cancelled.outcome) == ("running", "completed")
        assert run.outcome().response == "hello"


async def test_a_cancel_of_one_session_does_not_touch_another(autojump_clock: MockClock) -> None:
    helper = echo(delay=10)
    async with opened(helper) as runtime:
        one, two = [await runtime.create_session(helper) for _ in range(2)]
        first, second = await one.submit("one"), await two.submit("two")
        await wait_all_tasks_blocked()
        await one.cancel(queued=True)
        assert first.outcome().stop_reason == "cancelled"
        assert (await second.result()).response == "two"


async def test_many_may_cancel_the_same_run_at_once(autojump_clock: MockClock) -> None:
    receipts: list[Receipt] = []
    async with Session(agent([Delay("never", first=1000)])) as session:
        run = await session.submit("go")
        await wait_all_tasks_blocked()

        async def cancel() -> None:
            receipts.append(await run.cancel())

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(cancel)
        assert len(receipts) == 10
        assert all(r.cancelled[0].run_id == run.id for r in receipts if r.cancelled)
        assert sorted({r.cancelled[0].was for r in receipts}) == ["cancelling", "running"]


async def test_a_keyboard_interrupt_ends_the_run_and_the_session() -> None:
    store = MemoryStore()
    runs: list[Run] = []

    async def program() -> None:
        async with opened(agent([Delay("never", first=1000)]), store=store) as runtime:
            session = await runtime.create_session("tester")
            runs.append(await session.submit("go"))
            await wait_all_tasks_blocked()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await program()
    assert runs[0].outcome().stop_reason == "interrupted"
    assert [run.status for run in await store.runs()] == ["interrupted"]
