"""PostgreSQL finds by its indices what SQLite finds by its own: few rows are read, among many."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from postgres_kit import Cluster
from store import samples
from store import test_permission_pages as requests_of
from store import test_run_pages as runs_of
from wingman.store import CallEnded, Change, SessionErased
from wingman.store.postgres.address import Address
from wingman.store.postgres.connection import Connection
from wingman.store.postgres.tables import bring_up_to_date, check_server
from wingman.store.sql import leftovers, permissions, reads
from wingman.store.sql.batch import write_together
from wingman.store.sql.run_pages import run_page

MANY = 20_000
FEW_ROWS = 900  # a page of eight statuses reads 32 rows of each, and the session of each row
TABLES = ("agents", "agent_versions", "history", "pending", "permissions", "runs", "sessions")


@pytest.fixture(scope="module", params=[False, True], ids=["never analysed", "analysed"])
def many(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Connection]:
    """Many runs, nearly all of one session, and many requests; with statistics and without."""
    name = f"plans_{request.param}"
    connection = Connection(Address.of(cluster.database(name)).connection())
    bring_up_to_date(connection, name)
    for table in TABLES:
        connection.real.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
    connection.execute(runs_of.RUNS, (MANY,))
    connection.execute(runs_of.SESSIONS, (MANY,))
    connection.execute(requests_of.REQUESTS, (MANY,))
    history = 'SELECT session_id, id, \'{"role": "user", "content": []}\' FROM runs'
    connection.execute(f"INSERT INTO history (session_id, run_id, message) {history}")
    if request.param:
        connection.real.execute(b"ANALYZE")
    check_server(connection, name)
    yield connection
    connection.real.close()


READ = """
SELECT sum(seq_tup_read) + sum(coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
"""


def rows_read(connection: Connection, work: Callable[[Connection], Any]) -> int:
    """How many rows of tables a piece of work reads."""
    connection.begin(b"REPEATABLE READ")
    try:
        ((before,),) = connection.execute(READ).fetchall()
        work(connection)
        ((after,),) = connection.execute(READ).fetchall()
        return int(after - before)
    finally:
        connection.roll_back()


@pytest.mark.parametrize("statuses", runs_of.FILTERS, ids=lambda each: "+".join(each) or "all")
@pytest.mark.parametrize("session_id", [None, "s1"], ids=["of all", "of one session"])
@pytest.mark.parametrize("before", [None, 70])
def test_a_page_of_runs_reads_few_rows(
    request: pytest.FixtureRequest,
    many: Connection,
    session_id: str | None,
    statuses: Any,
    before: int | None,
) -> None:
    def page(connection: Connection) -> None:
        run_page(connection, session_id, statuses, 20, before, {"r25", "r35"})

    if "cancelling" in statuses and session_id and "never" in request.node.name:
        pytest.skip("which index is better is not known without statistics")
    assert rows_read(many, page) < FEW_ROWS


@pytest.mark.parametrize("statuses", requests_of.FILTERS, ids=lambda each: "+".join(each) or "all")
@pytest.mark.parametrize("session_id", [None, "s1"], ids=["of all", "of one session"])
def test_a_page_of_requests_reads_few_rows(
    many: Connection, session_id: str | None, statuses: Any
) -> None:
    def page(connection: Connection) -> None:
        permissions.permissions(connection, session_id, statuses, 20, None)

    assert rows_read(many, page) < FEW_ROWS


@pytest.mark.parametrize(
    "query",
    [
        leftovers.sessions_with_queue,
        reads.deleting,
        lambda connection: reads.sessions(connection, 20, None),
        lambda connection: reads.sessions(connection, 20, 500),
        lambda connection: reads.session_with_queue(connection, "s1"),
        lambda connection: reads.message_page(connection, "s1", 2, None),
        lambda connection: leftovers.queues(connection, ["s1", "s2"]),
        lambda connection: leftovers.cut_off(connection, 100),
        lambda connection: reads.runs(connection, None, ("running",), None),
        lambda connection: reads.runs(connection, "s1", ("running",), None),
        lambda connection: reads.run(connection, None, "r30"),
        lambda connection: reads.run_by_request(connection, "s1", "q1"),
        lambda connection: reads.run_messages(connection, "r30"),
        lambda connection: reads.pending_step(connection, "r30"),
        lambda connection: permissions.permission(connection, "s1", "p30"),
        lambda connection: permissions.run_permissions(connection, "r3"),
        lambda connection: permissions.grants(connection, "s2"),
    ],
)
def test_what_is_looked_for_is_found_by_an_index(many: Connection, query: Any) -> None:
    assert rows_read(many, query) < FEW_ROWS


CHANGES: list[list[Change]] = [
    [samples.ended("r3")],
    [samples.started("r3"), samples.started("r5")],
    [samples.recorded("r3"), CallEnded("s1", "r3", samples.call_ended("r3").result)],
    [samples.step_ended("r3"), samples.step_ended("r9")],
    [samples.asked("new", "r4")],
    [samples.answered("p25", "r2", "s2")],
    [*samples.turn("new", "s1")],
    [SessionErased("s77")],
]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda each: type(each[0]).__name__)
def test_a_change_reads_few_rows(many: Connection, changes: list[Change]) -> None:
    assert rows_read(many, lambda connection: write_together(connection, changes)) < FEW_ROWS
