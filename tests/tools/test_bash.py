"""The tool `bash`."""

import attrs
import pytest

from wingman.errors import ToolError
from wingman.tools import ToolContext, bash


async def run(context: ToolContext, command: str, **more: object) -> str:
    return await bash.call({"command": command, **more}, context)


async def test_it_runs_in_the_working_directory(context: ToolContext) -> None:
    assert await run(context, "pwd") == f"{context.work_dir}\n"


async def test_a_failing_command_is_an_error_with_its_output_and_exit_code(
    context: ToolContext,
) -> None:
    with pytest.raises(ToolError) as caught:
        await run(context, "echo oh no; exit 3")
    assert caught.value.message == "oh no\n[exit code 3]"


async def test_a_command_ended_by_a_signal_says_so(context: ToolContext) -> None:
    with pytest.raises(ToolError) as caught:
        await run(context, "kill -9 $$")
    assert caught.value.message == "[ended by signal 9]"


async def test_a_command_out_of_time_is_an_error_with_what_it_said(context: ToolContext) -> None:
    with pytest.raises(ToolError, match=r"begun\n\[timed out after 0.5 s"):
        await run(context, "echo begun; sleep 60", timeout=0.5)


@pytest.mark.parametrize("timeout", [0, 601, "5"])
async def test_a_timeout_out_of_bounds_is_refused(timeout: object, context: ToolContext) -> None:
    with pytest.raises(ToolError, match=r"Invalid input: .*\$\.timeout"):
        await run(context, "true", timeout=timeout)


async def test_keys_and_wingmans_own_settings_are_not_in_its_environment(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WINGMAN_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "hush-hush")
    monkeypatch.setenv("HARMLESS", "hello")
    output = await run(context, "env")
    assert "HARMLESS=hello" in output
    assert "hush-hush" not in output


async def test_also_with_its_exit_code_the_output_stays_within_what_the_model_is_shown(
    context: ToolContext,
) -> None:
    with pytest.raises(ToolError) as caught:
        await run(attrs.evolve(context, max_output=1_000), "seq 10000; exit 1")
    assert len(caught.value.message) <= 1_000
    assert caught.value.message.startswith("1\n2\n")
    assert caught.value.message.endswith("10000\n[exit code 1]")
