"""What a tool call has to show when it is cut short is in its result, whatever cut it."""

import pytest
import trio

from session_kit import agent, assert_valid
from wingman import Limits, Session, ToolContext, tool
from wingman.conversation import ToolResultBlock
from wingman.events import ToolProgress
from wingman.providers import ToolCalls
from wingman.tools import bash

COMMAND = r"printf '1%%\r50%%\n'; sleep 60"
LEFT = "\nIts output until then:\n50%\n"


async def result_when_cut(cut: str) -> ToolResultBlock:
    """The result of the command that is cut once it has printed something."""
    limits = Limits(tool_seconds=1 if cut == "tool's time" else 60)
    limits = Limits(seconds=1) if cut == "run's time" else limits
    script = [ToolCalls(("bash", {"command": COMMAND})), "ok"]
    async with Session(agent(script, tools=[bash]), limits=limits) as session:
        run = await session.submit("go")
        async with run.reader() as events:
            said: list[object] = []
            while not any(isinstance(event, ToolProgress) for event in said):
                said += [published.event for published in await events.receive()]
        if cut == "call":
            await run.cancel_tool("toolu_1")
        elif cut == "run":
            await run.cancel()
        elif cut == "session":
            await session.cancel()
        await run.wait()
        history = await session.history()
    assert_valid(history)
    [block] = history[2].content
    assert isinstance(block, ToolResultBlock)
    return block


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        ("call", "Cancelled: the user cancelled this tool call."),
        ("run", "Cancelled: the user stopped the run before this call had ended."),
        ("session", "Cancelled: the user stopped the run before this call had ended."),
        ("tool's time", "The tool was stopped: its time limit (1 s) was reached."),
        ("run's time", "Stopped: the run's time limit was reached before this call had ended."),
    ],
)
async def test_a_command_that_is_cut_shows_what_it_had_printed(cut: str, why: str) -> None:
    with trio.fail_after(30):
        block = await result_when_cut(cut)
    assert block.is_error
    assert block.content == why + LEFT


async def test_a_tool_of_the_users_may_leave_something_too() -> None:
    @tool
    async def count(context: ToolContext) -> str:
        """Count until told to stop."""
        try:
            await trio.sleep_forever()
        finally:
            context.leave_behind("x" * 1_000)
        return "never"

    limits = Limits(tool_output=200, tool_seconds=0.1)
    async with Session(agent([ToolCalls(("count", {})), "ok"], tools=[count]), limits=limits) as it:
        [call] = (await it.run("go")).tool_calls
    assert "time limit" in call.output
    assert "x" * 50 in call.output
    assert len(call.output) < 400
