"""What the store does with its file."""

import logging
import os
import sqlite3
import stat
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from store.samples import admit, agent, run, session, started, turn
from wingman.api import Credential
from wingman.errors import StoreError, StoreLocked, StoreTooNew
from wingman.store import (
    AgentSaved,
    CeilingRaised,
    Change,
    CredentialSaved,
    RunQueued,
    SessionErased,
    SessionSaved,
)
from wingman.store.sql import store as sql
from wingman.store.sql import versions
from wingman.store.sqlite import SQLStore
from wingman.store.sqlite.database import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "wingman.db"


def writing(store: SQLStore) -> sqlite3.Connection:
    """The connection that writes, to make trouble with."""
    return store._database.writing


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


# --- the file -------------------------------------------------------------------------------------


async def test_what_was_written_is_there_when_it_is_opened_again(path: Path) -> None:
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session()), *turn("r1", "s1")).wait()
        before = await store.session_with_history("s1")
    async with SQLStore(path) as store:
        assert await store.session_with_history("s1") == before
        assert len(before[1]) == 2  # type: ignore[index]


async def test_leaving_the_store_commits_what_nobody_awaited(path: Path) -> None:
    async with SQLStore(path) as store:
        store.write(SessionSaved(session()))
    assert query(path, "SELECT id FROM sessions") == [("s1",)]


async def test_leaving_it_folds_the_log_into_the_file(path: Path) -> None:
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()
        assert path.with_name("wingman.db-wal").exists()
    assert {each.name for each in path.parent.iterdir()} == {"wingman.db"}


async def test_the_file_and_its_directory_are_its_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        async with SQLStore(path) as store:
            await store.write(CredentialSaved("openai", Credential(key="sk"))).wait()
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("wingman.db", "wingman.db-wal", "wingman.db-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_person_can_read_it(path: Path) -> None:
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session()), RunQueued(run()), started()).wait()
    assert query(path, "SELECT id, message, status, started_at FROM runs") == [
        ("r1", "Hello", "running", "2025-05-17T12:00:01.500000+00:00")
    ]
    assert query(path, "SELECT message ->> '$.content[0].text' FROM history") == [("Hello",)]


async def test_a_commit_is_flushed_to_the_disk_unless_one_says_otherwise(path: Path) -> None:
    async with SQLStore(path) as store:
        assert writing(store).execute("PRAGMA synchronous").fetchone() == (2,)
        assert writing(store).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    async with SQLStore(path, synchronous="normal") as store:
        assert writing(store).execute("PRAGMA synchronous").fetchone() == (1,)
    with pytest.raises(ValueError, match="synchronous"):
        SQLStore(path, synchronous="off")  # type: ignore[arg-type]


async def test_a_directory_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="Cannot make the directory"):
        async with SQLStore(tmp_path / "file" / "wingman.db"):
            pass


# --- whose it is ----------------------------------------------------------------------------------


async def test_a_database_that_another_sqlite_program_made_is_refused_untouched(
    tmp_path: Path,
) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"not one of Wingman's"):
        async with SQLStore(path):
            pass
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Not a database at all. " * 100)
    with pytest.raises(StoreError, match="not a database"):
        async with SQLStore(path):
            pass
    assert path.read_text() == "Not a database at all. " * 100


async def test_a_file_of_a_later_version_is_refused(path: Path) -> None:
    async with SQLStore(path):
        pass
    query(path, f"PRAGMA user_version = {len(versions.STEPS) + 1}")
    with pytest.raises(StoreTooNew, match="later Wingman"):
        async with SQLStore(path):
            pass


async def test_a_file_that_was_refused_is_locked_no_longer(path: Path) -> None:
    async with SQLStore(path):
        pass
    query(path, "PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(StoreTooNew):
            async with SQLStore(path):
                pass


async def test_a_second_open_in_the_same_process_is_refused(path: Path) -> None:
    async with SQLStore(path) as first:
        (path.parent / "link.db").symlink_to(path)
        for name in (path, path.parent / "link.db"):
            with pytest.raises(StoreLocked, match=f"wingman.db.* process {os.getpid()}"):
                async with SQLStore(name):
                    pass
        await first.write(SessionSaved(session())).wait()


# --- versions -------------------------------------------------------------------------------------


async def test_an_older_file_takes_the_steps_it_lacks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()

    def add_colour(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE sessions ADD COLUMN colour TEXT DEFAULT 'blue'")

    monkeypatch.setattr(versions, "STEPS", (*versions.STEPS, add_colour))
    async with SQLStore(path) as store:
        assert await store.session("s1") == session()
    assert query(path, "SELECT colour FROM sessions") == [("blue",)]
    assert query(path, "PRAGMA user_version") == [(len(versions.STEPS),)]


async def test_a_step_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()

    def rename(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE sessions RENAME TO gone")

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE nothing RENAME TO something")

    with monkeypatch.context() as patch:
        patch.setattr(versions, "STEPS", (*versions.STEPS, rename, fail))
        with pytest.raises(StoreError, match="nothing"):
            async with SQLStore(path):
                pass
    async with SQLStore(path) as store:
        assert await store.session("s1") == session()


# --- group commit ---------------------------------------------------------------------------------


async def test_fifty_writers_share_their_commits(path: Path) -> None:
    traced: list[str] = []

    async def turns(number: int) -> None:
        await store.write(SessionSaved(session(f"s{number}"))).wait()
        queued, start, end = turn(f"r{number}", f"s{number}")
        await store.write(queued).wait()
        store.write(start)
        await store.write(end).wait()

    async with SQLStore(path) as store:
        writing(store).set_trace_callback(traced.append)
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(turns, number)
        writing(store).set_trace_callback(None)
        assert len(await store.runs(statuses=["completed"])) == 50
    assert traced.count("COMMIT") == 3
    # Statements are shared too: 50 rows are 32 and 16 and 2.
    assert sum("INSERT INTO runs" in statement for statement in traced) == 3


async def test_a_change_that_fails_fails_alone(path: Path) -> None:
    async with SQLStore(path) as store:
        admit(store)
        calls = [store.write(RunQueued(run(f"r{number % 40}"))) for number in range(2, 50)]
        failed = []
        for number, call in enumerate(calls, start=2):
            try:
                await call.wait()
            except StoreError:
                failed.append(number)
        assert failed == [41, *range(42, 50)]
        assert len(await store.runs("s1")) == 40


async def test_a_change_that_is_too_big_for_the_disk_fails_alone(path: Path) -> None:
    async with SQLStore(path) as store:
        admit(store)
        await store.write(CeilingRaised("s1", 1)).wait()
        pages = writing(store).execute("PRAGMA page_count").fetchone()[0]
        writing(store).execute(f"PRAGMA max_page_count = {pages + 10}")
        small = store.write(RunQueued(run("r2")))
        big = store.write(CeilingRaised("s1", 2), RunQueued(run("r3", message="x" * 1_000_000)))
        other = store.write(RunQueued(run("r4")))
        await small.wait()
        with pytest.raises(StoreError, match="full"):
            await big.wait()
        await other.wait()
        assert [each.id for each in await store.runs()] == ["r1", "r2", "r4"]
        assert (await store.session("s1")).event_ceiling == 1  # type: ignore[union-attr]
        writing(store).execute("PRAGMA max_page_count = 1000000")
        await store.write(RunQueued(run("r3", message="x" * 1_000_000))).wait()


async def test_a_disk_that_fails_everybody_is_asked_again_next_time(path: Path) -> None:
    async with SQLStore(path) as store:
        admit(store)
        await store.write(CeilingRaised("s1", 1)).wait()
        writing(store).execute("PRAGMA query_only = ON")
        for call in [store.write(CeilingRaised("s1", number)) for number in range(2, 9)]:
            with pytest.raises(StoreError, match="readonly"):
                await call.wait()
        writing(store).execute("PRAGMA query_only = OFF")
        assert (await store.session("s1")).event_ceiling == 1  # type: ignore[union-attr]
        await store.write(CeilingRaised("s1", 10)).wait()


async def test_a_value_that_cannot_be_encoded_fails_alone(path: Path) -> None:
    async with SQLStore(path) as store:
        odd = store.write(SessionSaved(session("s1", title="\ud800")))
        await store.write(SessionSaved(session("s2"))).wait()
        with pytest.raises(StoreError):
            await odd.wait()
        assert await store.session("s1") is None


async def test_the_order_of_writes_holds_within_a_batch(path: Path) -> None:
    """The same run id in turn in two sessions: a kind at a time, it could not be done."""
    async with SQLStore(path) as store:
        store.write(SessionSaved(session("s1")), SessionSaved(session("s2")))
        await store.write(RunQueued(run("r1", "s1"))).wait()
        await store.write(
            SessionErased("s1"), RunQueued(run("r1", "s2")), started("r1", "s2")
        ).wait()
        assert [each.session_id for each in await store.runs()] == ["s2"]
        assert len(await store.run_messages("r1")) == 1


async def test_histories_keep_the_order_of_runs_that_share_a_batch(path: Path) -> None:
    async with SQLStore(path) as store:
        store.write(SessionSaved(session()))
        for number in range(20):
            store.write(*turn(f"r{number}", "s1"))
        await store.write(CeilingRaised("s1", 5)).wait()
        history = (await store.session_with_history("s1"))[1]  # type: ignore[index]
        assert [message.role for message in history] == ["user", "assistant"] * 20


# --- cancellation and closing ---------------------------------------------------------------------


async def test_a_write_whose_waiter_is_cancelled_is_kept(path: Path) -> None:
    async with SQLStore(path) as store:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.write(SessionSaved(session())).wait()
        assert scope.cancelled_caught
        await store.write(CeilingRaised("s1", 5)).wait()
        assert await store.session("s1") == session(event_ceiling=5)


async def test_it_commits_while_all_around_it_is_cancelled(path: Path) -> None:
    with trio.CancelScope() as scope:
        async with SQLStore(path) as store:
            scope.cancel()
            with trio.move_on_after(5, shield=True):
                await store.write(SessionSaved(session())).wait()
                safe = query(path, "SELECT id FROM sessions")
            store.write(CeilingRaised("s1", 7))
    assert safe == [("s1",)]
    assert query(path, "SELECT event_ceiling FROM sessions") == [(7,)]


async def test_an_exception_leaves_the_store_as_it_was_raised(path: Path) -> None:
    async def fail() -> None:
        async with SQLStore(path) as store:
            store.write(SessionSaved(session()))
            raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        await fail()
    assert query(path, "SELECT id FROM sessions") == [("s1",)]


async def test_a_closed_store_takes_no_writes_and_answers_no_reads(path: Path) -> None:
    async with SQLStore(path) as store:
        pass
    with pytest.raises(StoreError, match="not open"):
        store.write(SessionSaved(session()))
    with pytest.raises(StoreError, match="not open"):
        await store.session("s1")


async def test_it_can_be_entered_again(path: Path) -> None:
    store = SQLStore(path)
    async with store:
        await store.write(SessionSaved(session())).wait()
    async with store:
        await store.write(CeilingRaised("s1", 5)).wait()
        assert await store.session("s1") == session(event_ceiling=5)


async def test_a_disk_that_hangs_holds_up_the_end_for_so_long_and_stays_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    done = threading.Event()
    commit = Database.commit

    close = Database.close

    def hang(self: Database, calls: Sequence[tuple[Change, ...]]) -> None:
        free.wait(5)
        commit(self, calls)

    def close_and_say(self: Database) -> None:
        close(self)
        done.set()

    monkeypatch.setattr(Database, "commit", hang)
    monkeypatch.setattr(Database, "close", close_and_say)
    monkeypatch.setattr(sql, "CLOSE_TIMEOUT", 0.1)
    with pytest.raises(StoreError, match=r"could not be closed within 0\.1 s"):
        async with SQLStore(path) as store:
            call = store.write(SessionSaved(session()))
    with pytest.raises(StoreError, match="closed before"):
        await call.wait()
    with pytest.raises(StoreLocked):
        async with SQLStore(path):
            pass
    free.set()
    assert done.wait(5)
    async with SQLStore(path):
        pass


# --- reading --------------------------------------------------------------------------------------


async def test_a_read_does_not_wait_for_a_write(path: Path) -> None:
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        held_up = store.write(CeilingRaised("s1", 5))
        with trio.fail_after(2):
            assert await store.session("s1") == session()
        other.execute("ROLLBACK")
        other.close()
        await held_up.wait()


async def test_more_reads_than_connections_take_their_turns(path: Path) -> None:
    async with SQLStore(path) as store:
        await store.write(SessionSaved(session())).wait()
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(store.session_with_history, "s1")


# --- secrets --------------------------------------------------------------------------------------

SECRET = "sk-very-secret"


def told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


async def test_no_secret_is_in_the_error_of_a_write(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = CredentialSaved("openai", Credential(key=SECRET))
    odd = CredentialSaved("openai", Credential(key=SECRET + "\ud800"))
    async with SQLStore(path) as store:
        admit(store)
        for changes in ((secret, RunQueued(run())), (secret, odd)):
            with pytest.raises(StoreError) as caught:
                await store.write(*changes).wait()
            assert SECRET not in told(caught.value)
        assert await store.credentials() == {}
    assert "writes failed" in caplog.text
    assert SECRET not in caplog.text


async def test_no_parameter_is_in_the_error_of_a_read(path: Path) -> None:
    async with SQLStore(path) as store:
        writing(store).execute("DROP TABLE runs")
        with pytest.raises(StoreError, match="no such table") as caught:
            await store.run_by_request("s1", SECRET)
    assert SECRET not in told(caught.value)


async def test_a_row_that_is_damaged_is_a_store_error(path: Path) -> None:
    async with SQLStore(path) as store:
        await store.write(AgentSaved(agent())).wait()
        writing(store).execute("UPDATE agents SET tools = 'nonsense'")
        with pytest.raises(StoreError, match=r"wingman\.db"):
            await store.agents()
