"""A session that another node has taken, where the one that had it does not know it yet."""

from cluster.conftest import Pair, number_of
from cluster.test_nodes_that_go import begun


async def test_who_reads_it_there_is_shown_what_the_new_owner_shows(pair: Pair) -> None:
    session_id = await pair.first.session()
    await pair.first.send(session_id)
    pair.cluster.run(
        f"UPDATE sessions SET node = {number_of(pair.second)} WHERE id = '{session_id}'",
        pair.database,
    )
    _, gate = await begun(pair.second, session_id, "One")
    shown = (await pair.first.client.get(f"/sessions/{session_id}")).json()
    assert shown["status"] == "running"
    assert shown == (await pair.second.client.get(f"/sessions/{session_id}")).json()
    gate.open()
