"""Commands in process groups, where they can have no keeper: what holds of this way alone."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.commands import cancel_at_first_output, sh
from wingman.processes import command, groups
from wingman.tools import ToolContext

PR_SET_CHILD_SUBREAPER = 36

Look = Callable[[], list[int]]


@pytest.fixture(autouse=True)
def in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_start", groups.start)


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Orphans come to this process, as they come to PID 1 of a container."""
    libc = ctypes.CDLL(None)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        pytest.skip("no child subreaper here")
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def zombie_children() -> list[int]:
    """This process's children that nobody has reaped."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *_ = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if state == "Z" and int(parent) == os.getpid():
            found.append(int(entry.parent.name))
    return found


@pytest.mark.usefixtures("subreaper")
async def test_as_init_of_a_container_it_reaps_the_orphans(
    context: ToolContext, heard: Any, survivors: Look
) -> None:
    await cancel_at_first_output(context, "sleep 60 & sleep 60 & echo ready; wait")
    assert survivors() == []
    assert zombie_children() == []
    assert heard.still_running == []


@pytest.mark.usefixtures("subreaper")
async def test_zombies_that_nobody_reaps_do_not_count_as_running(
    context: ToolContext, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_reap_adopted", lambda group: None)
    took = await cancel_at_first_output(context, "sleep 60 & sleep 60 & echo ready; wait")
    assert heard.still_running == []
    assert took < 0.4
    monkeypatch.undo()
    assert zombie_children() != []
    groups._reap_adopted(os.getpgid(zombie_children()[0]))
    assert zombie_children() == []


async def test_a_group_that_cannot_be_ended_is_reported(
    context: ToolContext, heard: Any, survivors: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_signal", lambda group, number: None)
    monkeypatch.setattr(groups, "_TERM_GRACE", 0.05)
    monkeypatch.setattr(groups, "_KILL_GRACE", 0.05)
    await sh(context, "sleep 60 > /dev/null & exit 0")
    (pid,) = survivors()
    os.kill(pid, signal.SIGKILL)
    (what,) = heard.still_running
    assert what.startswith("the process group ")


async def test_what_left_the_group_with_stdout_in_hand_does_not_hold_the_call(
    context: ToolContext, survivors: Look
) -> None:
    began = time.perf_counter()
    completed = await sh(context, "setsid sleep 60 & sleep 0.1; echo done")
    for pid in survivors():  # the seam: only a keeper could hold it
        os.kill(pid, signal.SIGKILL)
    assert completed.output == "done\n"
    assert time.perf_counter() - began < 3
