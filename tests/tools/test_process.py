"""A command owns its processes, and none outlives the call, however it ends.

What holds of both ways to run a command; `test_kept` and `test_groups` have what holds of one.
"""

import asyncio
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from tools.commands import cancel_at_first_output, sh
from wingman.errors import ToolError
from wingman.processes.output import Output, clip
from wingman.tools import ToolContext

Look = Callable[[], list[int]]

pytestmark = pytest.mark.usefixtures("each_way")


async def test_stdout_and_stderr_come_in_the_order_they_were_written(context: ToolContext) -> None:
    completed = await sh(context, "echo 1; echo 2 >&2; echo 3; exit 7")
    assert (completed.output, completed.exit_code) == ("1\n2\n3\n", 7)


async def test_progress_hears_the_output_before_the_command_ends(context: ToolContext) -> None:
    gate = context.work_dir / "gate"

    def open_gate(text: str) -> None:
        gate.touch()

    completed = await sh(
        attrs.evolve(context, progress=open_gate),
        "echo hi; until [ -e gate ]; do sleep 0.01; done; echo bye",
    )
    assert completed.output == "hi\nbye\n"


async def test_there_is_nothing_to_read_and_no_terminal(context: ToolContext) -> None:
    completed = await sh(context, "cat; tty; : < /dev/tty")
    assert "not a tty" in completed.output
    assert completed.exit_code != 0


async def test_cancelled_at_any_step_it_leaves_no_process(
    context: ToolContext, survivors: Look
) -> None:
    class CancelAt(trio.abc.Instrument):
        def __init__(self, step: int, scope: trio.CancelScope) -> None:
            self.left, self.scope = step, scope

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()

    cancelled = 0
    for step in range(1, 500):
        with trio.CancelScope() as scope:
            instrument = CancelAt(step, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                await sh(context, "sleep 60 > /dev/null & sleep 60 > /dev/null | cat & echo hi")
            finally:
                trio.lowlevel.remove_instrument(instrument)
                scope.shield = True  # what the loop of this test does is not to be cancelled
        assert survivors() == [], f"cancelled at step {step}"
        cancelled += scope.cancelled_caught
        if instrument.left > 0:
            break
    assert instrument.left > 0, "the command never ran to its end"
    assert cancelled >= 5


async def test_a_cancel_ends_children_and_grandchildren_within_milliseconds(
    context: ToolContext, survivors: Look, heard: Any
) -> None:
    command = "sh -c 'sleep 60 & sh -c \"sleep 60; true\"; true' & echo started; wait"
    times = sorted([await cancel_at_first_output(context, command) for _ in range(15)])
    assert survivors() == []
    assert heard.still_running == []
    assert times[7] < 0.1  # a few milliseconds on an idle machine


async def test_what_ignores_sigterm_is_killed(context: ToolContext, survivors: Look) -> None:
    took = await cancel_at_first_output(context, "trap '' TERM; echo ready; sleep 60; sleep 60")
    assert survivors() == []
    assert 0.4 < took < 2


async def test_what_is_stopped_is_killed(context: ToolContext, survivors: Look) -> None:
    await cancel_at_first_output(context, "sleep 60 & kill -STOP $!; echo ready; wait")
    assert survivors() == []


async def test_a_command_may_clean_up_on_sigterm_and_is_heard_when_its_time_is_up(
    context: ToolContext,
) -> None:
    completed = await sh(
        context, "trap 'echo cleaned; exit' TERM; echo ready; sleep 60 & wait", seconds=0.3
    )
    assert (completed.output, completed.exit_code) == ("ready\ncleaned\n", None)


async def test_when_time_is_up_the_group_is_ended(context: ToolContext, survivors: Look) -> None:
    completed = await sh(context, "sleep 60 & echo begun; sleep 60", seconds=0.2)
    assert (completed.output, completed.exit_code) == ("begun\n", None)
    assert survivors() == []


async def test_a_background_child_that_holds_stdout_does_not_hold_the_call(
    context: ToolContext, survivors: Look
) -> None:
    began = time.perf_counter()
    completed = await sh(context, "sleep 60 & echo done")
    assert (completed.output, completed.exit_code) == ("done\n", 0)
    assert time.perf_counter() - began < 2
    assert survivors() == []


async def test_a_hundred_megabytes_take_no_memory(context: ToolContext) -> None:
    tracemalloc.start()
    try:
        completed = await sh(
            attrs.evolve(context, progress=len),
            "echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last",
            room=1_000,
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert completed.exit_code == 0
    assert completed.output.startswith("first\nxxx")
    assert completed.output.endswith("xxx\nlast\n")
    assert "[… 99,999,0" in completed.output
    assert len(completed.output) <= 1_000
    assert peak < 5_000_000


async def test_binary_output_is_text_with_replacements(context: ToolContext) -> None:
    completed = await sh(context, r"printf 'a\0b\377c\303'")
    assert completed.output == "a\ufffdb\ufffdc\ufffd"


async def test_a_character_split_between_two_pieces_is_whole(context: ToolContext) -> None:
    completed = await sh(context, r"printf '\303'; sleep 0.05; printf '\244'")
    assert completed.output == "ä"


@pytest.mark.parametrize("command", ["echo \0", "echo \ud800", "echo " + "x" * 200_000])
async def test_a_command_that_cannot_be_started_is_a_tool_error(
    command: str, context: ToolContext
) -> None:
    with pytest.raises(ToolError, match="could not be started"):
        await sh(context, command)


async def test_a_missing_directory_is_a_tool_error(context: ToolContext) -> None:
    context.work_dir.rmdir()
    with pytest.raises(ToolError, match="could not be started"):
        await sh(context, "true")


@pytest.mark.parametrize("kind", [ValueError, SystemExit, StopIteration, asyncio.CancelledError])
async def test_a_listener_that_raises_breaks_no_command(
    kind: type[BaseException],
    each_way: None,
    context: ToolContext,
    survivors: Look,
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[str] = []

    def fail(text: str) -> None:
        heard.append(text)
        raise kind("deaf")

    deaf = attrs.evolve(context, progress=fail)
    completed = await sh(deaf, "echo one; sleep 0.1; head -c 1000000 /dev/zero; echo; echo last")
    assert completed.exit_code == 0
    assert completed.output.startswith("one\n")
    assert completed.output.endswith("last\n")
    assert heard == ["one\n"]
    assert len(caplog.records) == 1
    assert "deaf" in caplog.text
    assert survivors() == []


@pytest.mark.parametrize("length", [0, 5, 99, 100, 101, 150, 5_000])
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_output_keeps_all_that_fits_and_else_head_and_tail(length: int, piece: int) -> None:
    written = "".join(chr(ord("a") + n % 26) for n in range(length))
    output = Output(limit=100)
    for start in range(0, length, piece):
        output.add(written[start : start + piece].encode())
    if length <= 100:
        assert output.text == written
    else:
        assert (
            output.text == f"{written[:20]}\n[… {length - 40:,} characters cut …]\n{written[-20:]}"
        )


def test_clip_keeps_the_head_within_the_limit() -> None:
    assert clip("short", 100) == "short"
    assert clip("x" * 1_000, 100) == "x" * 40 + "\n[… 960 characters cut …]\n"
