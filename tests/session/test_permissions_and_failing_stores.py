"""A store that fails while people are asked: what is not recorded does not count, and nothing is
left that waits."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from permission_kit import Hand, at_rest, pending, results_of, until_pending
from session_kit import BreakableStore, FaultyStore, assert_valid, opened
from wingman.errors import AlreadyResolved, ShuttingDown, StoreError, StoreUnavailable
from wingman.store import (
    CallEnded,
    MemoryStore,
    PermissionResolved,
    RunEnded,
    RunRecord,
    StepRecorded,
)
from wingman.store.call import Call

TWO: dict[str, list[Sequence[tuple[str, str]]]] = {"go": [[("guarded", "a"), ("guarded", "b")]]}
ONE: dict[str, list[Sequence[tuple[str, str]]]] = {
    "go": [[("guarded", "a")]],
    "later": [[("guarded", "later")]],
}


async def test_a_step_that_cannot_be_recorded_with_its_requests_asks_nobody(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(TWO), FaultyStore(1, StepRecorded)
    async with opened(hand.agent(), store=store) as runtime:
        session = await runtime.create_session("hand")
        with pytest.raises(StoreError):
            await session.run("go")
        assert await runtime.permissions(session.id, ()) == ()
        assert_valid(await session.history())
        assert (await session.run("hello")).response == "Done."
        assert (hand.ran, at_rest(runtime)) == ([], True)


async def test_an_answer_that_cannot_be_recorded_does_not_count_and_can_be_given_again(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(TWO), BreakableStore()
    async with opened(hand.agent(), store=store) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        first, second = await until_pending(runtime, 2)
        store.break_down(PermissionResolved)
        for decision in ("once", "always", "reject"):
            with pytest.raises(StoreUnavailable):
                await runtime.answer(session.id, first.id, decision)  # type: ignore[arg-type]
        await trio.sleep(5)
        assert (hand.ran, run.status) == ([], "waiting")
        assert await pending(runtime) == [first, second]
        store.mend()
        await runtime.answer(session.id, first.id, "once")
        await trio.sleep(1)
        assert hand.ran == ["a"]
        await runtime.answer(session.id, second.id, "reject")
        await run.result()
        assert hand.ran == ["a"]
        assert at_rest(runtime)


async def test_a_call_that_is_cancelled_as_its_answer_fails_waits_no_more(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(TWO), SlowAnswers()
    async with opened(hand.agent(), store=store) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        first, second = await until_pending(runtime, 2)
        async with trio.open_nursery() as nursery:

            async def answer() -> None:
                with pytest.raises(StoreUnavailable):
                    await runtime.answer(session.id, first.id, "once")

            store.seconds = 1.0
            nursery.start_soon(answer)
            await trio.sleep(0.5)
            store.seconds = 0.0
            await runtime.cancel_tool(session.id, run.id, first.tool_use_id)
        assert await pending(runtime) == [second]
        assert (await runtime.permission(session.id, first.id)).status == "cancelled"
        await runtime.answer(session.id, second.id, "once")
        await run.result()
        assert hand.ran == ["b"]


class SlowAnswers(MemoryStore):
    """A store that refuses answers, after some seconds, while a test says so."""

    seconds = 0.0

    def write(self, *changes, chain=None):  # type: ignore[no-untyped-def]
        if not self.seconds or not isinstance(changes[0], PermissionResolved):
            return super().write(*changes, chain=chain)
        call = Call((), chain)
        trio.lowlevel.spawn_system_task(self._refuse, call, self.seconds)
        return call

    async def _refuse(self, call: Call, seconds: float) -> None:
        await trio.sleep(seconds)
        call.settle(StoreUnavailable("The database is locked."))


async def test_a_time_that_is_over_is_recorded_as_soon_as_the_store_is_well(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(TWO), BreakableStore()
    async with opened(hand.agent(), store=store) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go", ask_timeout=10)
        await until_pending(runtime, 2)
        store.break_down(PermissionResolved)
        await trio.sleep(60)
        assert run.status == "waiting"
        store.mend()
        await run.result()
        assert all("nobody answered in time" in text for text in await results_of(runtime, run))
        found = await runtime.permissions(session.id, ("expired",))
        assert len(found) == 2
        assert (hand.ran, at_rest(runtime)) == ([], True)


async def test_what_an_approver_has_said_counts_once_the_store_is_well(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(ONE), FaultyStore(3, PermissionResolved)

    async def approve(_: object) -> str:
        return "once"

    async with opened(hand.agent(), store=store, ask=approve) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        await run.result()
        assert hand.ran == ["a"]


@pytest.mark.parametrize("kinds", [(CallEnded,), (CallEnded, RunEnded), (object,)])
async def test_a_store_that_fails_while_a_run_waits_or_works_ends_it_and_all_goes_on(
    kinds: tuple[type, ...], autojump_clock: MockClock
) -> None:
    hand, store = Hand(TWO), BreakableStore()
    async with opened(hand.agent(), store=store) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        first, second = await until_pending(runtime, 2)
        if kinds != (object,):
            await runtime.answer(session.id, first.id, "once")
        store.break_down(*kinds)
        await trio.sleep(30)
        if kinds == (object,):  # nothing was written, and nothing has failed
            assert run.status == "waiting"
            store.mend()
            await runtime.answer(session.id, first.id, "once")
        store.mend()
        await runtime.answer(session.id, second.id, "once")
        await run.wait()
        assert await pending(runtime) == []
        assert sorted(hand.ran) == ["a", "b"]
        assert_valid(await session.history())
        assert (await session.run("hello")).response == "Done."
        assert at_rest(runtime)


# --- after a restart ---------------------------------------------------------------------------


class Unread(BreakableStore):
    """A store, one of whose methods cannot read, so many times."""

    method = ""
    failures = 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name != super().__getattribute__("method"):
            return found

        async def read(*args: Any) -> Any:
            if self.failures > 0:
                self.failures -= 1
                await trio.lowlevel.checkpoint()
                raise StoreUnavailable("The disk cannot be read.")
            return await found(*args)

        return read


async def left_waiting(hand: Hand, store: MemoryStore, *then: str) -> tuple[str, RunRecord]:
    """A run that an earlier process has left waiting, other messages behind it: its session's id,
    and the run."""
    async with opened(hand.agent(), store=store) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        for text in then:
            await session.submit(text)
        await until_pending(runtime)
        await trio.sleep(1)
        await runtime.drain(60)
    record = await store.run(session.id, run.id)
    assert record is not None
    assert record.status == "waiting"
    return session.id, record


@pytest.mark.parametrize(
    "method",
    ["run_permissions", "grants", "pending_step", "run_messages", "session_with_history"],
)
async def test_a_store_that_cannot_be_read_as_a_run_goes_on_is_waited_for(
    method: str, autojump_clock: MockClock
) -> None:
    hand, store = Hand(TWO), Unread()
    session_id, record = await left_waiting(hand, store, "later")
    store.method, store.failures = method, 3
    async with opened(hand.agent(), store=store) as runtime:
        for request in await until_pending(runtime, 2):
            await runtime.answer(session_id, request.id, "once")
        session = await runtime.session(session_id)
        assert (await session.run("hello")).response == "Done."
        assert store.failures == 0
        assert sorted(hand.ran) == ["a", "b"]
        found = await store.run(session_id, record.id)
        assert found is not None
        assert found.status == "completed"
        assert at_rest(runtime)


async def test_a_cancel_that_cannot_be_recorded_leaves_it_waiting_and_it_can_be_answered(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(TWO), BreakableStore()
    session_id, record = await left_waiting(hand, store)
    async with opened(hand.agent(), store=store) as runtime:
        first, second = await until_pending(runtime, 2)
        await trio.sleep(1)
        store.break_down(RunEnded)
        with pytest.raises(StoreUnavailable):
            await runtime.cancel_run(session_id, record.id)
        store.mend()
        assert await pending(runtime) == [first, second]
        await runtime.answer(session_id, first.id, "once")
        await runtime.answer(session_id, second.id, "reject")
        session = await runtime.session(session_id)
        assert (await session.run("hello")).response == "Done."
        assert hand.ran == ["a"]
        assert at_rest(runtime)


async def test_a_cancel_after_a_restart_says_that_the_call_has_not_run(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(TWO), MemoryStore()
    session_id, record = await left_waiting(hand, store, "later")
    async with opened(hand.agent(), store=store) as runtime:
        first, second = await pending(runtime)
        receipt = await runtime.cancel_run(session_id, record.id)
        assert [(c.run_id, c.was) for c in receipt.cancelled] == [(record.id, "waiting")]
        for request in (first, second):
            with pytest.raises(AlreadyResolved, match="cancelled"):
                await runtime.answer(session_id, request.id, "once")
        session = await runtime.session(session_id)
        assert (await session.run("hello")).response == "Done."
        results = await results_of(runtime, await runtime.run(session_id, record.id))
        assert len(results) == 2
        assert all("has not run" in text for text in results)
        assert all("may have run" not in text for text in results)
        assert (hand.ran, at_rest(runtime)) == ([], True)


async def test_a_session_whose_run_waits_since_a_restart_can_be_deleted(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(TWO), MemoryStore()
    session_id, _ = await left_waiting(hand, store, "later")
    async with opened(hand.agent(), store=store) as runtime:
        await runtime.delete(session_id)
        assert await pending(runtime) == []
        assert await store.runs() == ()
        assert at_rest(runtime)


async def test_messages_behind_a_waiting_run_are_answered_in_order_after_a_restart(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(ONE), MemoryStore()
    session_id, _ = await left_waiting(hand, store, "later", "hello")
    async with opened(hand.agent(), store=store) as runtime:
        (request,) = await until_pending(runtime)
        await runtime.answer(session_id, request.id, "once")
        (request,) = await until_pending(runtime)
        assert request.input == {"name": "later"}
        await runtime.answer(session_id, request.id, "once")
        session = await runtime.session(session_id)
        await session.run("end")
        texts = [m.text for m in await session.history() if m.role == "user" and m.text]
        assert texts == ["go", "later", "hello", "end"]
        assert hand.ran == ["a", "later"]


async def test_a_run_whose_agent_is_missing_takes_its_answers_and_waits_for_the_agent(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(TWO), MemoryStore()
    session_id, record = await left_waiting(hand, store)
    async with opened(store=store) as runtime:
        first, second = await until_pending(runtime, 2)
        await runtime.answer(session_id, first.id, "once")
        await trio.sleep(5)
        run = await runtime.run(session_id, record.id)
        assert (hand.ran, run.status) == ([], "waiting")
        await runtime.create_session(hand.agent())
        await trio.sleep(5)
        assert hand.ran == ["a"]
        await runtime.answer(session_id, second.id, "once")
        await run.wait()
        assert hand.ran == ["a", "b"]


async def test_who_answers_as_the_runtime_closes_is_told_that_the_request_still_waits(
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand(ONE), MemoryStore()
    async with opened(hand.agent(), store=store) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        (request,) = await until_pending(runtime)
        await runtime.drain(60)
        with pytest.raises(ShuttingDown, match="waits for an answer"):
            await runtime.answer(session.id, request.id, "once")
        with pytest.raises(ShuttingDown):
            await run.result()
    async with opened(hand.agent(), store=store) as runtime:
        assert await pending(runtime) == [request]
        await runtime.answer(session.id, request.id, "once")
        await (await runtime.run(session.id, run.id)).wait()
    assert hand.ran == ["a"]
