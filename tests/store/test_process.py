"""What other processes see of the store, and what is left of one that is killed."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from wingman.errors import StoreLocked
from wingman.store.sqlite import SQLStore

CHILD = """
import sys, trio
from pathlib import Path
sys.path.insert(0, {tests!r})
from store.samples import session, turn
from wingman.store import SessionSaved
from wingman.store.sqlite import SQLStore

async def write(store, writer):
    await store.write(SessionSaved(session(f"s{{writer}}"))).wait()
    number = 0
    while True:
        queued, started, ended = turn(f"r{{writer}}-{{number}}", f"s{{writer}}")
        await store.write(queued).wait()
        store.write(started)
        await store.write(ended).wait()
        print(ended.run_id, flush=True)
        number += 1

async def main():
    async with SQLStore({path!r}) as store:
        print("open", flush=True)
        async with trio.open_nursery() as nursery:
            for writer in range({writers}):
                nursery.start_soon(write, store, writer)
            await trio.sleep_forever()

trio.run(main)
"""


class Child:
    """A process that owns the database, and says on its output what was acknowledged."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._said = b""

    async def says(self, lines: int) -> list[str]:
        assert self.process.stdout is not None
        while self._said.count(b"\n") < lines:
            heard = await self.process.stdout.receive_some()
            assert heard, "the child ended"
            self._said += heard
        return self._said.decode().splitlines()[:lines]

    async def kill(self) -> list[str]:
        """Kill it, and return all it has ever said in whole lines."""
        assert self.process.stdout is not None
        os.kill(self.process.pid, signal.SIGKILL)
        async for heard in self.process.stdout:
            self._said += heard
        await self.process.wait()
        return self._said.decode().rpartition("\n")[0].splitlines()


@asynccontextmanager
async def child(path: Path, writers: int) -> AsyncIterator[Child]:
    tests = str(Path(__file__).parents[1])
    source = CHILD.format(path=str(path), writers=writers, tests=tests)
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", source], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        with trio.fail_after(20):
            yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
        with trio.move_on_after(5, shield=True):
            await process.wait()
            await process.stdout.aclose()


async def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "wingman.db"
    async with child(path, writers=0) as owner:
        await owner.says(1)
        with pytest.raises(StoreLocked, match=f"wingman.db .* process {owner.process.pid}"):
            async with SQLStore(path):
                pass
        await owner.kill()
        async with SQLStore(path) as store:
            assert (await store.sessions(1)).sessions == ()


async def test_a_process_that_is_killed_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "wingman.db"
    async with child(path, writers=20) as writer:
        await writer.says(200)
        _, *acknowledged = await writer.kill()
    assert len(acknowledged) >= 199
    async with SQLStore(path) as store:
        runs = {run.id: run for run in await store.runs()}
        assert {runs[id].status for id in acknowledged} == {"completed"}
        for run_id in acknowledged[-20:]:
            assert len(await store.run_messages(run_id)) == 2
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
