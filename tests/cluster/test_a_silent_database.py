"""A node whose database is there, and does not answer."""

import pytest
import trio

from cluster.conftest import until
from crash.cluster.wire import Wire
from postgres_kit import Cluster
from server_kit import Server, Stage, serving


async def is_ready(server: Server) -> bool:
    return bool((await server.client.get("/ready")).status_code == 200)


async def test_it_is_not_ready_and_says_so_to_whoever_asks_and_goes_on_when_it_is_answered(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.runtime.status._SILENT_SECONDS", 0.4)
    monkeypatch.setattr("wingman.cluster.decisions.SILENT_SECONDS", 0.8)
    stage = Stage()
    async with trio.open_nursery() as nursery:
        wire = Wire(cluster.port)
        await nursery.start(wire.serve)
        url = f"postgresql://postgres@127.0.0.1:{wire.port}/{clean_database}"
        async with (
            serving(url, stage=stage) as node,
            serving(cluster.url(clean_database), stage=stage) as other,
        ):
            session_id = await other.session()
            assert (await node.client.get(f"/sessions/{session_id}")).status_code == 200
            wire.silence()
            with trio.fail_after(10):
                answer = await node.client.get(f"/sessions/{session_id}")
                assert answer.json()["error"]["code"] == "store_unavailable"
                assert "has not answered" in answer.text
                assert not await is_ready(node)
                assert await is_ready(other)
            wire.mend()
            await until(lambda: is_ready(node))
            assert (await node.client.get(f"/sessions/{session_id}")).status_code == 200
        nursery.cancel_scope.cancel()
