"""What a call leaves out of its input is said below its result, whatever becomes of it."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import trio

from permission_kit import results_of, until_pending
from session_kit import agent, opened
from wingman import Agent, Limits, PermissionAnswer, Session, ToolContext, ToolError, ToolOutput
from wingman.conversation import ToolResultBlock
from wingman.errors import InvalidRequest
from wingman.events import ToolProgress
from wingman.providers import ToolCalls
from wingman.tools import Tool, bash, edit, read, tool, write

WHY = {"description": "Look around."}
NOTE = "['description' is no parameter of this tool: it was left out.]"


@tool(leave_out_unknown=True)
async def end(how: str, context: ToolContext) -> str | ToolOutput:
    """End in one way or another."""
    match how:
        case "output":
            return ToolOutput("shown")
        case "error":
            raise ToolError("Not so.")
        case "bug":
            raise KeyError("a bug")
        case "nothing":
            return ""
        case "line":
            return "a line\n"
        case "long":
            return "x" * 2 * context.max_output
        case "wait":
            context.progress("waiting")
            await trio.sleep_forever()
    return "never"


async def result(input: dict[str, Any], used: Tool = end, **limits: Any) -> ToolResultBlock:
    script = [ToolCalls((used.name, input)), "ok"]
    async with Session(agent(script, tools=[used]), limits=Limits(**limits)) as session:
        await session.run("go")
        [block] = (await session.history())[2].content
    assert isinstance(block, ToolResultBlock)
    return block


@pytest.mark.parametrize(
    ("how", "content", "is_error"),
    [
        ("output", f"shown\n{NOTE}", False),
        ("error", f"Not so.\n{NOTE}", True),
        ("bug", f"The tool failed: KeyError: 'a bug'\n{NOTE}", True),
        ("nothing", NOTE, False),
        ("line", f"a line\n{NOTE}", False),
    ],
)
async def test_the_note_ends_the_result(how: str, content: str, is_error: bool) -> None:
    block = await result({"how": how, **WHY})
    assert (block.content, block.is_error) == (content, is_error)


async def test_nothing_is_noted_where_nothing_was_left_out() -> None:
    assert (await result({"how": "output"})).content == "shown"


async def test_an_input_that_does_not_fit_is_told_without_a_note() -> None:
    assert (await result({"how": 3, **WHY})).content == (
        "Invalid input: Expected `str`, got `int` - at `$.how`"
    )


@pytest.mark.parametrize("limit", [100, 150, 1_000])
async def test_the_note_is_counted_in_what_may_be_shown(limit: int) -> None:
    block = await result({"how": "long", **WHY}, tool_output=limit)
    shown, _, note = block.content.rpartition("\n")
    assert note.startswith("['description' is no parameter of this")
    assert shown.count("x") + len("\n") + len(note) == limit
    assert shown.count("characters cut") == 1


async def test_a_call_that_had_no_more_time_has_its_note() -> None:
    block = await result({"how": "wait", **WHY}, tool_seconds=0.05)
    assert block.content == f"The tool was stopped: its time limit (0.05 s) was reached.\n{NOTE}"


async def test_a_call_that_is_cancelled_alone_has_its_note() -> None:
    script = [ToolCalls(("end", {"how": "wait", **WHY})), "ok"]
    async with Session(agent(script, tools=[end])) as session:
        run = await session.submit("go")
        async with run.reader() as events:
            said: list[object] = []
            while not any(isinstance(event, ToolProgress) for event in said):
                said += [published.event for published in await events.receive()]
        await run.cancel_tool("toolu_1")
        [call] = (await run.result()).tool_calls
    assert call.output == f"Cancelled: the user cancelled this tool call.\n{NOTE}"


async def test_a_command_that_fails_has_its_note_below_its_exit_code() -> None:
    block = await result({"command": "echo hi; exit 3", **WHY}, bash)
    assert block.content == f"hi\n[exit code 3]\n{NOTE}"
    assert block.is_error


async def test_long_output_of_a_command_is_cut_once() -> None:
    block = await result({"command": "seq 9999", **WHY}, bash, tool_output=2_000)
    assert block.content.count("characters cut") == 1
    assert block.content.endswith(f"9999\n{NOTE}")
    assert len(block.content) <= 2_000


async def test_the_call_itself_is_kept_as_the_model_made_it() -> None:
    script = [ToolCalls(("end", {"how": "output", **WHY})), "ok"]
    async with Session(agent(script, tools=[end])) as session:
        [call] = (await session.run("go")).tool_calls
    assert call.input == {"how": "output", **WHY}


async def test_a_tool_made_by_hand_may_note_something_as_well() -> None:
    async def call(input: Mapping[str, Any], context: ToolContext) -> str:
        context.note("first")
        context.note("[Half \ud800 a character.]")
        return "done"

    made = Tool("made", "Do it.", {"type": "object"}, call)
    assert (await result({"a": 1}, made)).content == "done\n[Half ? a character.]"


@pytest.mark.parametrize("wrong", [None, 3, b"bytes"])
async def test_a_note_that_is_no_text_is_its_calls_failure(wrong: Any) -> None:
    async def call(input: Mapping[str, Any], context: ToolContext) -> str:
        context.note(wrong)
        return "done"

    block = await result({}, Tool("made", "Do it.", {"type": "object"}, call))
    assert block.content.startswith("The tool failed: TypeError: note must be str, not")


# --- permissions -----------------------------------------------------------------------------


def guarded(input: dict[str, Any], used: Tool, rules: Any) -> Agent:
    made = agent([ToolCalls((used.name, input)), "ok"], name="guarded", tools=[used])
    return attrs.evolve(made, permissions=rules)


async def test_a_person_is_shown_what_will_run_and_the_model_is_not_told_of_a_change() -> None:
    asked = guarded({"command": "echo hi", **WHY}, bash, {"bash": "ask"})
    async with opened(asked) as runtime:
        session = await runtime.create_session("guarded")
        run = await session.submit("go")
        (request,) = await until_pending(runtime)
        assert request.input == {"command": "echo hi"}
        await runtime.answer(session.id, request.id, "once")
        await run.result()
        assert await results_of(runtime, run) == [f"hi\n{NOTE}"]


@pytest.mark.parametrize(
    ("input", "shown"),
    [
        ({"command": "echo hi", "why": 1}, f"hi\n{NOTE}"),
        ({"command": "echo ho"}, "[The user has changed the input of this call"),
    ],
)
async def test_an_edited_input_is_taken_as_the_models_own(
    input: dict[str, Any], shown: str
) -> None:
    asked = guarded({"command": "echo hi", **WHY}, bash, {"bash": "ask"})
    async with opened(asked) as runtime:
        session = await runtime.create_session("guarded")
        run = await session.submit("go")
        (request,) = await until_pending(runtime)
        wrong = PermissionAnswer("once", input={"command": "ls", "timeout_ms": 5})
        with pytest.raises(InvalidRequest, match="Did you mean `timeout`"):
            await runtime.answer(session.id, request.id, wrong)
        await runtime.answer(session.id, request.id, PermissionAnswer("once", input=input))
        await run.result()
        (text,) = await results_of(runtime, run)
    assert text.startswith(shown)


@pytest.mark.parametrize(
    ("input", "used"),
    [
        ({"path": "secrets/key", "content": "x", "description": "open"}, write),
        ({"path": "secrets/key", "content": "x", "file_path": "open"}, write),
        ({"path": "secrets/key", "old": "a", "new": "b", "filePath": "open"}, edit),
    ],
)
async def test_an_unknown_argument_is_no_way_round_a_rule(
    input: dict[str, Any], used: Tool
) -> None:
    rules = {"edit": {"*": "allow", "secrets/**": "deny"}}
    async with opened(guarded(input, used, rules)) as runtime:
        session = await runtime.create_session("guarded")
        run = await session.submit("go")
        await run.result()
        (text,) = await results_of(runtime, run)
    assert text.startswith("Not allowed: the permissions deny edit: 'secrets/key'")


async def test_a_call_that_would_run_as_another_one_asks_nobody() -> None:
    asked = guarded({"path": "a", "start_offset": 9}, read, {"read": "ask"})
    async with opened(asked) as runtime:
        session = await runtime.create_session("guarded")
        run = await session.submit("go")
        await run.result()
        (text,) = await results_of(runtime, run)
    assert text == (
        "Invalid input: 'start_offset' is no parameter of this tool. Did you mean `offset`?"
    )
