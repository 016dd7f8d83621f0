"""A node whose database is there, and does not answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import httpx
import pytest
import trio

from cluster.conftest import until
from crash.cluster.wire import Wire
from postgres_kit import Cluster
from server_kit import Gate, Server, Stage, serving


async def is_ready(server: Server) -> bool:
    return bool((await server.client.get("/ready")).status_code == 200)


def sees_another(server: Server) -> bool:
    """Whether the node has seen that it is not alone."""
    assert server.runtime.member is not None
    return server.runtime.member._others


@attrs.define(eq=False)
class Nodes:
    """A node whose way to the database is a wire, and another one."""

    node: Server
    other: Server
    wire: Wire


@asynccontextmanager
async def nodes(cluster: Cluster, database: str) -> AsyncIterator[Nodes]:
    stage = Stage()
    async with trio.open_nursery() as nursery:
        wire = Wire(cluster.port)
        await nursery.start(wire.serve)
        url = f"postgresql://postgres@127.0.0.1:{wire.port}/{database}"
        async with (
            serving(url, stage=stage) as node,
            serving(cluster.url(database), stage=stage) as other,
        ):
            try:
                yield Nodes(node, other, wire)
            finally:
                wire.mend()
        nursery.cancel_scope.cancel()


async def test_it_is_not_ready_and_says_so_to_whoever_asks_and_goes_on_when_it_is_answered(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingman.runtime.status._SILENT_SECONDS", 0.4)
    monkeypatch.setattr("wingman.cluster.decisions.SILENT_SECONDS", 0.8)
    async with nodes(cluster, clean_database) as two:
        node = two.node
        session_id = await two.other.session()
        assert (await node.client.get(f"/sessions/{session_id}")).status_code == 200
        two.wire.silence()
        with trio.fail_after(10):
            answer = await node.client.get(f"/sessions/{session_id}")
            assert answer.json()["error"]["code"] == "store_unavailable"
            assert "has not answered" in answer.text
            assert not await is_ready(node)
            assert await is_ready(two.other)
        two.wire.mend()
        await until(lambda: is_ready(node))
        assert (await node.client.get(f"/sessions/{session_id}")).status_code == 200


@pytest.mark.parametrize("behind", [False, True], ids=["the first one", "behind another"])
async def test_who_has_sent_a_message_that_is_not_recorded_yet_is_told_to_send_it_again(
    cluster: Cluster, clean_database: str, monkeypatch: pytest.MonkeyPatch, behind: bool
) -> None:
    monkeypatch.setattr("wingman.cluster.decisions.SILENT_SECONDS", 0.8)
    async with nodes(cluster, clean_database) as two:
        session_id = await two.node.session()
        assert (await two.node.send(session_id)).status_code == 200
        if behind:
            two.node.stage.play("One", Gate())
            await two.node.start(session_id)
        await until(lambda: sees_another(two.node))
        two.wire.silence()
        answers: list[httpx.Response] = []

        async def send(**headers: str) -> None:
            answers.append(await two.node.send(session_id, headers=headers))

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                nursery.start_soon(partial(send, Prefer="respond-async"))
        for answer in answers:
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["code"] == "node_lost"
            assert "request_id" in answer.text
        two.wire.mend()
        await until(lambda: answers_again(two.other, session_id))


async def answers_again(server: Server, session_id: str) -> bool:
    return bool((await server.send(session_id)).status_code == 200)
