"""What the store in PostgreSQL does beside what every store does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import trio

from postgres_kit import Cluster
from store.samples import admit, agent, call_ended, recorded, run, session, started, turn
from wingman.errors import (
    SessionMoved,
    StoreError,
    StoreLocked,
    StoreTooNew,
    StoreUnavailable,
)
from wingman.store import (
    AgentSaved,
    CeilingRaised,
    RunQueued,
    SessionClaimed,
    SessionDeleting,
    SessionReleased,
    SessionSaved,
    open_store,
)
from wingman.store.postgres import PostgresStore, node
from wingman.store.postgres.address import Address
from wingman.store.postgres.connection import Connection
from wingman.store.postgres.dialect import TYPES, chunks, translated_text
from wingman.store.postgres.text import escaped
from wingman.store.sql import versions
from wingman.store.sql.schema import TABLES


@pytest.fixture
def clean(cluster: Cluster, clean_database: str) -> str:
    return cluster.url(clean_database)


@pytest.fixture
def url(cluster: Cluster, fresh_database: str) -> str:
    return cluster.url(fresh_database)


# --- the tables -----------------------------------------------------------------------------------


async def test_the_tables_and_their_columns_are_those_of_the_schema(
    cluster: Cluster, fresh_database: str, url: str
) -> None:
    async with PostgresStore(url):
        pass
    columns = cluster.run(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name NOT IN ('wingman', 'nodes')",
        fresh_database,
    )
    assert {(table, column) for table, column, _ in columns} == {
        (table, column) for table, columns in TABLES.items() for column in columns
    }
    other = {(name, kind) for _, name, kind in columns if kind != "text"}
    of_changes_alone = {("former", "bigint"), ("is_new", "bigint")}
    of_tables_alone = {("seq", "bigint"), ("deleting", "bigint"), ("node", "bigint")}
    assert other == {*TYPES.items(), *of_tables_alone} - of_changes_alone


async def test_what_was_written_is_there_when_it_is_opened_again(url: str) -> None:
    async with open_store(url) as store:
        admit(store)
        await store.write(started(), recorded(), call_ended()).wait()
        before = await store.pending_step("r1")
    async with open_store(url) as store:
        assert await store.session("s1") == session(event_ceiling=1000)
        assert await store.pending_step("r1") == before
        assert store.nodes is not None
        await store.write(SessionClaimed("s1", store.nodes.number - 1)).wait()
        await store.write(*turn("r2", "s1")).wait()
        assert [each.id for each in await store.runs()] == ["r1", "r2"]


async def test_a_database_of_an_older_version_takes_the_steps_that_are_missing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with PostgresStore(url) as store:
        await store.write(SessionSaved(session())).wait()

    def add_colour(connection: Connection) -> None:
        connection.execute("ALTER TABLE sessions ADD COLUMN colour TEXT DEFAULT 'blue'")

    def fail(connection: Connection) -> None:
        connection.execute("ALTER TABLE nothing ADD COLUMN colour TEXT")

    steps = versions.STEPS
    monkeypatch.setattr(versions, "STEPS", (*steps, add_colour, fail))
    with pytest.raises(StoreUnavailable, match="nothing"):
        async with PostgresStore(url):
            pass
    monkeypatch.setattr(versions, "STEPS", (*steps, add_colour))  # else the colour is there twice
    async with PostgresStore(url) as store:
        assert await store.session("s1") == session()
    monkeypatch.setattr(versions, "STEPS", steps)
    with pytest.raises(StoreTooNew, match=f"version is {len(steps) + 1}, this one knows"):
        async with PostgresStore(url):
            pass


async def test_two_schemas_of_a_database_are_two_stores(
    cluster: Cluster, fresh_database: str, url: str
) -> None:
    cluster.run("CREATE SCHEMA ada", fresh_database)
    in_schema = cluster.url(fresh_database, options="-csearch_path=ada")
    async with PostgresStore(url) as one, PostgresStore(in_schema) as other:
        await one.write(SessionSaved(session("s1"))).wait()
        await other.write(SessionSaved(session("s2"))).wait()
        assert [each.id for each in (await one.sessions(9)).sessions] == ["s1"]
        assert [each.id for each in (await other.sessions(9)).sessions] == ["s2"]


async def test_a_schema_that_is_not_there_or_is_not_ours_is_refused_and_left_alone(
    cluster: Cluster, fresh_database: str, url: str
) -> None:
    with pytest.raises(StoreError, match=r"no schema of the search_path \(eve\) is there"):
        async with PostgresStore(cluster.url(fresh_database, options="-csearch_path=eve")):
            pass
    cluster.run("CREATE TABLE sessions (recipe text)", fresh_database)
    with pytest.raises(StoreError, match=r"tables that are not Wingman's \(sessions\)"):
        async with PostgresStore(url):
            pass
    assert cluster.run(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
        fresh_database,
    ) == [("sessions",)]


async def test_an_encoding_other_than_utf_8_is_refused(cluster: Cluster) -> None:
    url = cluster.database("latin", "ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreError, match="has the encoding LATIN1, and Wingman needs UTF8"):
        async with PostgresStore(url):
            pass


async def test_another_role_may_own_the_database_and_needs_no_more(
    cluster: Cluster, fresh_database: str
) -> None:
    cluster.run("CREATE ROLE dora LOGIN PASSWORD 'p w:/'")
    cluster.run(f"ALTER DATABASE {fresh_database} OWNER TO dora")
    async with PostgresStore(cluster.tcp_url(fresh_database, "dora:p%20w%3A%2F")) as store:
        await store.write(SessionSaved(session())).wait()
        cluster.end_backends("usename = 'dora'")
        await store.write(CeilingRaised("s1", 3)).wait()
        assert await store.session("s1") == session(event_ceiling=3)


# --- values ---------------------------------------------------------------------------------------

TEXTS = ["\0", "a\0b", "\x10", "\x100", "\x101\0\x10", "{,\\\"'}", "NULL", "", "é🛩", "\\x41", "%s"]


@pytest.mark.parametrize("text", TEXTS)
async def test_text_that_postgresql_does_not_take_is_kept(text: str, clean: str) -> None:
    async with PostgresStore(clean) as store:
        await store.write(
            AgentSaved(agent("a1", text)),
            SessionSaved(session(title=text)),
            RunQueued(run(message=text * 600, request_id=f"q{text}")),
        ).wait()
        assert await store.agent("a1") == agent("a1", text)
        assert await store.session("s1") == session(title=text)
        found = await store.run_by_request("s1", f"q{text}")
        assert found is not None
        assert found.message == text * 600
        page = await store.run_page(None, (), 9)
        assert page.runs[0].record.message == (text * 600)[:1000]


@pytest.mark.parametrize("bad", ["\ud800", 2**63])
async def test_a_value_that_cannot_be_kept_fails_alone(bad: str | int, clean: str) -> None:
    async with PostgresStore(clean) as store:
        await store.write(SessionSaved(session())).wait()
        change = (
            SessionSaved(session("bad", title=bad))
            if isinstance(bad, str)
            else CeilingRaised("s1", bad)
        )
        good, failing = store.write(*turn("r1", "s1")), store.write(change)
        last = store.write(*turn("r2", "s1"))
        with pytest.raises(StoreError) as caught:
            await failing.wait()
        assert not isinstance(caught.value, StoreUnavailable)
        assert str(bad) not in str(caught.value)
        await good.wait()
        await last.wait()
        assert store.failure is None


def test_a_text_without_control_characters_is_kept_as_it_is() -> None:
    assert escaped("Hello\n") == "Hello\n"


def test_rows_go_in_parts_that_a_value_can_hold() -> None:
    rows = [("x" * 10_000_000, 1), ("y" * 10_000_000, 2), ("z", None)]
    assert [len(part) for part in chunks(rows)] == [1, 2]
    assert [len(part) for part in chunks([("x", 1)] * 2500)] == [1024, 1024, 452]


def test_the_words_that_differ_are_said_in_postgresqls() -> None:
    said = {
        "SELECT 1 FROM runs INDEXED BY runs_status CROSS JOIN sessions ON true WHERE id = ?": (
            "SELECT 1 FROM runs JOIN sessions ON true WHERE id = %s"
        ),
        "ALTER TABLE runs ADD COLUMN a REAL": "ALTER TABLE runs ADD COLUMN a double precision",
        "CREATE INDEX a ON runs (status) WHERE deleting": (
            "CREATE INDEX a ON runs (status, seq) WHERE deleting <> 0"
        ),
        "CREATE UNIQUE INDEX a ON runs (id)": "CREATE UNIQUE INDEX a ON runs (id)",
        "SELECT substr(CAST(a.b AS BLOB), 1, 9)": "SELECT substr(convert_to(a.b, 'UTF8'), 1, 9)",
    }
    assert {text: translated_text(text).decode() for text in said} == said


def test_a_step_of_the_schema_may_hash_what_is_there(cluster: Cluster, url: str) -> None:
    """The fifth version keeps each agent by its hash, as SQLite's databases have it."""
    with psycopg.connect(url, autocommit=True) as real:
        connection = Connection(real)
        for step in versions.STEPS[:4]:
            step(connection)
        connection.execute(
            "INSERT INTO runs (id, session_id, message, agent_id, agent, status, created_at,"
            " steps, usage) VALUES ('r1', 's1', '', 'a1', ?, 'queued', '', 0, '{}'),"
            " ('r2', 's1', '', 'a1', ?, 'queued', '', 0, '{}')",
            ('{"é": 1}', '{"é": 1}'),
        )
        versions.STEPS[4](connection)
        rows = connection.execute(
            "SELECT runs.id, version.agent FROM runs"
            " CROSS JOIN agent_versions AS version ON version.hash = runs.agent ORDER BY runs.id"
        ).fetchall()
        assert rows == [("r1", '{"é": 1}'), ("r2", '{"é": 1}')]


# --- nodes ----------------------------------------------------------------------------------------

HOLD = """
import sys, trio
from wingman.store import open_store

async def main():
    async with open_store(sys.argv[1]):
        print("open", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


async def owner_of(store: PostgresStore, session_id: str) -> tuple[int | None, bool]:
    """The number of a session's owner, and whether that lives."""
    found = await store.nodes.ownership(session_id)
    assert found is not None
    return found.owner, found.node is not None


async def test_each_process_is_a_node_until_it_is_gone(clean: str) -> None:
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOLD, clean], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert await trio.to_thread.run_sync(other.stdout.readline) == b"open\n"
        async with PostgresStore(clean) as store:
            first, second = await store.nodes.living()
            assert (first.number, second.number) == (store.nodes.number - 1, store.nodes.number)
            os.kill(other.pid, signal.SIGKILL)
            with trio.fail_after(10):
                while len(living := await store.nodes.living()) == 2:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            assert [node.number for node in living] == [store.nodes.number]


async def test_a_process_that_is_stopped_lives_until_its_connection_is_ended(clean: str) -> None:
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOLD, clean], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert await trio.to_thread.run_sync(other.stdout.readline) == b"open\n"
        try:
            async with PostgresStore(clean) as store:
                os.kill(other.pid, signal.SIGSTOP)
                stopped, _ = await store.nodes.living()
                await store.nodes.end(stopped)
                with trio.fail_after(10):
                    while len(await store.nodes.living()) == 2:  # noqa: ASYNC110
                        await trio.sleep(0.01)
        finally:
            other.kill()


async def test_a_session_is_the_nodes_that_made_it_and_no_other_one_writes_it(clean: str) -> None:
    async with PostgresStore(clean) as store, PostgresStore(clean) as other:
        await store.write(SessionSaved(session())).wait()
        assert await owner_of(other, "s1") == (store.nodes.number, True)
        late = other.write(CeilingRaised("s1", 7)), other.write(SessionSaved(session("s2")))
        with pytest.raises(SessionMoved, match="not this node's"):
            await late[0].wait()
        await late[1].wait()  # what shared its commit is written
        assert (await store.session("s1"), other.failure) == (session(), None)
        await store.write(SessionReleased("s1")).wait()
        assert await owner_of(other, "s1") == (None, False)
        with pytest.raises(SessionMoved):
            await store.write(CeilingRaised("s1", 8)).wait()
        await other.write(SessionClaimed("s1")).wait()
        assert await other.nodes.owned(["s1", "s2", "s3"]) == {"s1", "s2"}
        await other.write(CeilingRaised("s1", 9)).wait()
        assert await store.session("s1") == session(event_ceiling=9)


async def test_a_session_is_claimed_from_a_dead_node_by_one_other_alone(clean: str) -> None:
    async with PostgresStore(clean) as former:
        await former.write(SessionSaved(session())).wait()
        number = former.nodes.number
    async with PostgresStore(clean) as one, PostgresStore(clean) as two:
        assert await owner_of(one, "s1") == (number, False)
        claims = [store.write(SessionClaimed("s1", number)) for store in (one, two)]
        for claim in claims:
            await claim.wait()
        owned = [bool(await store.nodes.owned(["s1"])) for store in (one, two)]
        assert sorted(owned) == [False, True]


async def test_what_nobody_owns_and_has_something_to_be_done_is_found(clean: str) -> None:
    async with PostgresStore(clean) as former:
        admit(former)
        for number in range(2, 6):
            await former.write(SessionSaved(session(f"s{number}"))).wait()
        await former.write(RunQueued(run("r2", "s2"))).wait()
        await former.write(started("r2", "s2"), RunQueued(run("r3", "s2"))).wait()
        await former.write(SessionDeleting("s3")).wait()
        await former.write(SessionReleased("s4"), RunQueued(run("r5", "s5"))).wait()
        async with PostgresStore(clean) as store:
            assert await store.nodes.unowned(9) == ()
            number = former.nodes.number
            await former.write(SessionReleased("s5")).wait()
            assert [each.session_id for each in await store.nodes.unowned(9)] == ["s5"]
    async with PostgresStore(clean) as store:
        found = await store.nodes.unowned(9)
        assert [(each.session_id, each.former, each.runs, each.deleting) for each in found] == [
            ("s1", number, 1, False),
            ("s2", number, 1, False),
            ("s3", number, 0, True),
            ("s5", None, 1, False),
        ]
        assert [each.session_id for each in await store.nodes.unowned(2)] == ["s1", "s2"]


async def test_others_are_told_what_a_node_has_changed_that_all_keep_a_copy_of(clean: str) -> None:
    told = trio.Event()
    kinds = []

    def changed(kind: str) -> None:
        kinds.append(kind)
        told.set()

    async with PostgresStore(clean) as store, PostgresStore(clean) as other:
        for each in (store, other):
            each.nodes.watch(lambda _: None, changed)
        await store.write(SessionSaved(session())).wait()
        await store.write(AgentSaved(agent())).wait()
        with trio.fail_after(5):
            await told.wait()
    assert kinds == ["agents"]


async def test_rows_of_nodes_that_are_long_gone_are_not_kept(clean: str) -> None:
    async with PostgresStore(clean) as first:
        await first.write(SessionSaved(session())).wait()
        number = first.nodes.number
    for _ in range(3):
        async with PostgresStore(clean):
            pass
    with psycopg.connect(clean, autocommit=True) as connection:
        long_ago = b"UPDATE nodes SET seen_at = now() - interval '25 hours' WHERE seq < %s"
        connection.execute(long_ago, (number + 3,))
        async with PostgresStore(clean) as last:
            rows = [seq for (seq,) in connection.execute(b"SELECT seq FROM nodes ORDER BY seq")]
            # The first one owns a session, and the other one was there today.
            assert rows == [number, number + 3, last.nodes.number]


async def test_an_earlier_wingman_has_the_database_alone(clean: str) -> None:
    with psycopg.connect(clean) as connection:
        connection.execute(
            b"SELECT pg_advisory_lock(%s, oid::bigint::bit(32)::int)"
            b" FROM pg_namespace WHERE nspname = current_schema()",
            (node._LOCK,),
        )
        with pytest.raises(StoreLocked, match="an earlier version, which shares it with nobody"):
            async with PostgresStore(clean):
                pass


# --- where it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("postgresql://ada:hunter2@db.example:5433/wing", "postgresql://db.example:5433/wing"),
        ("postgres://ada@db/wing?password=hunter2&sslmode=require", "postgresql://db/wing"),
        ("postgresql://ada:hunter2@a:1,b:2/wing", "postgresql://a:1,b:2/wing"),
        ("postgresql:///wing?host=/run/x", "postgresql://%2Frun%2Fx/wing"),
        ("postgresql://?service=mine", "postgresql:///?service=mine"),
    ],
)
def test_a_database_is_called_by_its_place_alone(
    given: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PGHOST", "PGPORT", "PGDATABASE"):
        monkeypatch.delenv(variable, raising=False)
    address = Address.of(given)
    assert address.name == name
    assert "hunter2" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@db:port/wing",
        "postgresql://ada:hunter2@db/wing?colour=blue",
        "postgresql://ada:hunter 2@db/wing",
        "postgresql://ada:hunter2@db/%zz",
    ],
)
def test_a_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(StoreError, match="database's URL") as caught:
        open_store(url)
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_what_the_url_leaves_out_is_in_the_environment(
    cluster: Cluster, fresh_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGHOST", str(cluster.home))
    monkeypatch.setenv("PGPORT", str(cluster.port))
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGDATABASE", fresh_database)
    async with open_store("postgresql://") as store:
        await store.write(SessionSaved(session())).wait()
    services = tmp_path / "services.conf"
    services.write_text(
        f"[mine]\nhost={cluster.home}\nport={cluster.port}\nuser=postgres\ndbname={fresh_database}\n"
    )
    for variable in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    async with open_store("postgresql://?service=mine") as store:
        assert await store.session("s1") == session()


def test_a_driver_that_is_missing_is_told_with_what_brings_it() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from wingman.store import open_store\n"
        "try: open_store('postgresql://ada:hunter2@db/w')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == (
        "StoreError A PostgreSQL database needs its driver: "
        "pip install 'wingman-runtime[postgres]'.\n"
    )


def test_the_driver_is_imported_only_when_it_is_asked_for() -> None:
    code = (
        "import sys, wingman.store as s; s.open_store('memory'); s.open_store('a.db');"
        "print('psycopg' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
