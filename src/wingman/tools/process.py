"""One command in a process group of its own, its output bounded, and nothing left of it afterwards.

The call owns its processes. However it ends (the command exits, the time is up, the caller
cancels), the whole group is ended with it, background children too, before the call returns. What
leaves the group by `setsid` is not followed: that would need a namespace around `argv`.

This module knows nothing of tools but their context; it starts no shell unless `argv` is one.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import cast

import attrs
import trio

from wingman.errors import ToolError
from wingman.tools.base import ToolContext
from wingman.tools.groups import LONGEST_END, end_group
from wingman.tools.output import Output

__all__ = ["Completed", "child_environment", "run_process"]

_EOF_GRACE = 0.2  # seconds that a background child may hold the output open after the leader's exit
_SECRETS = ("_API_KEY", "_AUTH_TOKEN")


@attrs.frozen
class Completed:
    """How a command ended: `output` is stdout and stderr in order; no `exit_code`: time was up."""

    output: str
    exit_code: int | None


def child_environment() -> dict[str, str]:
    """This process's environment without Wingman's own settings and the providers' keys.

    Left out: `WINGMAN_*`, `*_API_KEY`, `*_AUTH_TOKEN`. It keeps keys out of `env` and out of logs,
    no more: a process of the same user can find them in other ways.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WINGMAN_") and not name.endswith(_SECRETS)
    }


async def run_process(
    argv: Sequence[str],
    context: ToolContext,
    *,
    seconds: float,
    max_output: int,
    progress: Callable[[str], None] | None = None,
) -> Completed:
    """Run `argv` in `context.work_dir`, for so many `seconds` at most, and end its group.

    stdin is empty; stdout and stderr share one pipe. `output` is at most `max_output` characters,
    head and tail, however much is written; `progress` gets all of it in pieces. What could not be
    ended is reported by `context.report_still_running`. Raises `ToolError` if it cannot start.
    """
    output = Output(max_output)
    exit_code: int | None = None
    process, pipe = await _open(argv, context)
    # To enter a nursery is no checkpoint: nothing stands between the birth of the process and the
    # `finally` that ends it. The pump is outside of the clock, to hear the last words.
    async with trio.open_nursery() as nursery:
        try:
            eof = trio.Event()
            nursery.start_soon(_pump, pipe, output, progress, eof)
            with trio.move_on_after(seconds):
                exit_code = await process.wait()
                with trio.move_on_after(_EOF_GRACE):
                    await eof.wait()
        finally:
            gone = False
            with trio.move_on_after(LONGEST_END, shield=True):
                gone = await end_group(process)
            if not gone:
                context.report_still_running(f"the process group {process.pid}")
        # Who left the group may still hold the pipe.
        nursery.cancel_scope.deadline = trio.current_time() + _EOF_GRACE
    return Completed(output.text, exit_code)


async def _open(
    argv: Sequence[str], context: ToolContext
) -> tuple[trio.Process, trio.abc.ReceiveStream]:
    """Start the process, leader of a new session and so of a new group, and the pipe it writes."""
    try:
        process = await trio.lowlevel.open_process(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=context.work_dir,
            env=child_environment(),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the command
        raise ToolError(f"The command could not be started: {error}") from error
    return process, cast("trio.abc.ReceiveStream", process.stdout)


async def _pump(
    pipe: trio.abc.ReceiveStream,
    output: Output,
    progress: Callable[[str], None] | None,
    eof: trio.Event,
) -> None:
    """Drain the pipe to its end, also past the cap: a full pipe would block the command."""
    async with pipe:
        async for data in pipe:
            text = output.add(data)
            if progress is not None and text:
                progress(text)
    output.add(b"", final=True)
    eof.set()
