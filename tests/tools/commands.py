"""How the tests run shell commands, and cancel them."""

import contextlib
import os
import shutil
import time
from typing import Any

import attrs
import trio

from wingman.processes import Output, kept
from wingman.tools import ToolContext
from wingman.tools.process import run_process


async def sh(context: ToolContext, command: str, seconds: float = 20, room: int = 30_000) -> Any:
    argv = [shutil.which("bash") or "sh", "-c", command]
    return await run_process(
        argv, context, seconds=seconds, output=Output(room), progress=context.progress
    )


async def cancel_at_first_output(context: ToolContext, command: str) -> float:
    """Run a command, cancel it when it says something; seconds from the cancel to the return."""
    with trio.CancelScope() as scope:
        started = []

        def cancel(_text: str) -> None:
            if not started:
                started.append(time.perf_counter())
                scope.cancel()

        await sh(attrs.evolve(context, progress=cancel), command)
    assert scope.cancelled_caught
    return time.perf_counter() - started[0]


def new_spawner() -> None:
    """The next call starts one."""
    kept._spawner.close()
    if kept._spawner._pid:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(kept._spawner._pid, 0)
