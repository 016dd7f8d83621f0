"""Each limit that strikes ends the run, says so, and leaves a history that is valid."""

import pytest
import trio
from trio.testing import MockClock

from session_kit import agent, assert_valid
from wingman import Agent, Limits, Session
from wingman.conversation import ToolResultBlock, ToolUseBlock
from wingman.providers import Delay, Finished, Parts, Scripted, TextDelta, ToolCalls

ON_AND_ON = Scripted(lambda request: ToolCalls(("say", {"text": "more"})))


@pytest.mark.parametrize(
    ("of_message", "of_agent", "of_process", "steps"),
    [(None, None, 4, 4), (None, 3, 4, 3), (2, 3, 4, 2), (5, 3, 4, 5)],
)
async def test_the_step_limit_is_the_messages_or_the_agents_or_the_runtimes(
    of_message: int | None, of_agent: int | None, of_process: int, steps: int
) -> None:
    base = agent([])
    endless = Agent("a", provider=ON_AND_ON, tools=base.tools, max_steps=of_agent)
    async with Session(endless, limits=Limits(steps=of_process)) as session:
        result = await session.run("go", max_steps=of_message)
        assert (result.stop_reason, result.steps) == ("step_limit", steps)
        assert len(result.tool_calls) == steps
        assert_valid(await session.history())


async def test_a_call_that_fails_the_same_way_again_and_again_is_named_by_the_step_limit() -> None:
    stubborn = Scripted(lambda request: ToolCalls(("say", {"text": 1})))
    async with Session(Agent("a", provider=stubborn, tools=agent([]).tools)) as session:
        result = await session.run("go", max_steps=5)
        assert result.stop_reason == "step_limit"
        assert result.detail == (
            "The run's step limit (5) was reached. The last 5 calls of 'say' failed the same way: "
            "Invalid input: Expected `str`, got `int` - at `$.text`"
        )


async def test_a_step_limit_over_calls_that_worked_names_the_limit_alone() -> None:
    endless = Agent("a", provider=ON_AND_ON, tools=agent([]).tools)
    async with Session(endless) as session:
        result = await session.run("go", max_steps=4)
        assert result.detail == "The run's step limit (4) was reached."


async def test_the_token_limit_is_looked_at_after_each_step() -> None:
    endless = Agent("a", provider=ON_AND_ON, tools=agent([]).tools)
    async with Session(endless, limits=Limits(tokens=60)) as session:
        result = await session.run("go")
        assert result.stop_reason == "token_limit"
        assert 60 <= result.usage.total_tokens < 120
        assert result.tool_calls[-1].output == "more"
        assert_valid(await session.history())


async def test_the_time_limit_in_the_middle_of_text_keeps_what_had_arrived(
    autojump_clock: MockClock,
) -> None:
    slow = agent([Delay("0123456789abcdef" * 4, each=2.0), "next"])
    async with Session(slow, limits=Limits(seconds=3)) as session:
        result = await session.run("go")
        assert (result.stop_reason, result.response) == ("time_limit", "0123456789abcdef" * 2)
        assert result.detail == "The run's time limit (3 s) was reached."
        history = await session.history()
        assert history[-1].cut_short == "time_limit"
        assert (await session.run("again")).response == "next"


async def test_the_time_limit_in_the_middle_of_tools_keeps_the_results_that_came(
    autojump_clock: MockClock,
) -> None:
    calls = ToolCalls(("wait", {"seconds": 1}), ("wait", {"seconds": 1000}))
    async with Session(agent([calls, "next"]), limits=Limits(seconds=3)) as session:
        start = trio.current_time()
        result = await session.run("go")
        assert trio.current_time() - start == 3.0
        assert result.stop_reason == "time_limit"
        first, second = result.tool_calls
        assert (first.output, first.is_error) == ("waited 1.0", False)
        assert "time limit" in second.output
        blocks = (await session.history())[-1].content
        marks = [b.cut_short for b in blocks if isinstance(b, ToolResultBlock)]
        assert marks == [None, "time_limit"]
        assert (await session.run("again")).response == "next"


@pytest.mark.parametrize("reason", ["max_tokens", "refusal"])
async def test_a_model_that_stops_for_a_reason_of_its_own_says_which(reason: str) -> None:
    parts = Parts(TextDelta("Once upon"), Finished(reason))  # type: ignore[arg-type]
    async with Session(agent([parts, "next"])) as session:
        result = await session.run("go")
        assert (result.stop_reason, result.response) == (reason, "Once upon")
        assert (await session.run("again")).response == "next"


async def test_the_calls_of_a_refusal_are_not_executed() -> None:
    called = ToolUseBlock("t1", "say", {"text": "never"})
    async with Session(agent([Parts(called, Finished("refusal")), "next"])) as session:
        result = await session.run("go")
        assert result.stop_reason == "refusal"
        assert "Not executed" in result.tool_calls[0].output
        assert_valid(await session.history())


async def test_a_model_that_says_nothing_leaves_a_history_that_can_be_sent() -> None:
    async with Session(agent(["", "next"])) as session:
        result = await session.run("go")
        assert (result.stop_reason, result.response) == ("end_turn", "")
        assert len(await session.history()) == 1
        assert (await session.run("again")).response == "next"
