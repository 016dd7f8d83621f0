"""What lasts: over a drain, over a restart, over a death without warning."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import (
    LateStore,
    admit,
    agent,
    assert_sendable,
    assert_valid,
    echo,
    idle,
    live_of,
    opened,
    request,
    requests_of,
)
from wingman import Limits, Runtime
from wingman.conversation import ToolResultBlock
from wingman.errors import RequestIdConflict, ShuttingDown
from wingman.events import Error
from wingman.providers import Delay, ToolCalls
from wingman.session import Run
from wingman.store import MemoryStore, RunEnded


async def told(run: Run) -> ShuttingDown:
    with pytest.raises(ShuttingDown) as caught:
        await run.result()
    return caught.value


async def test_a_drain_lets_what_runs_end_within_its_grace_and_starts_nothing(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    store = MemoryStore()
    async with opened(helper, store=store, limits=Limits(runs=1)) as runtime:
        one, two = [await runtime.create_session(helper) for _ in range(2)]
        running = await one.submit("running")
        await wait_all_tasks_blocked()
        queued, placeless = await one.submit("queued"), await two.submit("placeless")
        await wait_all_tasks_blocked()
        await runtime.drain(30)
        assert running.outcome().response == "running"
        assert (await told(queued)).run_id == queued.id
        assert (await told(placeless)).run_id == placeless.id
        with pytest.raises(ShuttingDown):
            await one.submit("too late")
        with pytest.raises(ShuttingDown):
            await runtime.create_session(helper)
        assert [run.status for run in await store.runs()] == ["completed", "queued", "queued"]
        assert idle(runtime)
        await runtime.drain(30)
    async with opened(helper, store=store) as runtime:
        for run in (queued, placeless):
            again = await runtime.run(run.session_id, run.id)
            assert (await again.result()).response == run.record.message


async def test_a_drain_interrupts_what_goes_on_after_its_grace(autojump_clock: MockClock) -> None:
    helper = agent([ToolCalls(("wait", {"seconds": 1000}), text="Wait. "), "next"])
    store = MemoryStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        async with session.run_stream("go") as stream:
            await wait_all_tasks_blocked()
            start = trio.current_time()
            await runtime.drain(30)
            assert trio.current_time() - start == 30.0
            assert stream.result.stop_reason == "interrupted"
        (record,) = await store.runs()
        assert record.status == "interrupted"
        assert_valid(await session.history())
    async with opened(helper, store=store) as runtime:
        session = await runtime.session(session.id)
        assert (await session.run("again")).response == "next"
        assert_sendable(requests_of(helper)[-1])


async def test_a_runtime_that_closes_interrupts_what_runs(autojump_clock: MockClock) -> None:
    helper = agent([Delay("0123456789abcdef" * 2, first=1, each=1000)])
    store = MemoryStore()
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await trio.sleep(5)
    assert run.outcome().stop_reason == "interrupted"
    history = (await store.session_with_history(session.id) or (None, ()))[1]
    assert (history[-1].text, history[-1].cut_short) == ("0123456789abcdef", "interrupted")


async def test_a_cancelled_program_still_records_the_end_of_its_runs(
    autojump_clock: MockClock,
) -> None:
    helper = agent([Delay("never", first=1000)])
    store = MemoryStore()
    with trio.CancelScope() as scope:
        async with opened(helper, store=store) as runtime:
            session = await runtime.create_session(helper)
            await session.submit("go")
            await trio.sleep(5)
            scope.cancel()
            await trio.sleep_forever()
    assert [run.status for run in await store.runs()] == ["interrupted"]


async def test_waiters_and_readers_of_a_queued_run_are_told_of_the_shutdown(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    events: list[object] = []
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        await session.submit("one")
        run = await session.submit("two")

        async def follow() -> None:
            async with run.reader() as reader:
                while batch := await reader.receive():
                    events.extend(published.event for published in batch)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await wait_all_tasks_blocked()
            await runtime.drain(0)
    assert [getattr(event, "code", None) for event in events] == ["shutting_down"]


async def test_a_queued_run_that_is_being_cancelled_ends_before_the_runtime_closes(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=10)
    store = LateStore(RunEnded)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run = admit(live_of(runtime, session.id), request("hello"))
        run.request_cancel()
    assert run.outcome().stop_reason == "cancelled"
    assert [run.status for run in await store.runs()] == ["cancelled"]


async def test_more_than_a_mailbox_holds_is_queued_again(autojump_clock: MockClock) -> None:
    helper = echo(delay=10)
    store = MemoryStore()
    async with opened(helper, store=store, limits=Limits(queued=4, runs=1)) as runtime:
        first, session = [await runtime.create_session(helper) for _ in range(2)]
        await first.submit("in the way")
        await wait_all_tasks_blocked()
        runs = [await session.submit(str(n)) for n in range(5)]
        await runtime.drain(0)
    async with opened(helper, store=store, limits=Limits(queued=1)) as runtime:
        for run in runs:
            again = await runtime.run(session.id, run.id)
            assert (await again.result()).response == run.record.message


async def test_a_run_whose_agent_is_not_there_waits_for_it_and_says_so(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    helper = echo(delay=10)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        await session.submit("one")
        run = await session.submit("two")
        await wait_all_tasks_blocked()
        await runtime.drain(0)
    async with opened(store=store) as runtime:
        await wait_all_tasks_blocked()
        view = await runtime.describe_run(session.id, run.id)
        assert (view.status, view.error, view.started_at) == ("queued", None, None)
        assert view.waiting_for is not None
        assert view.waiting_for.code == "agent_not_found"
        assert "no agent 'echo'" in view.waiting_for.message
        # Another start does not help, and costs nothing.
        assert (await store.runs(session.id))[1].status == "queued"
    async with opened(store=store) as runtime:
        await wait_all_tasks_blocked()
        waiting = await runtime.run(session.id, run.id)
        runtime.agents.add_code(helper)
        assert (await waiting.result()).response == "two"
        assert (await runtime.describe_run(session.id, run.id)).waiting_for is None
        assert idle(runtime)


async def test_a_run_that_waits_for_its_agent_can_be_cancelled(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    helper = echo(delay=10)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        await session.submit("one")
        run = await session.submit("two")
        await runtime.drain(0)
    async with opened(store=store) as runtime:
        await wait_all_tasks_blocked()
        receipt = await runtime.cancel_run(session.id, run.id)
        assert [(c.run_id, c.was) for c in receipt.cancelled] == [(run.id, "queued")]
        assert (await runtime.describe_run(session.id, run.id)).status == "cancelled"
        assert idle(runtime)


async def test_sqlite_keeps_history_and_requests_over_a_restart(tmp_path: Path) -> None:
    helper = agent([ToolCalls(("say", {"text": "hi"})), "ok", "next"])
    path = tmp_path / "w.db"
    async with opened(helper, store=path) as runtime:
        session = await runtime.create_session(helper, work_dir=tmp_path, title="Mine")
        first = await session.submit("go", request_id="r1")
        result = await first.result()
        before = await session.history()
        described = await runtime.describe(session.id)
    async with opened(helper, store=path) as runtime:
        session = await runtime.session(session.id)
        assert await session.history() == before
        assert (await (await session.submit("go", request_id="r1")).result()) == result
        with pytest.raises(RequestIdConflict):
            await session.submit("stop", request_id="r1")
        record = await runtime.describe(session.id)
        history = record.history
        assert history == before
        assert (record.title, record.usage) == ("Mine", result.usage)
        assert record.last_event_id > described.last_event_id
        assert (await session.run("again")).response == "next"
        assert_sendable(requests_of(helper)[-1])


CRASHING = """
import os, sys, trio
from wingman import Agent, Runtime, tool
from wingman.providers import Scripted, ToolCalls

@tool
async def quick() -> str:
    "Return at once."
    return "done"

@tool
async def hang() -> str:
    "Say that it hangs, and hang."
    await trio.sleep(0.2)
    print("hanging", flush=True)
    await trio.sleep_forever()
    return "never"

async def main():
    calls = ToolCalls(("quick", {}), ("hang", {}), text="Let me see. ")
    agent = Agent("worker", provider=Scripted([calls]), tools=[quick, hang])
    async with Runtime(store=sys.argv[1], agents=[agent]) as runtime:
        session = await runtime.create_session(agent, title="crashed")
        print(session.id, flush=True)
        await session.submit("go", request_id="r1")
        for number in range(3):
            await session.submit(f"queued {number}")
        await trio.sleep_forever()

trio.run(main)
"""


def run_until_it_hangs_and_kill(path: Path) -> str:
    with subprocess.Popen(
        [sys.executable, "-c", CRASHING, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        session_id = process.stdout.readline().strip()
        assert process.stdout.readline().strip() == "hanging"
        os.kill(process.pid, signal.SIGKILL)
    return session_id


async def test_after_a_kill_the_run_is_interrupted_and_the_queued_ones_go_on_in_order(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.db"
    session_id = await trio.to_thread.run_sync(run_until_it_hangs_and_kill, path)
    worker = echo("worker")
    async with opened(worker, store=path) as runtime:
        session = await runtime.session(session_id)
        crashed = await session.submit("go", request_id="r1")
        result = await crashed.result()
        assert (crashed.status, result.stop_reason) == ("interrupted", "interrupted")
        quick, hung = result.tool_calls
        assert (quick.output, quick.is_error) == ("done", False)
        assert "may have run" in hung.output
        assert (await session.run("last")).response == "last"
        records = await runtime.store.runs(session_id)
        assert [(r.message, r.status) for r in records] == [
            ("go", "interrupted"),
            *((f"queued {n}", "completed") for n in range(3)),
            ("last", "completed"),
        ]
        history = await session.history()
        assert_valid(history)
        assert history[1].text == "Let me see. "
        marks = [b.cut_short for b in history[2].content if isinstance(b, ToolResultBlock)]
        assert marks == [None, "interrupted"]
        for messages in requests_of(worker):
            assert_sendable(messages)


async def test_event_ids_never_come_twice_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    seen: list[int] = []
    session_id = ""
    for _ in range(3):
        async with opened(echo(), store=path) as runtime:
            if not session_id:
                session_id = (await runtime.create_session("echo")).id
            live = await runtime._host.active.live(session_id)
            session = await runtime.session(session_id)
            async with live.channel.reader() as reader:
                await session.run("hello")
                seen += [published.id for published in await reader.receive()]
            # One that is cancelled before it starts ends with an event as well.
            first, second = await session.submit("one"), await session.submit("two")
            async with live.channel.reader() as reader:
                await second.cancel()
                await first.wait()
                seen += [published.id for published in await reader.receive()]
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen)


@pytest.mark.parametrize("close", [True, False])
async def test_a_reader_goes_on_from_the_id_it_is_shown(
    close: bool, autojump_clock: MockClock
) -> None:
    """Also after a resync it never loops: to read, and go on from there, is always right."""
    helper = echo()
    store = MemoryStore()
    session_id = ""

    async def check(runtime: Runtime) -> None:
        record = await runtime.describe(session_id)
        history = record.history
        live = await runtime._host.active.live(session_id)
        async with live.channel.reader(record.last_event_id) as reader:
            session = await runtime.session(session_id)
            result = await session.run("more")
            events = await reader.receive()
            assert events[-1].run_id == result.run_id
            assert not any(isinstance(published.event, Error) for published in events)
        assert len(await session.history()) == len(history) + 2

    for _ in range(3):
        async with opened(helper, store=store) as runtime:
            if not session_id:
                session_id = (await runtime.create_session(helper)).id
            await check(runtime)
            await check(runtime)
            if close:
                continue
            await check(runtime)
