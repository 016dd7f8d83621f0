"""What reads and writes of permission requests cost: the same among few and many."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.samples import admit, answered, asked, ended, request, started
from store.test_run_pages import cost
from wingman.api import PermissionStatus
from wingman.store import MemoryStore
from wingman.store.memory import order
from wingman.store.sql import permissions
from wingman.store.sql.batch import write_in_order
from wingman.store.sql.versions import STEPS
from wingman.store.sqlite.connection import Connection

FEW, MANY = 1_000, 50_000

# A run has ten requests, and one session nearly all of the runs. The rarer a status is, the older
# are the requests that have it.
REQUESTS = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO permissions (id, session_id, run_id, tool_use_id, tool, action, resources, always,
    input, status, decision, created_at)
SELECT 'p' || i, CASE i / 10 % 50 WHEN 2 THEN 's2' ELSE 's1' END, 'r' || (i / 10), 't', 'bash',
    'bash', '["ls"]', '["ls *"]', '{"command": "ls"}',
    CASE WHEN i <= 40 THEN 'pending' WHEN i <= 60 THEN 'expired' WHEN i % 20 = 1 THEN 'rejected'
        ELSE 'allowed' END,
    CASE WHEN i > 80 THEN 'once' WHEN i > 60 THEN 'always' END,
    '2025-05-17T12:00:00Z'
FROM n
"""
RUNS = """
INSERT INTO runs (id, session_id, message, agent_id, status, created_at, steps, usage)
SELECT DISTINCT run_id, session_id, 'Hello', 'a1',
    CASE WHEN seq <= 40 THEN 'waiting' ELSE 'completed' END, '2025-05-17T12:00:00Z', 0,
    '{"input_tokens": 0, "output_tokens": 0}'
FROM permissions WHERE seq = 1 OR seq % 10 = 0
"""
SESSIONS = """
INSERT INTO sessions (id, work_dir, created_at, updated_at, last_event_id, event_ceiling, usage)
SELECT value, '/', '2025-05-17T12:00:00Z', '2025-05-17T12:00:00Z', 0, 0,
    '{"input_tokens": 0, "output_tokens": 0}'
FROM json_each('["s1", "s2"]')
"""


def filled(path: Path, count: int) -> Connection:
    connection = sqlite3.connect(path, isolation_level=None, factory=Connection)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for step in STEPS:
        step(connection)
    connection.execute(REQUESTS, (count,))
    connection.execute(RUNS)
    connection.execute(SESSIONS)
    connection.execute("COMMIT")
    return connection


@pytest.fixture(scope="module", params=[False, True], ids=["as they are", "analyzed"])
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Connection, Connection]]:
    """One with few requests, and one with many, with and without SQLite's statistics of them."""
    home = tmp_path_factory.mktemp("permissions")
    with (
        closing(filled(home / "few.db", FEW)) as few,
        closing(filled(home / "many.db", MANY)) as many,
    ):
        for connection in (few, many) if request.param else ():
            connection.execute("ANALYZE")
        yield few, many


FILTERS: list[tuple[PermissionStatus, ...]] = [
    (),
    ("pending",),
    ("expired",),
    ("rejected",),
    ("allowed",),
    ("cancelled",),
    ("pending", "expired"),
    ("pending", "allowed", "rejected", "cancelled", "expired"),
]


@pytest.mark.parametrize("statuses", FILTERS, ids=lambda each: "+".join(each) or "all")
@pytest.mark.parametrize("session_id", [None, "s1"], ids=["of all", "of one session"])
@pytest.mark.parametrize("before", [None, 500, 30], ids=lambda each: f"before {each}")
def test_a_page_of_requests_costs_the_same_among_few_and_many(
    databases: tuple[Connection, Connection],
    session_id: str | None,
    statuses: tuple[PermissionStatus, ...],
    before: int | None,
) -> None:
    few, many = databases

    def query(connection: Connection) -> Any:
        return permissions.permissions(connection, session_id, statuses, 20, before)

    assert cost(many, query) <= cost(few, query) * 1.25 + 5
    if before is not None:
        assert query(many) == query(few)


@pytest.mark.parametrize(
    "query",
    [
        lambda connection: permissions.permission(connection, "s1", "p30"),
        lambda connection: permissions.run_permissions(connection, "r3"),
        lambda connection: permissions.grants(connection, "s1"),
        lambda connection: permissions.grants(connection, "s2"),
    ],
)
def test_what_is_looked_for_is_found_among_few_and_many_alike(
    databases: tuple[Connection, Connection],
    query: Callable[[Connection], Any],
) -> None:
    few, many = databases
    assert query(many) == query(few)
    assert cost(many, query) <= cost(few, query) * 1.25 + 5


@pytest.mark.parametrize(
    "change",
    [
        ended("r3", "s1"),
        ended("r90", "s1"),
        asked("new", "r4", "s1"),
        answered("p25", "r2", "s1"),
        answered("p600", "r60", "s1"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_change_costs_the_same_among_few_and_many(
    databases: tuple[Connection, Connection], change: Any
) -> None:
    def write(connection: Connection) -> None:
        connection.execute("BEGIN")
        try:
            write_in_order(connection, [change])
        finally:
            connection.execute("ROLLBACK")

    few, many = databases
    assert cost(many, write) <= cost(few, write) * 1.25 + 5


@pytest.mark.parametrize("statuses", FILTERS, ids=lambda each: "+".join(each) or "all")
@pytest.mark.parametrize("session_id", [None, "s1"], ids=["of all", "of one session"])
def test_no_page_of_requests_scans_or_sorts_them(
    databases: tuple[Connection, Connection],
    session_id: str | None,
    statuses: tuple[PermissionStatus, ...],
) -> None:
    _, many = databases
    said: list[str] = []
    many.set_trace_callback(said.append)
    try:
        permissions.permissions(many, session_id, statuses, 20, 40_000)
    finally:
        many.set_trace_callback(None)
    selects = [text for text in said if text.startswith("SELECT")]
    assert selects
    for text in selects:
        plan = [row[3] for row in many.execute(f"EXPLAIN QUERY PLAN {text}")]
        assert not [line for line in plan if line.startswith("SCAN permissions")], plan
        found = next(line for line in plan if line.startswith("SEARCH permissions"))
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan
        assert "rowid<?" in found
        assert ("session_id=?" in found) is (session_id is not None)


def test_every_request_is_reached_page_by_page(
    databases: tuple[Connection, Connection],
) -> None:
    few, _ = databases
    for session_id in (None, "s1", "s2"):
        for statuses in ((), ("pending", "expired"), ("allowed",)):
            seen: list[str] = []
            before = None
            while True:
                page = permissions.permissions(few, session_id, statuses, 37, before)  # type: ignore[arg-type]
                seen += [each.id for each in page.requests]
                if (before := page.next) is None:
                    break
            marks = ", ".join("?" * len(statuses)) or "status"
            rows = few.execute(
                f"SELECT id FROM permissions WHERE status IN ({marks})"
                " AND (? IS NULL OR session_id = ?) ORDER BY seq DESC",
                (*statuses, session_id, session_id),
            )
            assert seen == [id for (id,) in rows]
            assert seen


def test_a_list_does_not_decode_an_input_that_it_leaves_out(
    databases: tuple[Connection, Connection],
) -> None:
    few, _ = databases
    few.execute("BEGIN")
    try:
        few.execute("UPDATE permissions SET input = ? WHERE id = 'p7'", ("not JSON " * 4000,))
        page = permissions.permissions(few, None, ("pending",), 100, None)
        assert [each.id for each in page.requests if each.cut] == ["p7"]
    finally:
        few.execute("ROLLBACK")


async def test_a_page_in_memory_looks_at_as_many_among_few_and_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = {}
    for count in (100, 1_000):
        store = MemoryStore()
        admit(store)
        await store.write(started(), *(asked(f"p{number}") for number in range(count))).wait()
        await store.write(*(answered(f"p{number}") for number in range(20, count))).wait()
        looks[count] = 0

        def places(things: Any, before: int | None, backwards: Any = order._backwards) -> Any:
            for each in backwards(things, before):
                looks[count] += 1  # noqa: B023  (called before the next round)
                yield each

        with monkeypatch.context() as patch:
            patch.setattr(order, "_backwards", places)
            for session_id in (None, "s1"):
                for statuses in ((), ("pending",), ("expired",), ("pending", "allowed")):
                    page = await store.permissions(session_id, statuses, 10)  # type: ignore[arg-type]
                    if "pending" in statuses and len(statuses) == 1:
                        assert page.requests[0] == request("p19")
    assert looks[1_000] == looks[100]
