"""What is left of a process group: for the demo, which does not take the server's word for it."""

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["members"]


def members(group: int) -> list[str]:
    """The living processes of a group, each as "pid name"; zombies do not live.

    Where there is no /proc, the group itself, if it has any process.
    """
    if Path("/proc/self/stat").exists():
        return list(_from_proc(group))
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    return [f"group {group}"]


def _from_proc(group: int) -> Iterator[str]:
    """https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: pid (comm) state ppid pgrp …"""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            stat = (directory / "stat").read_text(errors="replace")
        except OSError:
            continue  # it ended while being looked at
        head, _, tail = stat.rpartition(")")
        state, _parent, pgrp, *_ = tail.split()
        if int(pgrp) == group and state not in "ZX":
            yield f"{directory.name} {head.partition('(')[2]}"
