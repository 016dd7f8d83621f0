"""A tool's failure says its reason, whatever was raised and wherever; the log has the traceback."""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio

from session_kit import agent, assert_valid
from wingman import Session, ToolContext, ToolError, ToolOutput, tool
from wingman.conversation import ToolResultBlock
from wingman.providers import ToolCalls
from wingman.tools import Tool

SECRET = "sk-live-1234567890"  # in an input, and in an output


async def told_of(act: Callable[[], Any]) -> ToolResultBlock:
    """What the model is told of a call that does this, and the session goes on after it."""

    @tool
    async def act_up(note: str) -> Any:
        """Do it."""
        return await act()

    return await result_of(act_up)


async def result_of(act_up: Tool) -> ToolResultBlock:
    calls = ToolCalls((act_up.name, {"note": SECRET}))
    helper = agent(lambda request: calls if len(request.messages) == 1 else "ok", tools=[act_up])
    async with Session(helper) as session:
        assert (await session.run("go")).response == "ok"
        history = await session.history()
        assert_valid(history)
        (block,) = history[2].content
        assert (await session.run("again")).response == "ok"
    assert isinstance(block, ToolResultBlock)
    return block


async def said(act: Callable[[], Any]) -> str:
    block = await told_of(act)
    assert block.is_error
    return block.content


def raising(error: BaseException) -> Callable[[], Any]:
    async def act() -> None:
        raise error

    return act


def in_a_nursery(*errors: BaseException, depth: int = 1) -> Callable[[], Any]:
    async def act() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            if depth > 1:
                nursery.start_soon(in_a_nursery(*errors, depth=depth - 1))
            else:
                for error in errors:
                    nursery.start_soon(raising(error))

    return act


class TextRaises(ToolError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class TextInterrupts(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class TextIsNumber(Exception):
    def __str__(self) -> str:
        return 404  # type: ignore[return-value]  # noqa: PLE0307


class MessageRaises(ToolError):
    @property
    def message(self) -> str:
        raise SystemExit(3)

    @message.setter
    def message(self, value: str) -> None: ...


class OwnInit(ToolError):
    def __init__(self, path: str) -> None:
        self.message = f"There is no {path}."


NO_REASON = "The tool failed, and gave no reason."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ToolError("Not today."), "Not today."),
        (ToolError(404), "404"),
        (ToolError(), NO_REASON),
        (ToolError(None), NO_REASON),
        (ToolError("  "), NO_REASON),
        (ToolError("status", 404), "status 404"),
        (ToolError(b"raw"), "b'raw'"),
        (ToolError({"code": 7}), "{'code': 7}"),
        (ToolError(KeyError("x")), "'x'"),
        (ToolError(TimeoutError()), "TimeoutError"),
        (ToolError(TextIsNumber()), "TextIsNumber"),
        (ToolError("half \ud83d of it"), "half ? of it"),
        (OwnInit("file"), "There is no file."),
        (TextRaises("still here"), "still here"),
        (MessageRaises("still here"), "still here"),
        (ToolError("x" * 9_000), "x" * 9_000),
    ],
    ids=repr,
)
async def test_a_tool_error_is_said_as_it_is(error: ToolError, words: str) -> None:
    assert await said(raising(error)) == words


async def test_a_tool_error_without_words_says_what_it_came_from() -> None:
    async def act() -> None:
        try:
            raise FileNotFoundError("no plan.txt")
        except FileNotFoundError as error:
            raise ToolError from error

    assert await said(act) == "FileNotFoundError: no plan.txt"


@pytest.mark.parametrize("depth", [1, 3])
async def test_a_tool_error_in_the_tools_own_nursery_is_said_as_it_is(depth: int) -> None:
    assert await said(in_a_nursery(ToolError("Not today."), depth=depth)) == "Not today."
    assert await said(in_a_nursery(ToolError(404), depth=depth)) == "404"


async def test_several_reasons_are_listed_and_the_same_one_once() -> None:
    errors = [ToolError("No car."), ToolError("No train."), ToolError("No car.")]
    words = await said(in_a_nursery(*errors))
    assert sorted(words.split("; ")) == ["No car.", "No train."]
    mixed = await said(in_a_nursery(ToolError("No car."), ValueError("v")))
    head, _, listed = mixed.partition(": ")
    assert head == "The tool failed"
    assert set(listed.split("; ")) == {"No car.", "ValueError: v"}
    many = await said(in_a_nursery(*(ToolError(f"{n}" * 50_000) for n in range(9))))
    assert many.endswith("; and 4 more")
    assert len(many) < 11_000


async def test_a_tool_error_beside_a_cancellation_that_it_caused_or_kept_is_said_alone() -> None:
    kept: list[BaseException] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            kept.append(cancelled)
            raise

    group = BaseExceptionGroup("both", [ToolError("Not today."), kept[0]])
    assert await said(raising(group)) == "Not today."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("broken"), "ValueError: broken"),
        (ValueError(), "ValueError"),
        (TextInterrupts("x"), "TextInterrupts"),
        (TextIsNumber("x"), "TextIsNumber"),
        (SystemExit("usage: tool"), "SystemExit: usage: tool"),
        (SystemExit(2), "SystemExit: 2"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "CancelledError"),
        (GeneratorExit(), "GeneratorExit"),
        (StopAsyncIteration("done"), "StopAsyncIteration: done"),
        (BaseExceptionGroup("g", [SystemExit(2)]), "SystemExit: 2"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("sync", [False, True])
async def test_whatever_else_is_raised_is_the_tools_failure_and_no_cancel(
    error: BaseException, words: str, sync: bool
) -> None:
    @tool
    def act_up(note: str) -> None:
        """Do it."""
        raise error

    block = await (result_of(act_up) if sync else told_of(raising(error)))
    assert (block.content, block.is_error) == (f"The tool failed: {words}", True)


@pytest.mark.parametrize("sync", [False, True])
async def test_what_ends_a_loop_quietly_is_a_failure_too(sync: bool) -> None:
    @tool
    def act_up(note: str) -> None:
        """Do it."""
        next(iter(()))

    async def act() -> None:
        raise StopIteration

    block = await (result_of(act_up) if sync else told_of(act))
    assert block.is_error
    assert "StopIteration" in block.content


async def test_the_causes_of_a_failure_are_said_too_and_no_traceback() -> None:
    async def act() -> None:
        try:
            try:
                raise OSError("disk full")
            except OSError as error:
                raise LookupError from error
        except LookupError as error:
            raise RuntimeError("cannot save") from error

    assert await said(act) == (
        "The tool failed: RuntimeError: cannot save (caused by LookupError) "
        "(caused by OSError: disk full)"
    )
    looped = RuntimeError("a")
    looped.__cause__ = looped
    assert await said(raising(looped)) == "The tool failed: RuntimeError: a"

    remote = 'Traceback (most recent call last):\n  File "/x/secret.py", line 3, in f\nOSError: no'
    failure = ValueError(f"worker:\n{remote}\n")
    failure.__cause__ = RuntimeError(remote)
    assert await said(raising(failure)) == (
        "The tool failed: ValueError: worker: OSError: no (caused by RuntimeError: OSError: no)"
    )


async def test_a_tool_that_gives_something_else_than_text_is_told_in_a_sentence() -> None:
    async def call(input: object, context: ToolContext) -> Any:
        return 3

    async def call_output(input: object, context: ToolContext) -> Any:
        return ToolOutput(3)  # type: ignore[arg-type]

    schema = {"type": "object"}
    for each in (call, call_output):
        block = await result_of(Tool("give", "Give.", schema, each))
        assert block.content == (
            "The tool failed: TypeError: the tool gave a int: it has to give text, or a ToolOutput"
        )


async def test_the_log_has_the_traceback_and_of_the_input_and_output_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "wingman")

    def deep_inside() -> None:
        raise ValueError("broken")

    async def act() -> None:
        deep_inside()

    await told_of(act)
    (record,) = [record for record in caplog.records if record.name == "wingman.run"]
    assert record.levelno == logging.WARNING
    assert "act_up" in record.getMessage()
    assert "deep_inside" in caplog.text
    assert SECRET not in caplog.text

    caplog.clear()
    await told_of(raising(TextInterrupts("x")))
    assert "TextInterrupts" in caplog.text

    caplog.clear()
    await told_of(raising(ToolError("Not today.")))
    assert not caplog.records


async def test_only_a_persons_cancel_is_told_as_one() -> None:
    began = trio.Event()

    @tool
    async def wait(note: str) -> None:
        """Wait."""
        began.set()
        await trio.sleep_forever()

    helper = agent([ToolCalls(("wait", {"note": "x"})), "ok"], tools=[wait])
    async with Session(helper) as session:
        run = await session.submit("go")
        await began.wait()
        await run.cancel_tool("toolu_1")
        (call,) = (await run.result()).tool_calls
    assert call.output == "Cancelled: the user cancelled this tool call."

    async def cancelled_by_itself() -> str:
        with trio.CancelScope() as scope:
            scope.cancel()
            await trio.sleep_forever()
        return "it went on"

    assert (await told_of(cancelled_by_itself)).content == "it went on"
    assert (await said(functools.partial(trio.run, trio.sleep, 0))).startswith("The tool failed: ")
