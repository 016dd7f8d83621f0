"""What becomes of a store whose storage fails: it says so, loses nothing it promised, recovers."""

import logging
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from store.faults import FailingCommits, SmallDisk, small_disk
from store.samples import ASKS, admit, agent, ended, run, session, started, step_ended
from wingman.errors import StoreError, StoreUnavailable
from wingman.store import AgentSaved, CeilingRaised, Chain, RunQueued, SessionSaved
from wingman.store.sqlite import SQLStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wingman.db"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


async def unavailable(store: SQLStore, match: str) -> StoreUnavailable:
    """The failure of one more write."""
    with pytest.raises(StoreUnavailable, match=match) as caught:
        await store.write(AgentSaved(agent("probe"))).wait()
    return caught.value


# --- a full disk ----------------------------------------------------------------------------------


async def test_a_full_disk_is_told_and_the_store_recovers_by_itself(
    disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "wingman.store")
    path = disk.path / "wingman.db"
    async with SQLStore(path, probe_every=0.02) as store:
        admit(store)
        await store.write(CeilingRaised("s1", 1)).wait()
        assert store.failure is None
        disk.fill()
        for _ in range(3):
            failure = await unavailable(store, rf"{path}: .*full\. Make room")
        assert failure.retry_after > 0
        assert "full" in str(store.failure)
        await trio.sleep(0.2)
        assert store.failure is not None  # the probe needs the disk
        assert await store.session("s1") == session(event_ceiling=1)
        disk.free()
        with trio.fail_after(5):
            await store.wait_until_well()
        assert store.failure is None
        await store.write(CeilingRaised("s1", 2)).wait()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_no_write_overtakes_a_failed_one_that_it_depends_on(disk: SmallDisk) -> None:
    async with SQLStore(disk.path / "wingman.db", probe_every=0.02) as store:
        admit(store)
        chain = Chain()
        await store.write(started(), chain=chain).wait()
        disk.fill()
        step = store.write(step_ended(), chain=chain)
        with pytest.raises(StoreUnavailable, match="full"):
            await step.wait()
        disk.free()
        await store.wait_until_well()
        end = store.write(ended(), chain=chain)
        with pytest.raises(StoreUnavailable, match="full"):
            await end.wait()
        assert isinstance(chain.failure, StoreUnavailable)
        record = await store.run("s1", "r1")
        assert record is not None
        assert record.status == "running"
        assert ASKS not in await store.run_messages("r1")
        await store.write(step_ended(), ended(), chain=Chain()).wait()
        assert len(await store.run_messages("r1")) == 4


async def test_what_is_queued_behind_a_failing_commit_fails_with_it_on_its_chain(
    path: Path,
) -> None:
    """The second batch is on its way before anybody knows of the first one's end."""
    store = SQLStore(path, probe_every=5)
    faults = FailingCommits(store, chosen={2})
    async with store:
        await store.write(SessionSaved(session())).wait()
        chain, other = Chain(), Chain()
        told: list[str] = []
        first = store.write(RunQueued(run("r1")), chain=chain)
        first.then(lambda failure: told.append("first" if failure else "safe"))
        while faults.commits < 2:
            await trio.lowlevel.checkpoint()
        second = store.write(RunQueued(run("r2")), chain=chain)
        third = store.write(RunQueued(run("r3")), chain=other)
        alone = store.write(RunQueued(run("r4")))
        await chain.settled()
        await other.settled()
        await alone.wait()
        await third.wait()
        for commit in (first, second):
            with pytest.raises(StoreUnavailable, match="full"):
                await commit.wait()
        assert told == ["first"]
        assert [each.id for each in await store.runs()] == ["r3", "r4"]
        assert other.failure is None
        assert store.failure is None  # a commit that succeeded says so, too


# --- other faults ---------------------------------------------------------------------------------

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[Callable[[], None]]:
    """Another process holds the lock, until it is told to let it go."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        yield other.stdin.close


async def test_a_lock_that_another_process_holds_is_told_and_waited_out(path: Path) -> None:
    async with SQLStore(path, busy_timeout=0.05, probe_every=0.02) as store:
        await store.write(SessionSaved(session())).wait()
        with held(path) as let_go:
            await unavailable(store, r"locked\. Another program")
            await trio.sleep(0.1)
            assert store.failure is not None
            assert await store.session("s1") == session()
            let_go()
            with trio.fail_after(5):
                await store.wait_until_well()
        await store.write(CeilingRaised("s1", 2)).wait()


async def test_a_write_that_the_system_refuses_is_told(path: Path) -> None:
    """A limit on the size of files: SQLite takes it for an I/O error."""
    async with SQLStore(path, probe_every=0.02) as store:
        await store.write(SessionSaved(session())).wait()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            await unavailable(store, r"I/O error\. Look at its disk")
            await trio.sleep(0.1)
            assert store.failure is not None
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        with trio.fail_after(5):
            await store.wait_until_well()
        await store.write(CeilingRaised("s1", 2)).wait()


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR]
)
async def test_every_fault_of_the_storage_is_told_as_one(path: Path, code: int) -> None:
    store = SQLStore(path, probe_every=0.01)
    faults = FailingCommits(store)
    async with store:
        await store.write(SessionSaved(session())).wait()
        faults.fail_all(code)
        calls = [store.write(CeilingRaised("s1", number)) for number in range(8)]
        for call in calls:
            with pytest.raises(StoreUnavailable, match=r"wingman\.db: "):
                await call.wait()
        faults.mend()
        with trio.fail_after(5):
            await store.wait_until_well()
    assert faults.commits == 2  # no halving: nobody of the eight was at fault


async def test_a_commit_that_is_said_to_have_failed_ends_its_chain_also_if_it_is_safe(
    path: Path,
) -> None:
    store = SQLStore(path, probe_every=0.01)
    FailingCommits(store, chosen={2}, code=sqlite3.SQLITE_IOERR, when="after")
    async with store:
        await store.write(SessionSaved(session())).wait()
        chain = Chain()
        with pytest.raises(StoreUnavailable, match="I/O"):
            await store.write(RunQueued(run("r1")), chain=chain).wait()
        with pytest.raises(StoreUnavailable, match="I/O"):
            await store.write(RunQueued(run("r2")), chain=chain).wait()
        assert [each.id for each in await store.runs()] == ["r1"]
        await store.wait_until_well()


async def test_what_is_a_calls_own_fault_is_no_fault_of_the_storage(path: Path) -> None:
    async with SQLStore(path) as store:
        admit(store)
        with pytest.raises(StoreError, match=r"wingman\.db: UNIQUE") as caught:
            await store.write(RunQueued(run())).wait()
        assert not isinstance(caught.value, StoreUnavailable)
        assert store.failure is None


def size_of(path: Path) -> int:
    return path.stat().st_size


def damage(path: Path, begin: int) -> None:
    """Make nonsense of all that stands after so many bytes."""
    size = size_of(path)
    assert size > begin
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * (size - begin))


async def test_a_damaged_file_is_told_to_those_who_read(path: Path) -> None:
    async with SQLStore(path):
        pass
    empty = size_of(path)
    async with SQLStore(path) as store:
        store.write(*(AgentSaved(agent(f"a{number}", "x" * 500)) for number in range(100)))
    damage(path, empty)  # the tables are there, and their rows are not
    async with SQLStore(path) as store:
        with pytest.raises(StoreUnavailable, match=r"malformed\. The file is damaged"):
            await store.agents()


# --- threads --------------------------------------------------------------------------------------


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_an_open_store_needs_no_more_threads(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        async with SQLStore(path) as store:
            patch.setattr(threading.Thread, "start", no_thread)
            await store.write(SessionSaved(session())).wait()
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(store.session_with_history, "s1")
    async with SQLStore(path) as store:
        assert await store.session("s1") == session()


@pytest.mark.parametrize("allowed", [0, 1, 3])
async def test_a_store_that_gets_no_threads_does_not_open_and_says_so(
    path: Path, allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    left = allowed

    def few(self: threading.Thread) -> None:
        nonlocal left
        if left == 0:
            no_thread(self)
        left -= 1
        start(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", few)
        with trio.fail_after(5):
            with pytest.raises(StoreUnavailable, match="can't start new thread"):
                async with SQLStore(path):
                    pass
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()


LIMITED = """
import os, resource, sys, traceback, trio
sys.path.insert(0, {tests!r})
from store.samples import session
from wingman.store import SessionSaved
from wingman.store.sqlite import SQLStore

async def main():
    async with SQLStore({path!r}) as store:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        try:
            await trio.to_thread.run_sync(int)
        except RuntimeError as error:
            print(error)
        await store.write(SessionSaved(session())).wait()
        print((await store.session("s1")).id)

if os.getuid() == 0:
    os.setuid(65534)
trio.run(main)
print("closed")
"""


def test_a_limit_of_processes_does_not_stop_an_open_store() -> None:
    # Not pytest's directory: it is its user's alone, and no limit holds root.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        path = str(Path(directory) / "w.db")
        code = LIMITED.format(path=path, tests=str(Path(__file__).parents[1]))
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
        )
    assert ran.stdout == "can't start new thread\ns1\nclosed\n", ran.stderr


async def test_a_store_that_nobody_closes_ends_with_the_trio_run(path: Path) -> None:
    def forget() -> None:
        async def main() -> None:
            store = SQLStore(path)
            await store.__aenter__()
            store.write(SessionSaved(session()))

        trio.run(main)

    await trio.to_thread.run_sync(forget)
    for thread in threading.enumerate():
        if thread.name.startswith("wingman-store"):
            thread.join(5)
            assert not thread.is_alive()
    async with SQLStore(path) as store:
        assert await store.session("s1") == session()


# --- files that go away ---------------------------------------------------------------------------


def is_there(path: Path) -> bool:
    return path.exists()


async def never_well(store: SQLStore) -> None:
    with trio.move_on_after(0.1) as waiting:
        await store.wait_until_well()
    assert waiting.cancelled_caught
    assert store.failure is not None


async def test_a_database_that_is_removed_while_it_is_open_takes_no_more_writes(
    path: Path,
) -> None:
    async with SQLStore(path, probe_every=0.01) as store:
        await store.write(SessionSaved(session())).wait()
        os.unlink(path)  # noqa: PTH108
        for _ in range(2):
            await unavailable(store, r"wingman\.db was removed or replaced .* is lost .* backup")
        await never_well(store)
    assert not is_there(path)


async def test_a_database_that_is_replaced_while_it_is_open_is_left_alone(path: Path) -> None:
    other = path.with_name("other.db")
    async with SQLStore(other) as store:
        await store.write(SessionSaved(session("theirs"))).wait()
    async with SQLStore(path, probe_every=0.01) as store:
        await store.write(SessionSaved(session("ours"))).wait()
        other.replace(path)
        await unavailable(store, r"wingman\.db was removed or replaced")
        await never_well(store)
    async with SQLStore(path) as store:
        assert [each.id for each in (await store.sessions(9)).sessions] == ["theirs"]


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_log_that_is_removed_while_it_is_open_costs_nothing_that_was_acknowledged(
    path: Path, replaced: bool
) -> None:
    log = path.with_name("wingman.db-wal")
    async with SQLStore(path, probe_every=0.01) as store:
        await store.write(SessionSaved(session("s1"))).wait()
        log.unlink()
        if replaced:
            log.write_bytes(b"")
        await unavailable(store, r"wal was removed or replaced .* acknowledged is safe")
        await never_well(store)
    async with SQLStore(path) as store:
        assert await store.session("s1") == session("s1")


async def test_what_goes_away_is_noticed_by_the_probe_as_well(path: Path) -> None:
    store = SQLStore(path, probe_every=0.01)
    faults = FailingCommits(store)
    async with store:
        await store.write(SessionSaved(session())).wait()
        faults.fail_all()
        await unavailable(store, "full")
        os.unlink(path)  # noqa: PTH108
        faults.mend()
        await never_well(store)
        await unavailable(store, "removed or replaced")


async def test_a_failure_that_is_told_to_many_is_not_passed_from_hand_to_hand(path: Path) -> None:
    store = SQLStore(path)
    faults = FailingCommits(store, chosen={1})
    async with store:
        call = store.write(SessionSaved(session()))
        texts = []
        for _ in range(3):
            with pytest.raises(StoreUnavailable) as caught:
                await call.wait()
            texts.append("".join(traceback.format_exception(caught.value)))
        assert len({len(text) for text in texts}) == 1
    assert faults.commits == 1


def test_the_disk_of_these_tests_fills(disk: SmallDisk) -> None:
    disk.fill()
    assert os.statvfs(disk.path).f_bavail == 0
