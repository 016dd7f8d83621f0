"""Who descends from this process, and signals to all of them.

Processes are looked up in /proc: https://man7.org/linux/man-pages/man5/proc_tid_children.5.html
"""

# ruff: noqa: PTH110, PTH123, PTH208
# (pathlib is slow here, and not imported)

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Collection, Iterator

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
LISTED = os.path.exists(f"/proc/self/task/{os.getpid()}/children")

libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own. A fork does not inherit this."""
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "This kernel knows no child subreapers")


def reap(ended: Callable[[int, int], None]) -> bool:
    """Take leave of the children that have ended; `ended` is told each one's pid and wait status.

    Whether there are others.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        ended(pid, status)


def listed_children(pid: int) -> list[int]:
    """The children of a process, of all its threads, as the kernel lists them."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ended while being looked at
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found += map(int, file.read().split())
    return found


def scanned_children() -> Callable[[int], list[int]]:
    """The same from a look at every process, for kernels without CONFIG_PROC_CHILDREN."""
    family: dict[int, list[int]] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            parent = int(file.read().rpartition(b")")[2].split()[1])
            family.setdefault(parent, []).append(int(name))
    return lambda pid: family.get(pid, [])


def descendants(spared: Collection[int] = ()) -> Iterator[int]:
    """All processes below this one, parents first, but the `spared` children and what is theirs."""
    children = listed_children if LISTED else scanned_children()
    waiting = [os.getpid()]
    for pid in waiting:
        found = [child for child in children(pid) if child not in spared]
        waiting += found
        yield from found


def signal_all(number: int, told: set[int], spared: Collection[int] = ()) -> None:
    """Signal the group of each descendant, once; `told` are the groups that have had it.

    Groups, since nothing can fork its way out of a signal to its group: the kernel sends it to all
    members in one step. All are found before the first is told: what loses its parent moves.
    A command is the leader of a session, so no group but this process's own holds a stranger.
    """
    own = os.getpgrp()
    for pid in list(descendants(spared)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            group = os.getpgid(pid)
            if group in (own, 0, 1):  # a keeper, or not yet a leader; 0 and 1 mean other things
                os.kill(pid, number)
            elif group not in told:
                told.add(group)
                os.killpg(group, number)


def named(pid: int) -> str:
    """A process, as people are told of it."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as file:
        return f"{pid} ({file.read().strip()})"
    return str(pid)


def wakeup() -> int:
    """A descriptor that is ready to be read when a child has ended."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def drain(reader: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(reader, 65_536)
