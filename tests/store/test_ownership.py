"""A database has one owner, and a file that is not ours is not touched."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio

from store.samples import session
from wingman.errors import StoreError, StoreLocked
from wingman.store import SessionSaved
from wingman.store.sqlite import SQLStore
from wingman.store.sqlite.ownership import Owner


def notes(path: Path) -> None:
    path.write_text("Not a database at all. " * 100)


def short(path: Path) -> None:
    path.write_text("4242")


def recipes(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


def recipes_in_use(path: Path) -> None:
    """All of it is in the log, since whoever wrote it was killed."""
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('CREATE TABLE recipes (name TEXT)');"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.with_name(path.name + "-wal").stat().st_size > 0


def somebodys(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 77")


def state(directory: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """All that can be seen of the files here."""
    return {
        path.name: (found.st_mtime_ns, found.st_mode, found.st_ino, path.read_bytes())
        for path in directory.iterdir()
        for found in (path.stat(),)
    }


@pytest.mark.parametrize("make", [notes, short, recipes, recipes_in_use, somebodys])
async def test_a_file_that_is_not_ours_is_refused_without_a_trace(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "theirs"
    make(path)
    before = state(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"not a database|not one of Wingman's") as caught:
            async with SQLStore(path):
                pass
        assert str(path) in str(caught.value)
    assert state(tmp_path) == before


async def test_a_big_database_of_somebody_else_is_not_read_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copyfile", None)  # it would be called, and fail
    recipes(tmp_path / "big.db")
    with pytest.raises(StoreError, match=r"not one of Wingman's"):
        async with SQLStore(tmp_path / "big.db"):
            pass


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.write_bytes(b"")
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()


async def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Is a directory"):
        async with SQLStore(tmp_path):
            pass


def remove_what_is_not_sqlites(directory: Path) -> None:
    for path in directory.iterdir():  # without opening any: this process would lose its locks
        if path.name not in {"w.db", "w.db-wal", "w.db-shm"}:
            path.unlink()


LEAVE_THE_LOG = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("PRAGMA journal_mode = DELETE").fetchall()
except sqlite3.OperationalError as error:
    print(error)
"""


async def test_whatever_is_deleted_beside_the_database_lets_nobody_else_in(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    code = (
        "import sys, trio\n"
        "from wingman.store.sqlite import SQLStore\n"
        "async def main():\n"
        "    async with SQLStore(sys.argv[1]): pass\n"
        "trio.run(main)"
    )
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()
        remove_what_is_not_sqlites(tmp_path)
        with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
            async with SQLStore(path):
                pass
        refused = subprocess.run(  # noqa: ASYNC221
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
        assert f"StoreLocked: {path} is in use by process {os.getpid()}" in refused.stderr
        # The open that was refused in this process has not taken SQLite's own locks away, either.
        other = subprocess.run(  # noqa: ASYNC221
            [sys.executable, "-c", LEAVE_THE_LOG, str(path)], capture_output=True, text=True
        )
        assert other.stdout == "database is locked\n"


async def test_an_earlier_version_that_holds_its_lock_file_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    lock = tmp_path / "w.db.lock"
    with lock.open("w") as file:
        file.write("4242\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StoreLocked, match="process 4242"):
            async with SQLStore(path):
                pass
    async with SQLStore(path):
        assert not lock.exists()


@pytest.mark.parametrize("beside", [False, True])
def test_an_owner_lets_the_next_one_in_when_it_leaves(beside: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    first, second = Owner(path, beside=beside), Owner(path, beside=beside)
    first.take()
    for _ in range(2):
        with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
            second.take()
        second.release()
    first.release()
    second.take()
    second.release()
    assert (tmp_path / "w.db.lock").exists() == beside


HOLD_BESIDE = """
import sys
from pathlib import Path
from wingman.store.sqlite.ownership import Owner
Owner(Path(sys.argv[1]), beside=sys.argv[2] == "True").take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("beside", [False, True])
def test_the_owner_in_another_process_is_named_until_it_is_gone(
    beside: bool, tmp_path: Path
) -> None:
    path = tmp_path / "w.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_BESIDE, str(path), str(beside)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        for _ in range(2):
            with pytest.raises(StoreLocked, match=f"process {other.pid}"):
                Owner(path, beside=beside).take()
        other.kill()
    owner = Owner(path, beside=beside)
    owner.take()
    owner.release()


async def test_an_opening_that_is_cancelled_leaves_the_database_to_others(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    for _ in range(3):
        with trio.move_on_after(0) as scope:
            async with SQLStore(path):
                raise AssertionError("it was cancelled")
        assert scope.cancelled_caught
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()
