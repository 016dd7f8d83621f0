"""What the tests of the tools share: a working directory, and a way to see what still runs."""

import contextlib
import gc
import shutil
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import pytest
import trio

from wingman.processes import command, groups, kept
from wingman.tools import ToolContext


@attrs.frozen
class Heard:
    """What a tool said through its context."""

    progress: list[str] = attrs.field(factory=list)
    still_running: list[str] = attrs.field(factory=list)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def context(tmp_path: Path, heard: Heard) -> ToolContext:
    work_dir = tmp_path.resolve() / "work"
    work_dir.mkdir()
    return ToolContext(
        work_dir,
        progress=heard.progress.append,
        report_still_running=heard.still_running.append,
    )


@pytest.fixture
def survivors(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """The processes, started by this test through the tools, that still run (zombies do not)."""
    mark = f"survivor-of-{uuid.uuid4()}"
    monkeypatch.setenv("TEST_MARK", mark)

    def look() -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in environment:
                found.append(int(entry.name))
        return found

    return look


@pytest.fixture(
    params=[
        pytest.param(
            kept, marks=pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"), id="kept"
        ),
        pytest.param(groups, id="groups"),
    ]
)
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands under keepers, and commands in process groups."""
    monkeypatch.setattr(command, "_start", request.param.start)


@pytest.fixture(params=["ripgrep", "python"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A test of `grep` holds for both; without `rg` on the path, for Python's alone."""
    if request.param == "python":
        monkeypatch.setenv("PATH", "/nowhere")
    elif shutil.which("rg") is None:
        pytest.skip("there is no ripgrep here")
    return str(request.param)


@attrs.define
class LoopWatch:
    """The longest time, in seconds, that the loop did nothing but one thing.

    A stop in which this process had no processor is not the loop's: of each stop, no more is
    counted than the processor time that the process took meanwhile.
    """

    longest: float = 0.0

    async def look(self) -> None:
        before = time.perf_counter(), time.process_time()
        while True:
            await trio.sleep(0.001)
            now = time.perf_counter(), time.process_time()
            held = min(later - earlier for earlier, later in zip(before, now, strict=True))
            self.longest = max(self.longest, held)
            before = now


@pytest.fixture
def loop_watch() -> Callable[[], contextlib.AbstractAsyncContextManager[LoopWatch]]:
    """Watches the loop while a block runs: `async with loop_watch() as watch`."""

    @contextlib.asynccontextmanager
    async def watching() -> AsyncIterator[LoopWatch]:
        watch = LoopWatch()
        gc.collect()
        # Else a full collection of all that the tests have made is counted. It stays frozen, as all
        # that was made when the tests were collected.
        gc.freeze()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.look)
            yield watch
            nursery.cancel_scope.cancel()

    return watching
