"""Admission: what is taken is durable and in order; what is not leaves nothing behind."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import (
    FaultyStore,
    LateStore,
    admit,
    assert_valid,
    echo,
    idle,
    live_of,
    opened,
    request,
)
from wingman import Limits, Runtime, Session
from wingman.errors import (
    MailboxFull,
    NotFound,
    Overloaded,
    RequestIdConflict,
    SessionBusy,
    ShuttingDown,
    StoreError,
)
from wingman.session import Run
from wingman.store import CeilingRaised, RunEnded, RunQueued, SessionSaved


async def stored_messages(runtime: Runtime, session: Session) -> list[str]:
    return [run.message for run in await runtime.store.runs(session.id)]


async def test_messages_are_answered_in_the_order_they_were_admitted(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        runs = [await session.submit(str(n)) for n in range(5)]
        ended = [(await run.result()).response for run in runs]
        assert ended == ["0", "1", "2", "3", "4"]
        texts = [m.text for m in await session.history() if m.role == "user"]
        assert texts == ended
        records = await runtime.store.runs(session.id)
        begins = [record.started_at for record in records]
        assert begins == sorted(begins)  # type: ignore[type-var]


async def test_a_full_mailbox_refuses_and_keeps_nothing(autojump_clock: MockClock) -> None:
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(queued=2)) as runtime:
        session = await runtime.create_session(helper)
        taken = [await session.submit(text) for text in ("one", "two", "three")]
        with pytest.raises(MailboxFull, match="2 messages are waiting"):
            await session.submit("four", request_id="r4")
        assert await stored_messages(runtime, session) == ["one", "two", "three"]
        assert set(live_of(runtime, session.id).runs) == {run.id for run in taken}
        await taken[0].wait()
        assert (await session.run("five")).response == "five"
        assert await stored_messages(runtime, session) == ["one", "two", "three", "five"]
        assert idle(runtime)


async def test_a_full_mailbox_makes_an_interrupt_cancel_nothing(autojump_clock: MockClock) -> None:
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(queued=1)) as runtime:
        session = await runtime.create_session(helper)
        first, second = await session.submit("one"), await session.submit("two")
        with pytest.raises(MailboxFull):
            await session.submit("three", on_busy="interrupt")
        assert (await first.result()).stop_reason == "end_turn"
        assert (await second.result()).stop_reason == "end_turn"


async def test_sessions_take_turns_and_too_many_that_wait_are_refused(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(runs=2, waiting=3)) as runtime:
        sessions = [await runtime.create_session(helper) for _ in range(6)]
        runs = []
        for session in sessions[:5]:
            runs.append(await session.submit("hello"))
            await wait_all_tasks_blocked()
        assert [run.status for run in runs] == ["running"] * 2 + ["queued"] * 3
        assert runtime.status().waiting == 3
        with pytest.raises(Overloaded, match="3 runs are waiting"):
            await sessions[5].submit("hello")
        assert await stored_messages(runtime, sessions[5]) == []
        start = trio.current_time()
        for run in runs:
            await run.result()
        assert trio.current_time() - start == 30.0
        assert (await sessions[5].run("hello")).response == "hello"
        assert idle(runtime)


async def test_a_busy_session_may_be_left_alone(autojump_clock: MockClock) -> None:
    helper = echo(delay=10)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        first = await session.submit("one", on_busy="reject")
        with pytest.raises(SessionBusy):
            await session.submit("two", on_busy="reject")
        await first.wait()
        assert (await (await session.submit("three", on_busy="reject")).result()).response
        assert await stored_messages(runtime, session) == ["one", "three"]


async def test_an_interrupt_cancels_the_run_in_flight_and_goes_next_after_those_that_wait(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        first, second = await session.submit("one"), await session.submit("two")
        await wait_all_tasks_blocked()
        start = trio.current_time()
        third = await session.submit("three", on_busy="interrupt")
        assert (await third.result()).response == "three"
        assert trio.current_time() - start == 20.0
        assert first.outcome().stop_reason == "cancelled"
        assert second.outcome().stop_reason == "end_turn"


@pytest.mark.parametrize("on_busy", ["reject", "interrupt", "queue"])
async def test_a_race_of_fifty_has_one_winner_or_fifty_ends(
    on_busy: str, autojump_clock: MockClock
) -> None:
    helper = echo(delay=10)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        runs: list[Run] = []
        busy = 0

        async def send(number: int) -> None:
            nonlocal busy
            try:
                runs.append(await session.submit(str(number), on_busy=on_busy))  # type: ignore[arg-type]
            except SessionBusy:
                busy += 1

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(send, number)
        reasons = [(await run.result()).stop_reason for run in runs]
        assert len(runs) + busy == 50
        completed = reasons.count("end_turn")
        if on_busy == "reject":
            assert (len(runs), busy) == (1, 49)
        elif on_busy == "interrupt":
            # What was in flight was cancelled; nothing cancels the last.
            assert set(reasons) == {"cancelled", "end_turn"}
            last = (await runtime.store.runs(session.id))[-1]
            assert last.status == "completed"
        else:
            assert completed == 50
        assert_valid(await session.history())
        assert idle(runtime)


async def test_the_same_request_id_gives_the_same_run(autojump_clock: MockClock) -> None:
    helper = echo(delay=10)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        first = await session.submit("hello", request_id="r1")
        assert await session.submit("hello", request_id="r1") == first
        await first.wait()
        again = await session.submit("hello", request_id="r1")
        assert await again.result() == first.outcome()
        assert await stored_messages(runtime, session) == ["hello"]
        with pytest.raises(RequestIdConflict, match="different body"):
            await session.submit("goodbye", request_id="r1")
        other = await runtime.create_session(helper)
        assert (await other.submit("goodbye", request_id="r1")).id != first.id


async def test_the_same_request_id_fifty_times_at_once_is_one_run(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    ids: set[str] = set()
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)

        async def send() -> None:
            run = await session.submit("hello", request_id="r1")
            await run.result()
            ids.add(run.id)

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(send)
        assert len(ids) == 1
        assert await stored_messages(runtime, session) == ["hello"]
        assert idle(runtime)


async def test_a_request_id_is_looked_at_before_room_draining_and_busyness(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(queued=1)) as runtime:
        session = await runtime.create_session(helper)
        first = await session.submit("one", request_id="r1", on_busy="reject")
        await session.submit("two")
        again = await session.submit("one", request_id="r1", on_busy="reject")
        assert again == first
        await first.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.drain, 100)
            await wait_all_tasks_blocked()
            again = await session.submit("one", request_id="r1", on_busy="reject")
            assert await again.result() == first.outcome()


async def test_a_message_that_cannot_be_recorded_is_refused_and_the_session_goes_on(
    autojump_clock: MockClock,
) -> None:
    helper = echo()
    store = FaultyStore(1, RunQueued)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        with pytest.raises(StoreError, match="disk is full"):
            await session.submit("lost", request_id="r1")
        await trio.sleep(1)  # its actor begins again
        again = await session.submit("lost", request_id="r1")
        assert (await again.result()).response == "lost"
        assert await stored_messages(runtime, session) == ["lost"]
        assert [m.text for m in await session.history()] == ["lost", "lost"]
        assert live_of(runtime, session.id).runs == {}
        assert idle(runtime)


async def test_a_session_that_is_not_there_takes_no_message() -> None:
    helper = echo()
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        await runtime.delete(session.id)
        with pytest.raises(NotFound):
            await session.submit("hello")
        with pytest.raises(NotFound):
            await runtime.session("01NOSUCH")
        with pytest.raises(NotFound):
            await runtime.run(session.id, "01NOSUCH")
        with pytest.raises(NotFound):
            await session.cancel()


async def test_interrupts_of_one_moment_leave_the_last() -> None:
    async with opened(echo()) as runtime:
        session = await runtime.create_session("echo")
        live = live_of(runtime, session.id)
        runs = [admit(live, request(str(number), "interrupt")) for number in range(5)]
        reasons = [(await run.result()).stop_reason for run in runs]
        assert reasons == ["cancelled"] * 4 + ["end_turn"]
        assert len(await session.history()) == 2
        assert idle(runtime)


async def test_ids_are_reserved_before_the_end_of_a_run_that_never_started() -> None:
    store = LateStore(type(None))
    async with opened(echo(), store=store) as runtime:
        session = await runtime.create_session("echo")
        run = admit(live_of(runtime, session.id), request("hello"))
        run.request_cancel()
        await run.wait()
        kinds = [type(change) for change in store.written]
        assert kinds == [SessionSaved, RunQueued, CeilingRaised, RunEnded]


async def test_a_run_that_is_released_as_it_gets_its_place_does_not_start() -> None:
    async with opened(echo(), limits=Limits(runs=1)) as runtime:
        session = await runtime.create_session("echo")
        slots = runtime._root.services.room.slots
        await slots.acquire()
        run = await session.submit("hello")
        await wait_all_tasks_blocked()
        slots.release()
        live_of(runtime, session.id).release_queued()
        await wait_all_tasks_blocked()
        with pytest.raises(ShuttingDown):
            await run.result()
        assert [record.status for record in await runtime.store.runs()] == ["queued"]
        assert idle(runtime)
