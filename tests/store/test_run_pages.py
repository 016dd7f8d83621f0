"""A page of a list costs the same, however many entries there are: proved by SQLite itself."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wingman.store.sql import leftovers, reads
from wingman.store.sql.run_pages import run_page
from wingman.store.sql.versions import STEPS
from wingman.store.sqlite.connection import Connection

FEW, MANY = 1_000, 100_000

# One session has all runs but one in a thousand. Nearly all are completed, and the rarer a status
# is, the older are the runs that have it: whoever looks for those through all runs reads them all.
RUNS = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO runs (id, session_id, message, agent_id, status, created_at, steps, usage)
SELECT 'r' || i, CASE i % 1000 WHEN 0 THEN 's2' ELSE 's1' END, 'Hello', 'a1',
    CASE WHEN i <= 20 THEN 'failed' WHEN i <= 40 THEN 'queued' WHEN i <= 60 THEN 'interrupted'
        WHEN i % 500 = 1 THEN 'cancelled' ELSE 'completed' END,
    '2025-05-17T12:00:00Z', 0, '{"input_tokens": 0, "output_tokens": 0}'
FROM n
"""
SESSIONS = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO sessions
    (id, work_dir, created_at, updated_at, last_event_id, event_ceiling, usage)
SELECT 's' || i, '/', '2025-05-17T12:00:00Z', '2025-05-17T12:00:00Z', 0, 0,
    '{"input_tokens": 0, "output_tokens": 0}'
FROM n
"""


def filled(path: Path, count: int) -> Connection:
    connection = sqlite3.connect(path, factory=Connection)
    connection.execute("PRAGMA synchronous = OFF")
    for step in STEPS:
        step(connection)
    connection.execute(RUNS, (count,))
    connection.execute(SESSIONS, (count,))
    connection.commit()
    return connection


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Connection, Connection]]:
    """One with few runs and sessions, and one with many."""
    home = tmp_path_factory.mktemp("pages")
    with (
        closing(filled(home / "few.db", FEW)) as few,
        closing(filled(home / "many.db", MANY)) as many,
    ):
        yield few, many


@pytest.fixture(scope="module", params=[False, True], ids=["as they are", "analyzed"])
def databases(
    request: pytest.FixtureRequest, made: tuple[Connection, Connection]
) -> Iterator[tuple[Connection, Connection]]:
    """The same, with and without SQLite's statistics of them."""
    for connection in made if request.param else ():
        connection.execute("ANALYZE")
    yield made
    for connection in made if request.param else ():
        connection.execute("DROP TABLE sqlite_stat1")
        connection.execute("ANALYZE sqlite_schema")  # they are forgotten


Query = Callable[[Connection], Any]


def cost(connection: Connection, query: Query) -> int:
    """How many instructions of SQLite's virtual machine a query takes, in hundreds."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    query(connection)  # its statements are prepared now
    connection.set_progress_handler(count, 100)
    try:
        query(connection)
    finally:
        connection.set_progress_handler(None, 100)
    return steps


FILTERS: list[tuple[str, ...]] = [
    (),
    ("completed",),
    ("failed",),
    ("queued",),
    ("interrupted",),
    ("running",),
    ("cancelling",),
    ("failed", "interrupted"),
    ("completed", "failed"),
    ("queued", "running", "cancelling"),
    ("queued", "running", "completed", "failed", "cancelled", "interrupted"),
]


@pytest.mark.parametrize("statuses", FILTERS, ids=lambda each: "+".join(each) or "all")
@pytest.mark.parametrize("session_id", [None, "s1"], ids=["of all", "of one session"])
@pytest.mark.parametrize("before", [None, 500, 70, 30], ids=lambda each: f"before {each}")
def test_a_page_of_runs_costs_the_same_among_few_and_many(
    databases: tuple[Connection, Connection],
    session_id: str | None,
    statuses: Any,
    before: int | None,
) -> None:
    few, many = databases

    def query(connection: Connection) -> Any:
        return run_page(connection, session_id, statuses, 20, before, {"r25", "r35"})

    assert cost(many, query) <= cost(few, query) * 1.25 + 5
    if before is not None:
        assert query(many) == query(few)


@pytest.mark.parametrize("before", [None, 50_000, 500])
def test_a_page_of_sessions_costs_the_same_among_few_and_many(
    databases: tuple[Connection, Connection], before: int | None
) -> None:
    few, many = databases
    there = cost(few, lambda connection: reads.sessions(connection, 20, None))
    assert cost(many, lambda connection: reads.sessions(connection, 20, before)) <= there * 1.25 + 5


@pytest.mark.parametrize(
    "query",
    [
        leftovers.sessions_with_queue,
        reads.deleting,
        lambda connection: reads.session_with_queue(connection, "s1"),
        lambda connection: reads.message_page(connection, "s1", 2, None),
        lambda connection: leftovers.queues(connection, ["s1", "s2"]),
        lambda connection: leftovers.cut_off(connection, 100),
        lambda connection: reads.runs(connection, None, ("running",), None),
        lambda connection: reads.runs(connection, "s1", ("running",), None),
        lambda connection: reads.run(connection, None, "r30"),
        lambda connection: reads.run_by_request(connection, "s1", "q1"),
    ],
)
def test_what_a_start_and_a_session_look_for_is_found_among_few_and_many_alike(
    databases: tuple[Connection, Connection], query: Query
) -> None:
    few, many = databases
    assert query(many) == query(few)
    assert cost(many, query) <= cost(few, query) * 1.25 + 5


@pytest.mark.parametrize("statuses", FILTERS, ids=lambda each: "+".join(each) or "all")
@pytest.mark.parametrize("session_id", [None, "s1"], ids=["of all", "of one session"])
def test_no_page_of_runs_scans_or_sorts_them(
    databases: tuple[Connection, Connection],
    session_id: str | None,
    statuses: Any,
) -> None:
    _, many = databases
    said: list[str] = []
    many.set_trace_callback(said.append)
    try:
        run_page(many, session_id, statuses, 20, 90_000, {"r25"})
    finally:
        many.set_trace_callback(None)
    selects = [text for text in said if text.startswith("SELECT")]
    assert selects
    for text in selects:
        plan = [row[3] for row in many.execute(f"EXPLAIN QUERY PLAN {text}")]
        assert not [line for line in plan if line.startswith("SCAN runs")], plan
        found = next(line for line in plan if line.startswith("SEARCH runs"))
        if "json_each" in text:  # as many as are being cancelled, each by its id
            assert "(id=?" in found
            continue
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan
        assert "rowid<?" in found
        if statuses:
            assert "status=?" in found
        assert ("session_id=?" in found) is (session_id is not None)


def test_every_run_is_reached_page_by_page(
    databases: tuple[Connection, Connection],
) -> None:
    few, _ = databases
    for session_id in (None, "s1"):
        for statuses in ((), ("completed", "cancelled"), ("failed",)):
            seen: list[str] = []
            before = None
            while True:
                page = run_page(few, session_id, statuses, 37, before, ())  # type: ignore[arg-type]
                seen += [each.record.id for each in page.runs]
                if (before := page.next) is None:
                    break
            marks = ", ".join("?" * len(statuses)) or "status"
            rows = few.execute(
                f"SELECT id FROM runs WHERE status IN ({marks})"
                " AND (? IS NULL OR session_id = ?) ORDER BY seq DESC",
                (*statuses, session_id, session_id),
            )
            assert seen == [id for (id,) in rows]
