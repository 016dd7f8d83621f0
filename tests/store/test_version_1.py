"""Databases of older schema versions, from their SQL text, opened and read by today's Wingman."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from wingman import Runtime
from wingman.conversation import ImageBlock, TextBlock, ThinkingBlock, ToolResultBlock, Usage
from wingman.session import Run
from wingman.store.sql import schema, versions
from wingman.store.sqlite import SQLStore


@pytest.fixture(params=[1, 2, 3, 4, 5, 6, 7])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def sql(version: int) -> str:
    return Path(__file__).with_name(f"version_{version}.sql").read_text()


@pytest.fixture
def path(version: int, tmp_path: Path) -> Path:
    """The file as an old Wingman left it, dead in the middle of a run."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql(version))
    return path


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def test_a_version_1_database_is_brought_up_to_date_and_read(
    path: Path, version: int
) -> None:
    assert ask(path, "PRAGMA user_version") == [(version,)]
    async with SQLStore(path) as store:
        [agent] = await store.agents()
        assert (agent.name, agent.tools, agent.max_steps) == ("Ada", ("bash", "read_file"), 7)
        assert (await store.credentials())["anthropic"].base_url == "http://127.0.0.1:9"
        found = await store.session_with_history("s1")
        assert found is not None
        record, history = found
        assert (record.title, record.usage) == ("Old", Usage(240, 60, cache_read_tokens=200))
        roles = [message.role for message in history]
        assert roles == ["user", "assistant", "user", "assistant", "user"]
        assert history[1].content[0] == ThinkingBlock("Hm.", signature="sig", provider="anthropic")
        assert history[1].tool_uses[1].malformed == "{"
        assert history[2].content[0] == ToolResultBlock("t1", "README.md\n", is_error=False)
        assert history[3].content == (TextBlock("Don"),)
        assert history[3].cut_short == "cancelled"
        runs = {run.id: run.status for run in await store.runs()}
        assert runs == {"r1": "cancelled", "r2": "failed", "r3": "running", "r4": "queued"}
        agents = {run.id: run.agent and run.agent.instructions for run in await store.runs()}
        assert agents == {"r1": "Be brief.", "r2": None, "r3": "Be brief.", "r4": "Be brief."}
        failed = await store.run("s1", "r2")
        assert failed is not None
        assert failed.images == (None if version == 1 else (ImageBlock("image/png", "AAAA"),))
        assert {run.cost for run in await store.runs()} == {None}
        assert {agent.permissions, record.permissions, failed.permissions} == {None}
        assert (failed.on_ask, failed.ask_timeout) == (None, None)
        assert (await store.permissions(None, (), 10)).requests == ()
        assert await store.sessions_with_queue() == {"s2": 1}
        known = await store.run_by_request("s1", "q1")
        assert known is not None
        assert known.result is not None
        assert (known.id, known.result.detail) == ("r1", "Why.")
        pending = await store.pending_step("r3")
        assert pending is not None
        assert [result.content for result in pending.results] == ["é\n"]
        assert await store.deleting() == ("s3",)
    assert ask(path, "PRAGMA user_version") == [(len(versions.STEPS),)]
    assert ask(path, "SELECT count(*) FROM agent_versions") == [(1,)]


async def test_its_sessions_go_on(path: Path) -> None:
    async with Runtime(path) as runtime:
        run = await runtime.run("s2", "r4")
        assert isinstance(run, Run)
        result = await run.result()
        assert [call.output for call in result.tool_calls] == ["on\n"]
        history = (await runtime.describe("s2")).history
        answers = [b for b in history[2].content if isinstance(b, ToolResultBlock)]
        assert [(b.tool_use_id, b.is_error) for b in answers] == [("t1", True), ("t2", False)]
        statuses = [record.status for record in await runtime.store.runs("s2")]
        assert statuses == ["interrupted", "completed"]
        assert await runtime.store.session("s3") is None


async def test_an_old_database_and_a_new_one_come_to_the_same_tables(
    path: Path, tmp_path: Path
) -> None:
    shapes = []
    for file in (path, tmp_path / "new.db"):
        async with SQLStore(file):
            pass
        columns = ask(
            file,
            'SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk FROM sqlite_schema t,'
            " pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1, 2",
        )
        indices = ask(
            file, "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL"
        )
        shapes.append((columns, sorted(indices)))
    assert shapes[0] == shapes[1]


async def test_a_database_that_its_wingman_left_in_the_log_is_known_as_ours(
    version: int, tmp_path: Path
) -> None:
    """Before version 3 a new database was made in the log: killed young, it had nothing else."""
    young = tmp_path / "young.db"
    with closing(sqlite3.connect(young, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(sql(version))
        # As a kill leaves them: nothing of the log is in the file yet.
        for suffix in ("", "-wal"):
            shutil.copy(f"{young}{suffix}", f"{tmp_path / 'killed.db'}{suffix}")
    killed = tmp_path / "killed.db"
    assert killed.read_bytes()[60:72] == bytes(12)
    async with SQLStore(killed) as store:
        assert len(await store.runs()) == 4


async def test_the_tables_are_those_that_the_code_reads(tmp_path: Path) -> None:
    async with SQLStore(tmp_path / "new.db"):
        pass
    tables = ask(tmp_path / "new.db", "SELECT name FROM sqlite_schema WHERE type = 'table'")
    assert sorted(name for (name,) in tables) == sorted(schema.TABLES)  # type: ignore[type-var]
    for table, columns in schema.TABLES.items():
        found = ask(tmp_path / "new.db", f"SELECT name FROM pragma_table_info('{table}')")
        assert sorted(name for (name,) in found) == sorted(columns)  # type: ignore[type-var]
