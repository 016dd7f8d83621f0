"""One command, its output bounded, and nothing left of it afterwards.

The call owns its processes. However it ends (the command exits, the time is up, the caller
cancels), all that descends from the command is ended with it before the call returns: background
children, those that ignore SIGTERM, daemons that called `setsid`. If this process is killed, they
die with it, at once. Both hold on Linux, where each command has a keeper (`kept`); elsewhere only
the process group is ended (`groups`).

It starts no shell unless `argv` is one.
"""

import errno
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import attrs
import trio

from wingman.foreign import log_failure
from wingman.processes import groups, kept
from wingman.processes.callers import commands
from wingman.processes.environment import child_environment
from wingman.processes.output import Output

__all__ = ["CannotStart", "Child", "Completed", "ending", "run_command", "start_child"]

logger = logging.getLogger("wingman.processes")

_PIECE = 8_192  # bytes of output that are worked on before others have their turn
_EOF_GRACE = 0.2  # seconds that a background child may hold the output open after the leader's exit
_LONGEST_END = 4.5  # seconds; no child takes longer to end, and a cancel answers after 5
_EXHAUSTED = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


_start = kept.start if sys.platform == "linux" else groups.start


class Child(Protocol):
    """A command that has been started, or is to be: one of `kept` or of `groups`."""

    @property
    def stdin(self) -> trio.abc.SendStream | None:
        """What it reads, or None: nothing."""

    @property
    def stdout(self) -> trio.abc.ReceiveStream:
        """What it writes."""

    @property
    def stderr(self) -> trio.abc.ReceiveStream | None:
        """What it writes there, or None: that is in `stdout`."""

    @property
    def failure(self) -> str | None:
        """Why there will be no exit code, when `wait` has returned None."""

    @property
    def pid(self) -> int | None:
        """Its process, where that is known. A piped command's is, soon after `wait` is called."""

    async def wait(self) -> int | None:
        """Wait for its end: its exit code, negative for a signal."""

    async def end(self) -> str | None:
        """End all its processes; what could not be ended in a few seconds, None for nothing.

        It does not shield itself: the `finally` that calls it does.
        """


@attrs.frozen
class Completed:
    """How a command ended: `output` is stdout and stderr in order; no `exit_code`: time was up."""

    output: str
    exit_code: int | None


class CannotStart(Exception):
    """A command did not run, or was lost: why, and what to do where it is for want of resources."""


async def run_command(
    argv: Sequence[str],
    work_dir: Path,
    *,
    seconds: float,
    output: Output,
    environment: Mapping[str, str],
    report_still_running: Callable[[str], None],
    progress: Callable[[str], None] | None = None,
) -> Completed:
    """Run `argv` in `work_dir`, for so many `seconds` at most, and end what it started.

    It has `child_environment` and, on top of it, `environment`. stdin is empty; stdout and stderr
    share one pipe. What is written goes into `output`, however the call ends; `progress` gets all
    of it in pieces, as it is written. `report_still_running` is called, before the
    return, with what could not be ended. Raises `CannotStart`, and RuntimeError where no thread can
    be had to start it.
    """
    with commands.running():
        environment = {**child_environment(), **environment}
        child = await start_child(argv, work_dir, environment, piped=False)
        return await _attended(child, seconds, output, progress, report_still_running)


async def _attended(
    child: Child,
    seconds: float,
    output: Output,
    progress: Callable[[str], None] | None,
    report_still_running: Callable[[str], None],
) -> Completed:
    exit_code: int | None = None
    # To enter a nursery is no checkpoint: nothing stands between the birth of the process and the
    # `finally` that ends it. The pump is outside of the clock, to hear the last words.
    async with trio.open_nursery() as nursery:
        async with ending(child, report_still_running):
            eof = trio.Event()
            nursery.start_soon(_pump, child.stdout, output, progress, eof)
            with trio.move_on_after(seconds):
                exit_code = await child.wait()
                with trio.move_on_after(_EOF_GRACE):
                    await eof.wait()
        # What could not be ended may still hold the pipe.
        nursery.cancel_scope.deadline = trio.current_time() + _EOF_GRACE
    if child.failure is not None:
        raise CannotStart(with_advice(child.failure))
    return Completed(output.text, exit_code)


async def start_child(
    argv: Sequence[str], work_dir: Path, environment: Mapping[str, str], *, piped: bool
) -> Child:
    """Start a command with just this `environment`, to be ended in any case (see `ending`).

    `piped`: stdin, stdout and stderr are a pipe each. Raises as `run_command` does.
    """
    commands.started()
    try:
        return await _start(argv, work_dir, environment, piped=piped)
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the command
        raise CannotStart(with_advice(f"The command could not be started: {error}")) from error


@asynccontextmanager
async def ending(child: Child, report_still_running: Callable[[str], None]) -> AsyncIterator[None]:
    """End all that descends from a command when the block is left; what cannot be is reported.

    To enter it is no checkpoint: nothing stands between the start and the block that ends it.
    """
    try:
        yield
    finally:
        left: str | None = "the command's processes"
        with trio.move_on_after(_LONGEST_END, shield=True):
            left = await child.end()
        if left is not None:
            _told(report_still_running, left)


def with_advice(failure: str) -> str:
    """Why a command could not be started, and what to do where it is for want of resources."""
    if any(f"[Errno {number}]" in failure for number in _EXHAUSTED):
        return f"{failure}. Wait until other tools and commands have ended, then try again."
    return failure


async def _pump(
    pipe: trio.abc.ReceiveStream,
    output: Output,
    progress: Callable[[str], None] | None,
    eof: trio.Event,
) -> None:
    """Drain the pipe to its end, also past the cap: a full pipe would block the command."""
    async with pipe:
        async for data in pipe:
            for start in range(0, len(data), _PIECE):
                text = output.add(data[start : start + _PIECE])
                if progress is not None and text and not _told(progress, text):
                    progress = None
                if start + _PIECE < len(data):
                    await trio.lowlevel.checkpoint()
    output.add(b"", final=True)
    eof.set()


@trio.lowlevel.enable_ki_protection
def _told(listener: Callable[[str], None], text: str) -> bool:
    """Tell a listener; False if it raised, which is logged and harms no command."""
    try:
        listener(text)
    # Without a checkpoint there is no real cancellation, and Ctrl-C waits: none is swallowed.
    except BaseException as error:  # noqa: ASYNC103
        log_failure(logger, logging.ERROR, error, "a command's listener raised and hears no more")
        return False  # noqa: ASYNC104
    return True
