"""What becomes of the store in PostgreSQL when the server, or the way to it, fails."""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import trio

from postgres_kit import Cluster, Proxy, a_cluster
from store.faults import small_disk
from store.samples import admit, ended, run, session, started, step_ended
from wingman.errors import SessionMoved, StoreError, StoreUnavailable
from wingman.store import CeilingRaised, Chain, Commit, RunQueued, SessionClaimed, SessionSaved
from wingman.store.postgres import PostgresStore


@pytest.fixture(scope="module")
def breakable(cluster: Cluster) -> Iterator[Cluster]:
    """A server of these tests alone, which they stop and kill."""
    with a_cluster() as breakable:
        yield breakable


@pytest.fixture
async def proxy(cluster: Cluster) -> AsyncIterator[Proxy]:
    async with Proxy(cluster) as proxy:
        yield proxy


async def until_ill(store: PostgresStore) -> None:
    with trio.fail_after(20):
        while store.failure is None:  # noqa: ASYNC110  (the store has no event for it)
            await trio.sleep(0.01)


async def is_made(call: Commit) -> bool:
    try:
        await call.wait()
    except StoreUnavailable:
        return False
    return True


async def is_well(store: PostgresStore) -> None:
    with trio.fail_after(20):
        await store.wait_until_well()


# --- a connection that is lost during a commit ----------------------------------------------------


async def test_a_commit_whose_answer_is_lost_is_found_to_be_made(
    proxy: Proxy, clean_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with PostgresStore(proxy.url(clean_database), probe_every=0.02) as store:
        await store.write(SessionSaved(session())).wait()
        proxy.lose = "answers"
        await store.write(RunQueued(run())).wait()
        assert proxy.lose is None  # it was lost
        assert [each.id for each in await store.runs()] == ["r1"]
        await store.write(started()).wait()
        assert store.failure is None
    assert caplog.records == []


async def test_a_commit_that_never_arrived_is_made_on_the_next_connection(
    proxy: Proxy, clean_database: str
) -> None:
    async with PostgresStore(proxy.url(clean_database), probe_every=0.02) as store:
        await store.write(SessionSaved(session())).wait()
        proxy.lose = "requests"
        await store.write(RunQueued(run())).wait()
        assert proxy.lose is None
        assert [each.id for each in await store.runs()] == ["r1"]
        assert store.failure is None


@pytest.mark.parametrize("lost", ["requests", "answers"])
async def test_nobody_is_told_of_a_commit_until_it_is_known_what_became_of_it(
    proxy: Proxy, clean_database: str, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "wingman.store")
    async with PostgresStore(proxy.url(clean_database), probe_every=0.02) as store:
        admit(store)
        chain, told = Chain(), []
        await store.write(started(), chain=chain).wait()
        proxy.lose, proxy.shut = lost, True  # type: ignore[assignment]
        step = store.write(step_ended(), chain=chain)
        step.then(told.append)
        await until_ill(store)
        # Whoever comes now is told at once, and so is what builds on the commit in doubt.
        for late in (store.write(CeilingRaised("s1", 7)), store.write(ended(), chain=chain)):
            with pytest.raises(StoreUnavailable, match="Look whether PostgreSQL runs"):
                await late.wait()
        assert told == []
        proxy.shut = False
        with trio.fail_after(20):
            await step.wait()
        assert told == [None]
        await is_well(store)
        assert isinstance(chain.failure, StoreUnavailable)
        assert len(await store.run_messages("r1")) == 3
        await store.write(ended()).wait()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_a_store_that_is_closed_in_doubt_says_so(
    proxy: Proxy, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.store.sql.store.CLOSE_TIMEOUT", 0.3)
    store = PostgresStore(proxy.url(clean_database), probe_every=0.02)
    with pytest.raises(StoreError, match=r"closed within 0\.3 s"):  # noqa: PT012
        async with store:
            await store.write(SessionSaved(session())).wait()
            proxy.lose, proxy.shut = "answers", True
            call = store.write(RunQueued(run()))
    with pytest.raises(StoreUnavailable, match="closed before this was safe"):
        await call.wait()


# --- connections that are cut, and servers that stop ----------------------------------------------


async def test_connections_that_the_server_has_ended_are_made_again_unnoticed(
    cluster: Cluster, clean_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with PostgresStore(cluster.url(clean_database), probe_every=0.02) as store:
        admit(store)
        await store.write(started()).wait()
        for number in range(3):
            # The one that listens may not be back yet.
            assert cluster.end_backends(f"datname = '{clean_database}'") >= 3
            await store.write(CeilingRaised("s1", number)).wait()
            for _ in range(8):
                assert await store.session("s1") == session(event_ceiling=number)
        assert store.failure is None
    assert caplog.records == []


async def test_a_store_that_is_opened_again_remembers_nothing_of_its_former_commits(
    cluster: Cluster, clean_database: str
) -> None:
    store = PostgresStore(cluster.url(clean_database), probe_every=0.02)
    for number in range(2):
        async with store:
            cluster.end_backends(f"datname = '{clean_database}'")
            await store.write(SessionSaved(session(f"s{number}"))).wait()
            await store.write(CeilingRaised(f"s{number}", 1)).wait()


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_server_that_goes_is_told_and_one_that_comes_back_is_used(
    breakable: Cluster, how: str
) -> None:
    url = breakable.database(how)
    async with PostgresStore(url, probe_every=0.02) as store:
        admit(store)
        await store.write(started()).wait()
        await trio.to_thread.run_sync(breakable.stop if how == "stopped" else breakable.kill)
        calls = []
        with trio.fail_after(20):
            while store.failure is None:
                calls.append(store.write(CeilingRaised("s1", len(calls))))
                await trio.sleep(0.01)
        with pytest.raises(StoreUnavailable, match=r"postgresql://.*Look whether PostgreSQL"):
            await store.session("s1")
        with pytest.raises(StoreUnavailable):
            await store.write(CeilingRaised("s1", 77)).wait()
        await trio.to_thread.run_sync(breakable.start)
        await is_well(store)
        made = [number for number, call in enumerate(calls) if await is_made(call)]
        ceiling = made[-1] if made else 1000  # it may have been noticed before the first of them
        assert await store.session("s1") == session(event_ceiling=ceiling)
        await store.write(CeilingRaised("s1", 78)).wait()


def hear(store: PostgresStore) -> list[frozenset[str]]:
    """What the store tells of each new life: which sessions have come along."""
    lives: list[frozenset[str]] = []
    store.nodes.watch(lambda kept: lives.append(frozenset(kept)), lambda _: None)
    return lives


async def test_a_node_whose_connection_was_lost_is_another_one_that_takes_its_sessions_along(
    proxy: Proxy, cluster: Cluster, clean_database: str
) -> None:
    async with PostgresStore(proxy.url(clean_database), probe_every=0.02) as store:
        lives, before = hear(store), store.nodes.number
        for number in (1, 2):
            await store.write(SessionSaved(session(f"s{number}"))).wait()
        proxy.lose, proxy.shut = "answers", True
        doubtful = store.write(RunQueued(run()), RunQueued(run("r2", "s2")))
        await until_ill(store)
        assert store.nodes.lost_for > 0
        async with PostgresStore(cluster.url(clean_database)) as other:
            assert [each.id for each in await other.runs()] == ["r1", "r2"]
            await other.write(SessionClaimed("s2", before)).wait()
            await other.write(CeilingRaised("s2", 9)).wait()
            proxy.shut = False
            with trio.fail_after(20):
                await doubtful.wait()  # it was made, before the lock was free
            await is_well(store)
            assert store.nodes.number > before
            assert lives == [{"s1"}]
            await store.write(CeilingRaised("s1", 1)).wait()
            with pytest.raises(SessionMoved):
                await store.write(CeilingRaised("s2", 1)).wait()
            assert await store.session("s2") == session("s2", event_ceiling=9)
            assert (store.nodes.lost_for, store.failure) == (0, None)


async def test_a_write_that_never_arrived_is_not_made_where_the_session_was_claimed_since(
    proxy: Proxy, cluster: Cluster, clean_database: str
) -> None:
    async with PostgresStore(proxy.url(clean_database), probe_every=0.02) as store:
        await store.write(SessionSaved(session())).wait()
        proxy.lose, proxy.shut = "requests", True
        doubtful = store.write(RunQueued(run()))
        await until_ill(store)
        async with PostgresStore(cluster.url(clean_database)) as other:
            await other.write(SessionClaimed("s1", store.nodes.number)).wait()
            proxy.shut = False
            with trio.fail_after(20), pytest.raises(SessionMoved):
                await doubtful.wait()
            assert await other.runs() == ()


async def test_where_the_server_has_lost_commits_no_session_comes_along(
    cluster: Cluster, clean_database: str
) -> None:
    """As where a replica has taken the server's place before it had them."""
    async with PostgresStore(cluster.url(clean_database), probe_every=0.02) as store:
        lives = hear(store)
        await store.write(SessionSaved(session())).wait()
        cluster.run("UPDATE nodes SET batch = batch - 1", clean_database)
        cluster.end_backends(f"datname = '{clean_database}'")
        with pytest.raises(SessionMoved):
            await store.write(CeilingRaised("s1", 1)).wait()
        assert lives == [frozenset()]


async def test_a_node_that_writes_nothing_shows_that_it_lives(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.store.postgres.store._BEAT_EVERY", 0.02)
    async with PostgresStore(cluster.url(clean_database), probe_every=0.02) as store:
        (first,) = await store.nodes.living()
        with trio.fail_after(10):
            while (await store.nodes.living())[0].commits < first.commits + 3:  # noqa: ASYNC110
                await trio.sleep(0.02)
        assert store.nodes.silent_for < 5
        cluster.end_backends(f"datname = '{clean_database}'")  # nobody writes: the beat notices
        with trio.fail_after(10):
            while store.nodes.number == first.number:  # noqa: ASYNC110
                await trio.sleep(0.02)


# --- a server that refuses ------------------------------------------------------------------------


async def refused(store: PostgresStore, match: str) -> None:
    with pytest.raises(StoreUnavailable, match=match) as caught:
        await store.write(CeilingRaised("s1", 1)).wait()
    assert store.failure is not None
    assert str(caught.value).startswith("postgresql://")


async def test_a_lock_on_the_tables_is_told_and_waited_out(
    cluster: Cluster, clean_database: str
) -> None:
    async with PostgresStore(
        cluster.url(clean_database), busy_timeout=0.05, probe_every=0.02
    ) as store:
        await store.write(SessionSaved(session())).wait()
        with psycopg.connect(cluster.url(clean_database)) as other:
            other.execute(b"LOCK TABLE nodes, sessions IN EXCLUSIVE MODE")
            await refused(store, "lock timeout. Another session holds a lock")
            assert await store.session("s1") == session()
        await is_well(store)
        await store.write(CeilingRaised("s1", 2)).wait()


async def test_a_time_limit_of_the_server_is_told(cluster: Cluster, fresh_database: str) -> None:
    cluster.run(f"ALTER DATABASE {fresh_database} SET statement_timeout = '500ms'")
    async with PostgresStore(cluster.url(fresh_database), probe_every=0.02) as store:
        await store.write(SessionSaved(session())).wait()
        with psycopg.connect(cluster.url(fresh_database)) as other:
            other.execute(b"LOCK TABLE nodes, sessions IN EXCLUSIVE MODE")
            await refused(store, "raise statement_timeout for this role")
        await is_well(store)


@pytest.mark.parametrize(("times", "fails"), [(2, False), (3, True)])
async def test_a_transaction_that_others_were_in_the_way_of_is_tried_three_times(
    cluster: Cluster, fresh_database: str, times: int, fails: bool
) -> None:
    async with PostgresStore(cluster.url(fresh_database), probe_every=0.02) as store:
        await store.write(SessionSaved(session())).wait()
        cluster.run("CREATE SEQUENCE tries", fresh_database)
        cluster.run(
            "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF nextval('tries') <= {times} THEN"
            " RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF;"
            " RETURN NEW; END $$",
            fresh_database,
        )
        cluster.run(
            "CREATE TRIGGER conflict BEFORE UPDATE ON sessions FOR EACH ROW"
            " EXECUTE FUNCTION conflict()",
            fresh_database,
        )
        call = store.write(CeilingRaised("s1", 1))
        if fails:
            with pytest.raises(StoreUnavailable, match="Other transactions are in the way"):
                await call.wait()
            await is_well(store)
        await store.write(CeilingRaised("s1", 1)).wait()


async def test_a_database_that_becomes_read_only_is_told_and_waited_out(
    cluster: Cluster, fresh_database: str
) -> None:
    async with PostgresStore(cluster.url(fresh_database), probe_every=0.02) as store:
        await store.write(SessionSaved(session())).wait()
        cluster.run(f"ALTER DATABASE {fresh_database} SET default_transaction_read_only = on")
        cluster.end_backends(f"datname = '{fresh_database}'")
        await refused(store, "read-only transaction. It takes no writes")
        assert await store.session("s1") == session()
        cluster.run(f"ALTER DATABASE {fresh_database} RESET default_transaction_read_only")
        cluster.end_backends(f"datname = '{fresh_database}'")
        await is_well(store)
        await store.write(CeilingRaised("s1", 2)).wait()


async def test_a_full_disk_is_told_and_the_store_recovers_by_itself(
    cluster: Cluster, tmp_path: Path
) -> None:
    place = cluster.home / "small"
    with small_disk(place, "24m") as disk:
        if os.getuid() == 0:
            shutil.chown(place, cluster.owner)
        cluster.run(f"CREATE TABLESPACE small LOCATION '{place}'")
        url = cluster.database("small", "TABLESPACE small")
        try:
            async with PostgresStore(url, probe_every=0.02) as store:
                await store.write(SessionSaved(session())).wait()
                disk.fill()
                with pytest.raises(StoreUnavailable, match="Make room on the disk"):  # noqa: PT012
                    for number in range(100):
                        text = os.urandom(200_000).hex()
                        await store.write(RunQueued(run(f"r{number}", message=text))).wait()
                disk.free()
                await is_well(store)
                await store.write(RunQueued(run("last"))).wait()
                assert await store.run("s1", "last") is not None
        finally:
            cluster.run("DROP DATABASE small WITH (FORCE)")
            cluster.run("DROP TABLESPACE small")


# --- opening --------------------------------------------------------------------------------------


async def does_not_open(url: str, match: str, kind: type[StoreError] = StoreError) -> None:
    with pytest.raises(kind, match=match) as caught:
        async with PostgresStore(url):
            pass
    assert "hunter2" not in str(caught.value)
    assert type(caught.value) is kind


async def test_a_server_that_is_not_there_is_told_without_the_password(cluster: Cluster) -> None:
    url = f"postgresql://ada:hunter2@127.0.0.1:1/{cluster.home.name}"
    await does_not_open(url, "Look whether PostgreSQL runs", StoreUnavailable)


async def test_a_wrong_password_is_told_and_not_repeated(
    cluster: Cluster, clean_database: str
) -> None:
    cluster.run("CREATE ROLE bob LOGIN PASSWORD 'secret'")
    url = cluster.tcp_url(clean_database, "bob:hunter2")
    await does_not_open(url, "authentication failed.*Look at the user", StoreUnavailable)


async def test_a_database_that_is_not_there_is_told(cluster: Cluster) -> None:
    await does_not_open(cluster.url("nowhere"), "CREATE DATABASE", StoreUnavailable)


async def test_too_few_connections_are_told_and_nothing_stays_open(
    cluster: Cluster, fresh_database: str
) -> None:
    cluster.run("CREATE ROLE carla LOGIN PASSWORD 'hunter2' CONNECTION LIMIT 3")
    cluster.run(f"ALTER DATABASE {fresh_database} OWNER TO carla")
    url = cluster.tcp_url(fresh_database, "carla:hunter2")
    await does_not_open(url, "too many connections.*a node needs six", StoreUnavailable)
    cluster.run("ALTER ROLE carla CONNECTION LIMIT 6")
    cluster.end_backends("usename = 'carla'")
    async with PostgresStore(url) as store:
        await store.write(SessionSaved(session())).wait()


async def test_a_replica_is_refused(breakable: Cluster) -> None:
    breakable.stop("fast")
    signal = breakable.home / "data" / "standby.signal"
    signal.touch()
    breakable.start()
    try:
        await does_not_open(breakable.url(), "is a replica")
    finally:
        breakable.stop("fast")
        signal.unlink()
        breakable.start()


async def test_a_pooler_is_seen_and_refused(cluster: Cluster, tmp_path: Path) -> None:
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    settings = cluster.home / "pgbouncer.ini"
    settings.write_text(
        "[databases]\n"
        f"* = host={cluster.home} port={cluster.port} user=postgres\n"
        "[pgbouncer]\n"
        f"listen_addr =\nunix_socket_dir = {cluster.home}\nlisten_port = 6432\n"
        "auth_type = any\npool_mode = transaction\nignore_startup_parameters = options\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220
        [*cluster.as_owner, program, "-q", str(settings)], stderr=subprocess.DEVNULL
    ) as pooler:
        try:
            socket = cluster.home / ".s.PGSQL.6432"
            deadline = time.monotonic() + 10
            while not socket.exists():
                assert time.monotonic() < deadline
                await trio.sleep(0.01)
            url = cluster.url().replace(f":{cluster.port}/", ":6432/")
            await does_not_open(url, "connection pooler before the server")
        finally:
            pooler.terminate()
