"""When the machine has no thread, process or descriptor left, the call fails in words, and the
next one works."""

import errno
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio._core._thread_cache import THREAD_CACHE

from tools.commands import new_spawner, sh
from wingman.errors import ToolError
from wingman.processes import command, groups, kept
from wingman.tools import ToolContext, bash, glob, grep, read, tool, webfetch
from wingman.tools import write as write_file

linux = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")


@contextmanager
def no_threads() -> Iterator[None]:
    """No thread can be started, and none waits for work."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        patch.setattr(THREAD_CACHE, "_idle_workers", {})
        yield


def descriptors() -> set[int]:
    """Those that are open, but for the one through which they are listed."""
    listed = list(Path("/proc/self/fd").iterdir())
    return {int(path.name) for path in listed if os.path.lexists(path)}


@contextmanager
def few_descriptors(left: int) -> Iterator[None]:
    """No more than `left` descriptors can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = descriptors()
    free = (number for number in range(soft) if number not in used)
    for _ in range(left):
        next(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(free), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@tool
def add_one(number: int) -> int:
    return number + 1


# --- threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("each", "input"),
    [
        (add_one, {"number": 1}),
        (read, {"path": "file"}),
        (glob, {"pattern": "*"}),
        (grep, {"pattern": "x"}),
        (webfetch, {"url": "http://localhost:1/"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_without_a_thread_a_tool_fails_in_words_and_the_next_call_works(
    each: Any, input: dict[str, Any], context: ToolContext, heard: Any
) -> None:
    (context.work_dir / "file").write_text("text")
    with trio.fail_after(10):
        for _ in range(60):  # more often than there is room for threads: none of it is lost
            with no_threads(), pytest.raises(ToolError, match=r"no thread left.*try again"):
                await each.call(input, context)
        assert await add_one.call({"number": 1}, context) == "2"
        assert "text" in await read.call({"path": "file"}, context)
    assert heard.still_running == []


async def test_without_a_thread_a_name_has_no_address_for_want_of_it(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lookup(*args: object, **kwargs: object) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(trio.socket, "getaddrinfo", no_lookup)
    with pytest.raises(ToolError, match=r"no thread left.*try again"):
        await webfetch.call({"url": "http://example.invalid/"}, context)


async def test_a_runtime_error_of_the_function_itself_is_its_own(context: ToolContext) -> None:
    @tool
    def fail() -> None:
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError, match=r"^can't start new thread$"):
        await fail.call({}, context)


async def test_without_a_thread_a_command_in_a_group_fails_in_words(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_start", groups.start)
    before = descriptors()
    with no_threads(), pytest.raises(ToolError, match=r"no thread left.*try again"):
        await bash.call({"command": "true"}, context)
    assert descriptors() == before
    assert await bash.call({"command": "echo well"}, context) == "well\n"


# --- descriptors ---------------------------------------------------------------------------------


@linux
async def test_without_descriptors_a_command_fails_in_words_at_every_step_and_leaks_none(
    each_way: None, context: ToolContext, survivors: Callable[[], list[int]], heard: Any
) -> None:
    await sh(context, "true")
    before = descriptors()
    failures: list[str] = []
    completed = None
    for left in range(12):
        completed = None
        with trio.fail_after(10), few_descriptors(left):
            try:
                completed = await sh(context, "echo well")
            except ToolError as error:
                failures.append(str(error))
        assert descriptors() == before, f"with {left} left"
        if completed is not None:
            assert (completed.output, completed.exit_code) == ("well\n", 0)
    assert len(failures) >= 4
    assert all(f"[Errno {errno.EMFILE}]" in failure for failure in failures)
    assert all("try again" in failure for failure in failures)
    assert completed is not None
    assert (await sh(context, "echo well")).output == "well\n"
    assert survivors() == []
    assert heard.still_running == []


@linux
async def test_without_descriptors_no_spawner_is_born_and_the_next_call_has_one(
    context: ToolContext,
) -> None:
    new_spawner()
    before = descriptors()
    for left in range(6):
        with trio.fail_after(10), few_descriptors(left), pytest.raises(ToolError, match="again"):
            await sh(context, "true")
        assert descriptors() == before, f"with {left} left"
    assert (await sh(context, "echo well")).output == "well\n"


@linux
async def test_without_descriptors_files_are_not_read_or_written_and_the_tool_says_so(
    context: ToolContext,
) -> None:
    (context.work_dir / "file").write_text("text")
    await read.call({"path": "file"}, context)
    before = descriptors()
    with few_descriptors(0):
        with pytest.raises(ToolError, match="Too many open files"):
            await read.call({"path": "file"}, context)
        with pytest.raises(ToolError, match="Too many open files"):
            await write_file.call({"path": "file", "content": "other"}, context)
    assert descriptors() == before
    assert (context.work_dir / "file").read_text() == "text"
    assert [path.name for path in context.work_dir.iterdir()] == ["file"]


@linux
async def test_without_descriptors_a_page_is_not_fetched_and_the_tool_says_so(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINGMAN_WEBFETCH_PRIVATE", "1")
    with pytest.raises(ToolError, match="could not be fetched"):  # what is read once has been
        await webfetch.call({"url": "http://127.0.0.1:1/"}, context)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        before = descriptors()
        with few_descriptors(0), pytest.raises(ToolError, match="Too many open files"):
            await webfetch.call({"url": url}, context)
        assert descriptors() == before


# --- processes -----------------------------------------------------------------------------------


@linux
async def test_a_spawner_that_cannot_be_forked_fails_the_call_in_words(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    new_spawner()
    before = descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_spawn", refuse)
        with trio.fail_after(10), pytest.raises(ToolError, match=r"temporarily.*try again"):
            await sh(context, "true")
    assert descriptors() == before
    assert (await sh(context, "echo well")).output == "well\n"


@linux
async def test_a_keeper_or_a_command_that_cannot_be_forked_fails_the_call_in_words(
    context: ToolContext, tmp_path: Path
) -> None:
    if os.getuid() == 0:
        pytest.skip("a limit of processes does not hold for root")
    await sh(context, "true")
    limit = resource.prlimit(kept._spawner._pid, resource.RLIMIT_NPROC)
    resource.prlimit(kept._spawner._pid, resource.RLIMIT_NPROC, (0, limit[1]))
    try:
        with trio.fail_after(10), pytest.raises(ToolError, match=r"temporarily.*try again"):
            await sh(context, "true")
    finally:
        resource.prlimit(kept._spawner._pid, resource.RLIMIT_NPROC, limit)
    assert (await sh(context, "echo well")).output == "well\n"
