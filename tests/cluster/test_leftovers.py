"""What is left in the record of a node that lost its connection, or did not hear of its claim."""

from typing import Any

import psycopg
import pytest
import trio

from cluster.conftest import Pair, until
from cluster.test_nodes_that_go import begun
from postgres_kit import Cluster
from store.samples import run, session
from wingman.cluster import ClusterOwners
from wingman.store import (
    Change,
    Commit,
    RunQueued,
    SessionClaimed,
    SessionErased,
    SessionReleased,
    SessionSaved,
)
from wingman.store.postgres import PostgresStore


@pytest.mark.parametrize(
    "late",
    [SessionSaved(session(title="late"), is_new=False), RunQueued(run())],
    ids=["session", "run"],
)
async def test_what_is_written_late_of_a_session_that_its_next_owner_has_erased_is_not_there(
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
            await one.write(late).wait()
        assert await other.session("s1") is None
        assert await other.runs() == ()


async def test_a_session_whose_claim_was_cancelled_is_not_left_to_nobody(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client that asked went away: the claim was made, and the node does not know it."""
    url = cluster.url(clean_database)
    async with PostgresStore(url) as store:
        await store.write(SessionSaved(session()), RunQueued(run())).wait()
        await store.write(SessionReleased("s1")).wait()
        assert await store.nodes.unowned(1)
        stray: list[str] = []
        owners = ClusterOwners(store, store.nodes, on_stray=stray.extend)
        write = store.write
        with trio.CancelScope() as client:

            def write_and_cancel(*changes: Change, **more: Any) -> Commit:
                commit = write(*changes, **more)
                client.cancel()
                return commit

            monkeypatch.setattr(store, "write", write_and_cancel)
            await owners.claim("s1")
        assert client.cancelled_caught
        await write().wait()
        assert await store.nodes.unowned(1) == ()
        assert stray == ["s1"]
        assert await owners.let_go("s1")
        assert await store.nodes.unowned(1)


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
