"""What the simulation takes for granted of PostgreSQL, asked of a real one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import pytest
import trio

from postgres_kit import Cluster
from store.samples import session
from wingman.errors import SessionMoved
from wingman.store import SessionClaimed, SessionReleased, SessionSaved
from wingman.store.postgres import PostgresStore

LOCK: Final = 77, 1

IS_FREE: Final = b"""
SELECT NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 77)"""


@contextmanager
def connected(cluster: Cluster, database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection, which may be ended by others."""
    connection = psycopg.connect(cluster.url(database), autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


def until(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def database(cluster: Cluster, fresh_database: str) -> str:
    cluster.run(
        "CREATE TABLE numbers (n bigint, batch bigint NOT NULL);"
        "CREATE TABLE owned (id text PRIMARY KEY, node bigint);"
        "INSERT INTO owned VALUES ('a', NULL)",
        fresh_database,
    )
    return fresh_database


@pytest.mark.parametrize("moment", range(8))
def test_when_the_lock_is_free_a_commit_is_there_for_all_to_see_or_never_will_be(
    cluster: Cluster, database: str, moment: int
) -> None:
    """Backends are ended at many moments of a commit, by whoever then looks at once."""
    with (
        connected(cluster, database) as looker,
        connected(cluster, database) as late,
        connected(cluster, database) as holder,
    ):
        holder.execute("SELECT pg_advisory_lock(%s, %s)", LOCK)
        pid = holder.info.backend_pid
        done = 0

        def write() -> None:
            nonlocal done
            try:
                for n in range(10_000):
                    with holder.pipeline():
                        holder.execute("BEGIN")
                        holder.execute("INSERT INTO numbers VALUES (%s, 0)", (n,))
                        holder.execute("INSERT INTO numbers VALUES (%s, 1)", (n,))
                        holder.execute("COMMIT")
                    done = n + 1
            except psycopg.Error:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        until(lambda: done > 2)
        time.sleep(moment * 0.0007)
        looker.execute("SELECT pg_terminate_backend(%s)", (pid,))
        until(lambda: looker.execute(IS_FREE).fetchone() == (True,))
        seen = looker.execute("SELECT n, count(*) FROM numbers GROUP BY n ORDER BY n").fetchall()
        writer.join()
        until(
            lambda: (
                not late.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
            )
        )
        after = late.execute("SELECT n, count(*) FROM numbers GROUP BY n ORDER BY n").fetchall()
    assert seen == after, "something came after the lock was free"
    assert all(count == 2 for _, count in seen), "a commit was there in part"
    assert done <= len(seen) <= done + 1, "an answered commit is missing, or one too many is there"


CLAIM: Final = b"UPDATE owned SET node = %s WHERE id = 'a' AND (node IS NULL OR node = %s)"


def test_of_two_that_claim_at_once_the_second_looks_again_and_has_not_got_it(
    cluster: Cluster, database: str
) -> None:
    with connected(cluster, database) as one, connected(cluster, database) as other:
        one.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        assert one.execute(CLAIM, (1, 9)).rowcount == 1
        counts: list[int] = []

        def claim() -> None:
            counts.append(other.execute(CLAIM, (2, 9)).rowcount)

        claimer = threading.Thread(target=claim)
        claimer.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = "
        until(lambda: cluster.run(waits + str(other.info.backend_pid), database))
        one.execute("COMMIT")
        claimer.join()
        assert counts == [0]
        assert one.execute("SELECT node FROM owned").fetchone() == (1,)


def test_a_claim_that_waited_for_one_that_came_to_nothing_gets_it(
    cluster: Cluster, database: str
) -> None:
    with connected(cluster, database) as one, connected(cluster, database) as other:
        one.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        one.execute(CLAIM, (1, 9))
        counts: list[int] = []
        claimer = threading.Thread(
            target=lambda: counts.append(other.execute(CLAIM, (2, 9)).rowcount)
        )
        claimer.start()
        cluster.end_backends(f"pid = {one.info.backend_pid}")
        claimer.join()
        assert counts == [1]


def test_a_lock_that_was_taken_before_a_row_was_shown_is_seen_by_who_sees_the_row(
    cluster: Cluster, database: str
) -> None:
    """One statement that looks at rows, and then at locks, while nodes are born all the time."""
    stop = threading.Event()

    def be_born() -> None:
        for number in range(10**6):
            if stop.is_set():
                return
            with connected(cluster, database) as node:
                node.execute("SELECT pg_advisory_lock(77, %s)", (number,))
                node.execute("INSERT INTO numbers VALUES (%s, 0)", (number,))
                node.execute("DELETE FROM numbers WHERE n = %s", (number,))

    born = threading.Thread(target=be_born)
    born.start()
    try:
        with connected(cluster, database) as looker:
            for _ in range(300):
                assert not looker.execute(
                    "SELECT n FROM numbers WHERE NOT EXISTS (SELECT 1 FROM pg_locks WHERE"
                    " locktype = 'advisory' AND classid = 77 AND objid = numbers.n)"
                ).fetchall()
    finally:
        stop.set()
        born.join()


STOPPED: Final = """
import os, sys, psycopg
connection = psycopg.connect(sys.argv[1], autocommit=True)
connection.execute("SELECT pg_advisory_lock(77, 1)")
print(connection.info.backend_pid, flush=True)
sys.stdin.readline()
try:
    with connection.pipeline():
        connection.execute("BEGIN")
        connection.execute("INSERT INTO numbers VALUES (1, 1)")
        connection.execute("COMMIT")
except psycopg.Error:
    print("failed", flush=True)
else:
    print("committed", flush=True)
"""


@contextmanager
def a_holder(cluster: Cluster, database: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    command = [sys.executable, "-c", STOPPED, cluster.url(database)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_process_that_is_stopped_keeps_its_lock_until_its_backend_is_ended_and_writes_no_more(
    cluster: Cluster, database: str
) -> None:
    with a_holder(cluster, database) as process, connected(cluster, database) as looker:
        assert process.stdin is not None
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGSTOP)
        assert looker.execute(IS_FREE).fetchone() == (False,)
        looker.execute("SELECT pg_terminate_backend(%s)", (pid,))
        until(lambda: looker.execute(IS_FREE).fetchone() == (True,))
        process.stdin.write("\n")
        process.stdin.flush()
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.readline() == "failed\n"
        assert looker.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


def test_a_backend_does_what_had_been_sent_before_it_learns_that_its_client_is_gone(
    cluster: Cluster, database: str
) -> None:
    """So the lock of a process that was killed may be held yet, and is free only after that."""
    with connected(cluster, database) as looker, a_holder(cluster, database) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        looker.execute("BEGIN")
        looker.execute("LOCK TABLE numbers")
        process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        until(lambda: cluster.run(waits, database))
        process.kill()
        process.wait()
        assert looker.execute(IS_FREE).fetchone() == (False,)
        looker.execute("COMMIT")
        until(lambda: looker.execute(IS_FREE).fetchone() == (True,))
        assert looker.execute("SELECT n FROM numbers").fetchall() == [(1,)]


# --- the store's own statements -------------------------------------------------------------------


async def test_a_commit_of_which_one_session_is_anothers_is_refused_as_a_whole(
    cluster: Cluster, clean_database: str
) -> None:
    url = cluster.url(clean_database)
    async with PostgresStore(url) as one, PostgresStore(url) as other:
        await one.write(SessionSaved(session("mine"))).wait()
        await other.write(SessionSaved(session("other's"))).wait()
        both = (
            SessionSaved(session("mine", title="changed")),
            SessionSaved(session("other's", title="changed")),
        )
        with pytest.raises(SessionMoved):
            await one.write(*both).wait()
        for id in "mine", "other's":
            stored = await other.session(id)
            assert stored is not None
            assert stored.title is None


async def test_of_many_nodes_that_claim_a_session_at_once_one_gets_it(
    cluster: Cluster, clean_database: str
) -> None:
    url = cluster.url(clean_database)
    async with PostgresStore(url) as one, PostgresStore(url) as two, PostgresStore(url) as three:
        nodes = (one, two, three)
        ids = [f"s{n}" for n in range(20)]
        for id in ids:
            await one.write(SessionSaved(session(id))).wait()
            await one.write(SessionReleased(id)).wait()
        owned: dict[str, list[int]] = {id: [] for id in ids}

        async def claim(node: PostgresStore) -> None:
            claims = [node.write(SessionClaimed(id)) for id in ids]
            for each in claims:
                await each.wait()
            for id in await node.nodes.owned(ids):
                owned[id].append(node.nodes.number)

        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(claim, node)
        assert [len(numbers) for numbers in owned.values()] == [1] * len(ids)
