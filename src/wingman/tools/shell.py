"""The tool `bash`: a shell command in the session's directory."""

import shutil
from typing import Annotated

import msgspec

from wingman.errors import ToolError
from wingman.processes import Completed, Output
from wingman.tools.base import ToolContext
from wingman.tools.decorator import tool
from wingman.tools.process import run_process

__all__ = ["bash"]

_NOTE_ROOM = 200  # characters for how the command ended

Command = Annotated[str, msgspec.Meta(min_length=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=600)]


# What would make another command of it, if it were left out.
_INSTEAD = {
    **dict.fromkeys(
        ("cwd", "dir", "directory", "work_dir", "workdir", "working_dir", "working_directory"),
        "write `cd DIRECTORY && …` in the command.",
    ),
    **dict.fromkeys(("env", "environment"), "write `export NAME=value; …` in the command."),
    **dict.fromkeys(("input", "stdin"), "write `… | command`, or redirect from a file."),
    **dict.fromkeys(
        ("background", "is_background", "run_in_background"),
        "what a command starts ends with its call. Start it, use it and leave it in one command.",
    ),
}


@tool(resources=("command",), leave_out_unknown=True, instead=_INSTEAD)
async def bash(command: Command, context: ToolContext, timeout: Seconds = 120) -> str:
    """Run a shell command in the working directory and return its output (stdout and stderr).

    Each call is a new shell: `cd` and variables do not carry over. There is no input to read and no
    terminal: what would ask or open an editor fails. All processes that the command starts are
    ended with the call, background ones too, so a server must be started, used and left within one
    command. What is handed to a service that runs already (tmux, docker, systemd, at, cron, ssh)
    goes on: end it by its own means. API keys are not in its environment. A failing command (exit
    code other than 0) is an error that carries its output. Of a line that is written over, such as
    a progress bar, the last state is shown. Very long output is cut in the middle: redirect it to a
    file to read it in parts.

    Args:
        command: What bash runs, as with `bash -c`.
        timeout: Seconds after which the command is ended, 600 at most.
    """
    output = Output(max(context.max_output - _NOTE_ROOM, 0), on_screen=True)
    completed = None
    try:
        completed = await run_process(
            _shell_argv(command),
            context,
            seconds=timeout,
            output=output,
            progress=context.progress,
        )
    finally:
        if completed is None:  # it is cancelled
            context.leave_behind(output.text)
    if completed.exit_code == 0:
        return completed.output
    raise ToolError(_with_ending(completed, timeout))


def _shell_argv(command: str) -> list[str]:
    """The program that runs a command line."""
    return [shutil.which("bash") or "/bin/sh", "-c", command]


def _with_ending(completed: Completed, timeout: float) -> str:
    """The output, and below it how the command ended."""
    match completed.exit_code:
        case None:
            ending = (
                f"[timed out after {timeout:g} s; the command and its processes were ended. "
                "Give it a longer timeout, at most 600 s, or less to do]"
            )
        case code if code < 0:
            ending = f"[ended by signal {-code}]"
        case code:
            ending = f"[exit code {code}]"
    output = completed.output
    return output + ("\n" if output and not output.endswith("\n") else "") + ending
