"""A command in a process group of its own, for systems where it can have no keeper (see `kept`).

Its end is the end of the group: SIGTERM, a short grace, SIGKILL, and the truth about what is left.
This promises less: what leaves the group by `setsid` is not followed, and if this process is
killed, its commands go on.

A group's number is not given to a new process while anything bears it: neither while a member
lives, nor while its leader is not reaped. So it is signalled as long as one of these is known to
hold, and after that only asked about (signal 0), which harms nobody.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import attrs
import trio

__all__ = ["GroupChild", "start"]

_TERM_GRACE = 0.5  # seconds between SIGTERM and SIGKILL
_KILL_GRACE = 2.0  # seconds until what SIGKILL did not end is given up
_POLL_FIRST, _POLL_LAST = 0.001, 0.05  # seconds; ordinary commands are gone at the first look
_POLL_CLOSELY = 0.002  # an init that reaps at leisure must not hold a cancel


@attrs.frozen(eq=False)
class GroupChild:
    """A command that leads a group. It is a `Child` of `process`, which says what that can do."""

    _leader: trio.Process
    stdin: trio.abc.SendStream | None
    stdout: trio.abc.ReceiveStream
    stderr: trio.abc.ReceiveStream | None
    failure: str | None = None

    @property
    def pid(self) -> int | None:
        return self._leader.pid

    async def wait(self) -> int | None:
        return await self._leader.wait()

    async def end(self) -> str | None:
        gone = await _end_group(self._leader)
        return None if gone else f"the process group {self._leader.pid}"


async def start(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], *, piped: bool = False
) -> GroupChild:
    """Start a command, leader of a new session and so of a new group.

    `piped`: stdin, stdout and stderr are a pipe each; otherwise stdin is empty, and both outputs
    share one.
    """
    process = await trio.lowlevel.open_process(
        argv,
        stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if piped else subprocess.STDOUT,
        cwd=cwd,
        env=environment,
        start_new_session=True,
    )
    stdout = cast("trio.abc.ReceiveStream", process.stdout)
    return GroupChild(process, process.stdin, stdout, process.stderr)


async def _end_group(leader: trio.Process) -> bool:
    """End all processes of the group that `leader` leads, and reap it; True when all are gone."""
    for number, patience in ((signal.SIGTERM, _TERM_GRACE), (signal.SIGKILL, _KILL_GRACE)):
        if leader.returncode is not None and not _has_members(leader.pid):
            return True
        _signal(leader.pid, number)
        with trio.move_on_after(patience):
            await leader.wait()
            await _members_gone(leader.pid)
            return True
    return False


def _signal(group: int, number: signal.Signals) -> None:
    # Gone this moment; or all of it belongs to another user, which the look afterwards will show.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def _members_gone(group: int) -> None:
    pause = _POLL_FIRST
    while _has_members(group, closely=pause >= _POLL_CLOSELY):
        await trio.sleep(pause)
        pause = min(2 * pause, _POLL_LAST)


def _has_members(group: int, *, closely: bool = False) -> bool:
    """Whether a group whose leader is reaped has members; `closely`: that are more than zombies.

    Orphans are reaped by init, and in a container there may be none that does: then zombies are
    all that is left, and only a look at each process, which takes milliseconds, can tell.
    """
    _reap_adopted(group)
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    states = list(_states(group)) if closely else []
    alive = not states or any(state not in "ZX" for state in states)
    if not alive:
        _reap_adopted(group)  # they have died since the look above
    return alive


def _reap_adopted(group: int) -> None:
    """Reap the group's orphans where this process is their init, as PID 1 of a container is."""
    try:
        while os.waitpid(-group, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def _states(group: int) -> Iterator[str]:
    """The state letters of a group's processes, from /proc; nothing where there is no /proc.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: pid (comm) state ppid pgrp …
    """
    try:
        pids = [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - fast
    except FileNotFoundError:
        return
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - fast
                state, _parent, pgrp, *_ = file.read().rpartition(b")")[2].split()
        except (OSError, ValueError):
            continue  # it ended while being looked at
        if int(pgrp) == group:
            yield state.decode()
