"""Tool calls: side by side, in order, and whatever goes wrong is a result that the model reads."""

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from session_kit import TOOLS, agent, assert_valid, requests_of
from wingman import Agent, Limits, Session, ToolContext, ToolProgress, ToolResult, tool
from wingman.conversation import ToolResultBlock, ToolUseBlock
from wingman.errors import ToolError
from wingman.providers import Finished, Parts, Scripted, ToolCalls
from wingman.tools import Tool


async def results_of(
    calls: ToolCalls | Parts, *tools: Tool, limits: Limits | None = None
) -> tuple[ToolResultBlock, ...]:
    """What the model is told of these calls."""
    helper = agent([calls, "ok"], tools=tools or TOOLS)
    async with Session(helper, limits=limits) as session:
        result = await session.run("go")
        assert result.response == "ok"
        assert_valid(await session.history())
    told = requests_of(helper)[1][-1].content
    assert all(isinstance(block, ToolResultBlock) for block in told)
    return told  # type: ignore[return-value]


async def test_results_are_in_call_order_though_the_calls_end_in_another(
    autojump_clock: MockClock,
) -> None:
    calls = ToolCalls(*(("wait", {"seconds": n, "name": str(n)}) for n in (3, 1, 2)))
    helper = agent([calls, "ok"])
    async with Session(helper) as session:
        start = trio.current_time()
        async with session.run_stream("go") as stream:
            events = [event async for event in stream]
        assert trio.current_time() - start == 3.0
        assert [e.content for e in events if isinstance(e, ToolResult)] == [
            "waited 1",
            "waited 2",
            "waited 3",
        ]
        assert [call.output for call in stream.result.tool_calls] == [
            "waited 3",
            "waited 1",
            "waited 2",
        ]
        told = requests_of(helper)[1][-1].content
        assert [getattr(block, "content", None) for block in told] == [
            "waited 3",
            "waited 1",
            "waited 2",
        ]


async def test_no_more_calls_run_at_once_than_the_limit_allows(autojump_clock: MockClock) -> None:
    running, most = 0, 0

    @tool
    async def count() -> str:
        """Count who runs."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1
        return "counted"

    start = trio.current_time()
    results = await results_of(
        ToolCalls(*[("count", {})] * 7), count, limits=Limits(parallel_tools=3)
    )
    assert len(results) == 7
    assert most == 3
    assert trio.current_time() - start == 3.0


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        (
            "nosuch",
            {},
            "There is no tool named 'nosuch'. Available tools: fail, say, stubborn, wait",
        ),
        ("say", {"text": 3}, "text"),
        ("say", {}, "text"),
        ("fail", {"text": "broken"}, "The tool failed: ValueError: broken"),
    ],
)
async def test_what_goes_wrong_with_a_call_is_its_result(
    name: str, arguments: dict[str, object], said: str
) -> None:
    (result,) = await results_of(ToolCalls((name, arguments)))
    assert result.is_error
    assert said in result.content


async def test_input_that_is_no_object_is_never_executed() -> None:
    block = ToolUseBlock("t1", "say", {}, malformed='{"text": "rm -rf')
    (result,) = await results_of(Parts(block, Finished("tool_use")))
    assert result.is_error
    assert '{"text": "rm -rf' in result.content
    assert "not executed" in result.content


async def test_a_tool_error_is_told_in_its_own_words() -> None:
    @tool
    async def refuse() -> str:
        """Refuse."""
        raise ToolError("Not today.")

    (result,) = await results_of(ToolCalls(("refuse", {})), refuse)
    assert (result.content, result.is_error) == ("Not today.", True)


async def test_a_failing_call_leaves_its_siblings_alone(autojump_clock: MockClock) -> None:
    first, second = await results_of(
        ToolCalls(("fail", {"text": "broken"}), ("wait", {"seconds": 5}))
    )
    assert first.is_error
    assert (second.content, second.is_error) == ("waited 5.0", False)


async def test_long_output_is_cut_in_the_middle_and_says_so() -> None:
    text = "a" * 500 + "b" * 500
    (result,) = await results_of(ToolCalls(("say", {"text": text})), limits=Limits(tool_output=100))
    assert result.content.startswith("a" * 50 + "\n[…")
    assert result.content.endswith("…]\n" + "b" * 50)
    assert "900 characters cut: the limit is 100" in result.content


@pytest.mark.parametrize("failing", [False, True])
async def test_of_a_huge_output_no_copy_is_made(failing: bool) -> None:
    huge = "é" * 20_000_000

    @tool
    async def say_all() -> str:
        """Say it all."""
        if failing:
            raise ToolError(huge)
        return huge

    tracemalloc.start()
    try:
        (result,) = await results_of(ToolCalls(("say_all", {})), say_all)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(result.content) < 31_000
    assert peak < 5_000_000


async def test_a_tool_that_takes_too_long_is_stopped_and_the_model_is_told(
    autojump_clock: MockClock,
) -> None:
    (result,) = await results_of(
        ToolCalls(("wait", {"seconds": 1000})), limits=Limits(tool_seconds=7)
    )
    assert result.is_error
    assert "time limit (7 s)" in result.content


async def test_what_is_not_text_or_not_unicode_does_no_harm() -> None:
    async def number(input: object, context: ToolContext) -> str:
        return 3  # type: ignore[return-value]

    async def half(input: object, context: ToolContext) -> str:
        return "half \ud83d of it"

    schema = {"type": "object"}
    first, second = await results_of(
        ToolCalls(("number", {}), ("half", {})),
        Tool("number", "A number.", schema, number),
        Tool("half", "Half a character.", schema, half),
    )
    assert first.is_error
    assert second.content == "half ? of it"


async def test_a_group_of_errors_out_of_a_tools_own_nursery_is_its_result() -> None:
    @tool
    async def several() -> str:
        """Fail in several ways."""
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(_raise, ValueError("one of two"))
        return "never"

    (result,) = await results_of(ToolCalls(("several", {})), several)
    assert result.is_error
    assert "ValueError: one of two" in result.content
    assert "Group" not in result.content  # its members are what is of interest


async def _raise(error: Exception) -> None:
    await trio.lowlevel.checkpoint()
    raise error


async def test_a_tool_shows_its_progress_while_it_runs(autojump_clock: MockClock) -> None:
    @tool
    async def build(context: ToolContext) -> str:
        """Build it."""
        context.progress("half")
        await trio.sleep(1)
        context.progress("whole")
        return "built"

    async with (
        Session(agent([ToolCalls(("build", {})), "ok"], tools=[build])) as session,
        session.run_stream("go") as stream,
    ):
        events = [event async for event in stream]
    assert [e.text for e in events if isinstance(e, ToolProgress)] == ["half", "whole"]
    assert [e.tool_use_id for e in events if isinstance(e, ToolProgress)] == ["toolu_1"] * 2


async def test_a_provider_that_repeats_call_ids_has_them_renamed() -> None:
    repeated = Parts(
        ToolUseBlock("call_0", "say", {"text": "a"}),
        ToolUseBlock("call_0", "say", {"text": "b"}),
        Finished("tool_use"),
    )
    helper = agent([repeated, repeated, "ok"])
    async with Session(helper) as session:
        result = await session.run("go")
        assert [call.output for call in result.tool_calls] == ["a", "b", "a", "b"]
        assert len({call.id for call in result.tool_calls}) == 4
        assert_valid(await session.history())


async def test_the_tools_are_those_of_the_agent_and_work_in_its_sessions_directory(
    tmp_path: object,
) -> None:
    @tool
    async def where(context: ToolContext) -> str:
        """Say where."""
        return str(context.work_dir)

    helper = Agent("a", provider=Scripted([ToolCalls(("where", {})), "ok"]), tools=[where])
    async with Session(helper, work_dir=str(tmp_path)) as session:
        result = await session.run("go")
    assert result.tool_calls[0].output == str(tmp_path)


@asynccontextmanager
async def unruly(*, on_cancel: str) -> AsyncIterator[None]:
    try:
        yield
    except trio.Cancelled:
        if on_cancel == "raise":
            raise ValueError("in the way") from None
        raise


@attrs.frozen
class Unruly:
    """A tool that fails when it is cancelled, alone or in a group with the Cancelled."""

    how: str

    async def __call__(self, input: object, context: ToolContext) -> str:
        if self.how == "instead":
            async with unruly(on_cancel="raise"):
                await trio.sleep_forever()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(self._fail)
        return "never"

    async def _fail(self) -> None:
        async with unruly(on_cancel="raise"):
            await trio.sleep_forever()


@pytest.mark.parametrize("how", ["instead", "beside"])
@pytest.mark.parametrize("alone", [True, False])
async def test_a_tool_that_fails_while_it_is_cancelled_is_no_crash(
    how: str, alone: bool, autojump_clock: MockClock
) -> None:
    bad = Tool("bad", "Bad.", {"type": "object"}, Unruly(how))
    calls = ToolCalls(("bad", {}))
    helper = agent(lambda request: "fine" if len(request.messages) > 1 else calls, tools=[bad])
    async with Session(helper) as session:
        run = await session.submit("go")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        receipt = await (run.cancel_tool("toolu_1") if alone else run.cancel())
        assert [cancelled.run_id for cancelled in receipt.cancelled] == [run.id]
        result = await run.result()
        assert result.stop_reason == ("end_turn" if alone else "cancelled")
        after = await session.run("again")
        assert after.response == "fine"
        assert trio.current_time() == start, "the session's actor had to begin again"
        assert_valid(await session.history())
