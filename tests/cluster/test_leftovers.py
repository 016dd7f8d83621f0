"""What is left in the record of a node that lost its connection, or that gave up its sessions."""

import psycopg
import pytest
import trio

from cluster.conftest import Pair, until
from cluster.test_nodes_that_go import begun
from postgres_kit import Cluster
from store.samples import run, session
from wingman.errors import SessionMoved
from wingman.store import (
    Change,
    RunQueued,
    SessionClaimed,
    SessionErased,
    SessionSaved,
)
from wingman.store.postgres import PostgresStore


@pytest.mark.xfail(strict=True, reason="the fence lets writes through of what is not there")
@pytest.mark.parametrize(
    "late", [SessionSaved(session(title="late")), RunQueued(run())], ids=["session", "run"]
)
async def test_what_is_written_late_of_a_session_that_its_next_owner_has_erased_is_refused(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch, late: Change
) -> None:
    monkeypatch.setattr("wingman.store.postgres.store._BEAT_EVERY", 60)  # so that it is late
    url = cluster.url(clean_database)
    async with PostgresStore(url) as one, PostgresStore(url) as other:
        await one.write(SessionSaved(session())).wait()
        former = one.nodes.number
        cluster.run(
            f"SELECT pg_terminate_backend(pid::int) FROM nodes WHERE seq = {former}", clean_database
        )
        with trio.fail_after(10):
            while len(await other.nodes.living()) > 1:  # noqa: ASYNC110
                await trio.sleep(0.01)
            await other.write(SessionClaimed("s1", former)).wait()
            await other.write(SessionErased("s1")).wait()
            with pytest.raises(SessionMoved):
                await one.write(late).wait()
        assert await other.session("s1") is None


@pytest.mark.xfail(strict=True, reason="what was forgotten while nothing was lost is left")
async def test_what_a_node_gave_up_that_was_not_lost_goes_on_by_itself(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database takes nothing for a while, and no connection is lost: the node is still the
    owner by the record, and has stopped all that it ran."""
    monkeypatch.setattr("wingman.cluster.decisions.SILENT_SECONDS", 0.3)
    session_id = await pair.first.session()
    await begun(pair.first, session_id, "One")
    await pair.first.start(session_id, "later")
    with psycopg.connect(pair.cluster.url(pair.database)) as in_the_way:
        in_the_way.execute("SELECT 1 FROM nodes FOR UPDATE")
        await until(lambda: not pair.first.runtime.status().in_flight)
    unfinished = "SELECT 1 FROM runs WHERE status IN ('running', 'queued')"
    await until(lambda: not pair.cluster.run(unfinished, pair.database), 3)
