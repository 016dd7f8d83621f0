"""What a tool gives beside text: an error that shows something, and a value for programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from pictures import PIXEL
from session_kit import agent, opened
from wingman import Limits, Session, ToolOutput, tool
from wingman.conversation import ImageBlock, ToolResultBlock
from wingman.events import ToolResult
from wingman.providers import ToolCalls

IMAGE = ImageBlock("image/png", PIXEL)


@dataclass
class Size:
    width: int
    name: Path


async def given(output: Any, **limits: Any) -> tuple[ToolResultBlock, Any]:
    """The result of a tool that gives this, as it is in the history, and the run's own."""

    @tool
    async def give() -> Any:
        """Give it."""
        return output() if callable(output) else output

    script = agent([ToolCalls(("give", {})), "ok"], tools=[give])
    async with Session(script, limits=Limits(**limits)) as session:
        [call] = (await session.run("go")).tool_calls
        [block] = (await session.history())[2].content
    assert isinstance(block, ToolResultBlock)
    assert (call.output, call.is_error, call.structured) == (
        block.content,
        block.is_error,
        block.structured,
    )
    return block, call


async def test_an_error_may_show_images_and_a_value() -> None:
    output = ToolOutput("It broke.", [IMAGE], is_error=True, structured={"code": 7})
    block, _ = await given(output)
    assert block == ToolResultBlock(
        block.tool_use_id, "It broke.", True, images=(IMAGE,), structured={"code": 7}
    )


@pytest.mark.parametrize(
    ("value", "json"),
    [
        ({"a": [1, 2.5, None, "é"]}, {"a": [1, 2.5, None, "é"]}),
        ((1, 2), [1, 2]),
        (0, 0),
        (Size(3, Path("a/b")), {"width": 3, "name": "a/b"}),
        ({"half": "\ud800", "no number": float("nan")}, {"half": "?", "no number": None}),
        ({1: "a"}, {"1": "a"}),
    ],
)
async def test_a_structured_result_is_kept_as_json_has_it(value: object, json: object) -> None:
    block, _ = await given(ToolOutput("Done.", structured=value))
    assert (block.content, block.is_error) == ("Done.", False)
    assert block.structured == json
    assert msgspec.json.decode(msgspec.json.encode(block), type=ToolResultBlock) == block


async def test_a_result_without_one_is_written_as_before() -> None:
    block, call = await given(ToolOutput("Done."))
    assert b"structured" not in msgspec.json.encode([block, call])
    event = ToolResult.of(block)
    assert msgspec.to_builtins(event).keys() == {"tool_use_id", "content", "is_error"}


@pytest.mark.parametrize("text", ["Done.", "", "x" * 1_000])
async def test_one_that_is_longer_than_an_output_may_be_is_left_out_and_the_text_says_so(
    text: str,
) -> None:
    fits = {"a": "x" * 992}
    assert len(msgspec.json.encode(fits)) == 1_000
    block, _ = await given(ToolOutput(text, structured=fits), tool_output=1_000)
    assert (block.content, block.structured) == (text, fits)
    block, _ = await given(ToolOutput(text, structured={"a": "x" * 993}), tool_output=1_000)
    assert block.structured is None
    assert not block.is_error
    assert block.content.startswith(text[:100])
    assert block.content.endswith(
        "[The structured form of this result is left out: its JSON has 1,001 bytes, and 1,000 are "
        "the most.]"
    )
    assert len(block.content) < 1_100


@pytest.mark.parametrize("value", [object(), {"a": {1j}}, iter(())])
def test_what_is_no_json_is_refused_where_it_is_given(value: object) -> None:
    with pytest.raises(TypeError, match="has no form in JSON"):
        ToolOutput("Done.", structured=value)


@pytest.mark.parametrize("depth", [101, 100_000])
def test_what_is_nested_too_deeply_is_refused(depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    with pytest.raises(ValueError, match="100 levels"):
        ToolOutput("Done.", structured=value)
    while depth > 100:  # all at once, its end would take as many frames
        value, depth = value[0], depth - 1
    assert ToolOutput("Done.", structured=value).structured == value


async def test_a_tool_whose_value_is_no_json_has_failed() -> None:
    block, _ = await given(lambda: ToolOutput("Done.", structured=object()))
    assert block.is_error
    assert block.content.startswith("The tool failed: TypeError: a value of the type `object`")


@pytest.mark.parametrize("wrong", [{"is_error": "yes"}, {"is_error": 1}, {"is_error": None}])
def test_is_error_is_true_or_false(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="is_error must be bool"):
        ToolOutput("Done.", **wrong)


async def test_a_long_result_is_read_from_its_messages_with_its_structured_results() -> None:
    @tool
    async def give() -> ToolOutput:
        """Give it."""
        return ToolOutput("x" * 5_000, structured={"a": 1})

    made = agent([ToolCalls(("give", {})), "ok"], name="giver", tools=[give])
    async with opened(made) as runtime:
        session = await runtime.create_session("giver")
        run = await session.submit("go")
        await run.result()
        again = await runtime.run(session.id, run.id)
        assert again is not run
        [call] = (await again.result()).tool_calls
    assert (len(call.output), call.structured) == (5_000, {"a": 1})


async def test_a_call_that_has_ended_shows_it_while_its_step_goes_on(autojump_clock: Any) -> None:
    @tool
    async def give(seconds: float) -> ToolOutput:
        """Give it."""
        await trio.sleep(seconds)
        return ToolOutput("Done.", structured=[seconds])

    calls = ToolCalls(("give", {"seconds": 1}), ("give", {"seconds": 9}))
    async with opened(agent([calls, "ok"], name="giver", tools=[give])) as runtime:
        session = await runtime.create_session("giver")
        run = await session.submit("go")
        await trio.sleep(5)
        shown = (await session.describe()).in_progress
        assert shown is not None
        assert [(call.state, call.structured) for call in shown.calls] == [
            ("ended", [1]),
            ("running", None),
        ]
        await run.result()
