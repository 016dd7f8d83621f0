"""The tool `bash`."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from wingman.errors import ToolError
from wingman.processes.environment import NO_TERMINAL
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


# --- nobody sits at a terminal ------------------------------------------------------------------


@pytest.fixture
def at_a_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wingman was started by a person, in a terminal, with all that they like."""
    for name, value in {
        "TERM": "xterm-256color",
        "EDITOR": "sleep 60; true",
        "VISUAL": "sleep 60; true",
        "GIT_EDITOR": "sleep 60; true",
        "GIT_SEQUENCE_EDITOR": "sleep 60; true",
        "PAGER": "sleep 60; cat",
        "GIT_PAGER": "sleep 60; cat",
        "MANPAGER": "sleep 60; cat",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repository(at_a_desk: None, context: ToolContext) -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git here")
    script = (
        "git init -q && git config user.name N && git config user.email e@example.com && "
        "echo 1 > f && git add f && git commit -qm one && "
        "echo 2 > f && git commit -qam two && echo 3 > f && git add f"
    )
    subprocess.run(["sh", "-c", script], cwd=context.work_dir, check=True, timeout=60)


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("git commit", "Aborting commit due to empty commit message"),
        ("git tag -a v1", "no tag message"),
        ("git -c core.editor='sleep 60' commit", "empty commit message"),
        ("git stash -q; git rebase -i HEAD~1", "editor 'false'"),
    ],
)
async def test_an_editor_that_nobody_uses_ends_at_once(
    command: str, said: str, context: ToolContext
) -> None:
    with pytest.raises(ToolError, match=said):
        await run(context, command, timeout=20)


@pytest.mark.usefixtures("repository")
async def test_what_needs_no_other_text_goes_on(context: ToolContext) -> None:
    assert "two" in await run(context, "git -p log", timeout=20)
    assert "two" in await run(context, "git commit --amend && git log -1", timeout=20)


@pytest.mark.usefixtures("at_a_desk")
@pytest.mark.parametrize(
    "command",
    [
        "read -p 'Sure? ' answer",
        "python3 -c 'input()'",
        "python3 -c 'import getpass; getpass.getpass()' < /dev/null",
        "$EDITOR f",
        "${VISUAL} f",
        "GIT_SSH_COMMAND=false git ls-remote ssh://localhost:1/x",
        "git ls-remote http://127.0.0.1:1/x",
        "ssh -p 1 127.0.0.1 true",
        "sudo -u nobody -k true; false",
        "select x in a b; do break; done; false",
    ],
)
async def test_what_waits_for_a_person_ends_by_itself(command: str, context: ToolContext) -> None:
    with pytest.raises(ToolError) as caught:
        await run(context, command, timeout=20)
    assert "timed out" not in caught.value.message


@pytest.mark.usefixtures("at_a_desk")
async def test_the_environment_is_as_it_is_documented(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_ASKPASS", "/bin/their-own")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    lines = (await run(context, "env")).splitlines()
    assert {f"{name}={value}" for name, value in NO_TERMINAL.items()} <= set(lines)
    assert {"GIT_ASKPASS=/bin/their-own", "PYTHONUNBUFFERED=1"} <= set(lines)
    assert await run(context, "TERM=vt100 sh -c 'echo $TERM'") == "vt100\n"
    page = Path(__file__).parents[2] / "docs" / "operating.md"
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| `(\S*)`", page.read_text(), re.MULTILINE)
    documented = {name: value for names, value in rows for name in re.findall(r"\w+", names)}
    assert dict(NO_TERMINAL).items() <= documented.items()


# --- what it has printed ------------------------------------------------------------------------


async def test_a_progress_bar_is_read_in_its_last_state(context: ToolContext, heard: Any) -> None:
    command = r"for n in $(seq 2000); do printf '\r%d of 2000' $n; done; echo; echo done"
    assert await run(context, command) == "2000 of 2000\ndone\n"
    assert "\r1 of 2000" in "".join(heard.progress)  # who watches is shown all of it


async def test_a_cancelled_command_leaves_what_it_has_printed(context: ToolContext) -> None:
    left: list[str] = []
    with trio.CancelScope() as scope:
        listening = attrs.evolve(
            context, progress=lambda _: scope.cancel(), leave_behind=left.append
        )
        await run(listening, r"printf '1%%\r2%%\n'; sleep 60")
    assert scope.cancelled_caught
    assert left == ["2%\n"]
