"""A session that another node has taken, where the one that had it does not know it yet."""

from cluster.conftest import Pair, number_of


async def test_who_reads_it_there_is_shown_what_the_new_owner_shows(pair: Pair) -> None:
    session_id = await pair.first.session()
    await pair.first.send(session_id)
    before = (await pair.first.client.get(f"/sessions/{session_id}")).json()["last_event_id"]
    pair.cluster.run(
        f"UPDATE sessions SET node = {number_of(pair.second)} WHERE id = '{session_id}'",
        pair.database,
    )
    await pair.second.send(session_id)
    shown = (await pair.first.client.get(f"/sessions/{session_id}")).json()
    assert shown == (await pair.second.client.get(f"/sessions/{session_id}")).json()
    assert shown["last_event_id"] > before
