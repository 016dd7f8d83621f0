"""A tool's progress is heard from any thread: in order, while it runs, and not afterwards."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from session_kit import agent
from wingman import Session, ToolContext, ToolProgress, ToolResult, tool
from wingman.events import Event
from wingman.providers import ToolCalls
from wingman.run.progress import CallProgress, ProgressMeter
from wingman.tools import Tool


async def events_of(act: Tool) -> list[Event]:
    helper = agent([ToolCalls((act.name, {})), "ok"], tools=[act])
    async with Session(helper) as session, session.run_stream("go") as stream:
        events = [event async for event in stream]
        assert stream.result.response == "ok"
    return events


def heard(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, ToolProgress)]


def content(events: list[Event]) -> str:
    (result,) = [event for event in events if isinstance(event, ToolResult)]
    return result.content


async def test_a_synchronous_tool_reports_its_progress_in_order_and_before_its_result() -> None:
    @tool
    def build(context: ToolContext) -> str:
        """Build it."""
        for n in range(10):
            context.progress(f"{n}")
        return "built"

    events = await events_of(build)
    assert heard(events) == [str(n) for n in range(10)]
    assert content(events) == "built"
    kinds = [event.kind for event in events]
    assert kinds.index("tool_result") > max(
        n for n, kind in enumerate(kinds) if kind == "tool_progress"
    )


async def test_it_is_heard_while_the_tool_still_runs() -> None:
    go_on = threading.Event()

    @tool
    def build(context: ToolContext) -> bool:
        """Build it."""
        context.progress("half")
        return go_on.wait(10)

    helper = agent([ToolCalls(("build", {})), "ok"], tools=[build])
    async with Session(helper) as session, session.run_stream("go") as stream:
        async for event in stream:
            if isinstance(event, ToolProgress):
                go_on.set()
            if isinstance(event, ToolResult):
                assert event.content == "true"
    assert go_on.is_set()


async def test_threads_that_the_tool_started_itself_are_heard_too() -> None:
    @tool
    def build(context: ToolContext) -> None:
        """Build it."""
        for n in range(3):
            thread = threading.Thread(target=context.progress, args=(f"thread {n}",))
            thread.start()
            thread.join()

    @tool
    async def build_async(context: ToolContext) -> None:
        """Build it."""
        context.progress("first")
        thread = threading.Thread(target=context.progress, args=("second",))
        thread.start()
        thread.join()
        context.progress("third")
        await trio.to_thread.run_sync(context.progress, "fourth")

    @tool
    def build_in_another_loop(context: ToolContext) -> None:
        """Build it."""

        async def inner() -> None:
            context.progress("inside")

        trio.run(inner)

    assert heard(await events_of(build)) == ["thread 0", "thread 1", "thread 2"]
    assert heard(await events_of(build_async)) == ["first", "second", "third", "fourth"]
    assert heard(await events_of(build_in_another_loop)) == ["inside"]


async def test_nothing_is_heard_of_a_call_that_has_ended() -> None:
    contexts: list[ToolContext] = []

    @tool
    def leave(context: ToolContext) -> str:
        """Leave."""
        contexts.append(context)
        return "left"

    helper = agent([ToolCalls(("leave", {})), "ok", "ok"], tools=[leave])
    async with Session(helper) as session:
        run = await session.submit("go")
        await run.result()
        async with session.run_stream("again") as stream:
            for say in (contexts[0].progress, contexts[0].report_still_running):
                say("too late")
                await trio.to_thread.run_sync(say, "too late")
            assert heard([event async for event in stream]) == []
    contexts[0].progress("the loop itself may be gone")


def test_a_thread_that_outlives_the_loop_may_go_on_talking() -> None:
    made: list[CallProgress] = []
    said: list[str] = []

    async def main() -> None:
        made.append(CallProgress(said.append))

    trio.run(main)
    thread = threading.Thread(target=made[0], args=("hello?",))
    thread.start()
    thread.join()
    assert said == []


@pytest.mark.parametrize("wrap", [lambda act: act(), lambda act: trio.from_thread.run_sync(act)])
async def test_what_is_no_text_is_refused_where_it_is_said(wrap: Callable[[Any], Any]) -> None:
    @tool
    def build(context: ToolContext) -> str:
        """Build it."""
        with pytest.raises(TypeError, match="progress takes text, not int"):
            wrap(lambda: context.progress(3))  # type: ignore[arg-type]
        wrap(lambda: context.progress("half \ud83d"))
        return "built"

    events = await events_of(build)
    assert (content(events), heard(events)) == ("built", ["half ?"])


async def test_a_thread_that_never_stops_talking_fills_no_memory() -> None:
    published: list[str] = []
    progress = CallProgress(published.append)

    def talk() -> None:
        for n in range(50_000):
            progress(f"{n}" * 5_000 if n % 10_000 == 0 else f"{n}")

    thread = threading.Thread(target=talk)
    thread.start()
    thread.join()  # this holds the loop: nothing is taken meanwhile
    assert published == []
    progress.end()
    assert published == [str(n) for n in range(49_900, 50_000)]


async def test_so_many_pieces_a_second_are_heard_and_so_many_at_once(
    autojump_clock: MockClock,
) -> None:
    published: list[tuple[str, str]] = []
    meter = ProgressMeter(lambda id, text: published.append((id, text)), per_second=5)
    for n in range(100):
        meter("a", str(n))
    meter("b", "of its own")
    assert published == [*(("a", str(n)) for n in range(5)), ("b", "of its own")]
    published.clear()
    await trio.sleep(0.5)
    for n in range(100):
        meter("a", str(n))
    assert [text for _, text in published] == ["0", "1"]


async def test_what_a_synchronous_tool_could_not_stop_is_in_the_receipt() -> None:
    began, release = trio.Event(), threading.Event()

    @tool
    def start(context: ToolContext) -> bool:
        """Start it."""
        context.report_still_running("the machine")
        trio.from_thread.run_sync(began.set)
        return release.wait(10)

    helper = agent([ToolCalls(("start", {})), "ok"], tools=[start])
    async with Session(helper) as session:
        run = await session.submit("go")
        await began.wait()
        release.set()
        receipt = await run.cancel_tool("toolu_1")
        assert receipt.cancelled[0].tools[0].outcome == "still_running"
