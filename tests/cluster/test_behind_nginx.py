"""Three nodes behind nginx, with the very configuration of `examples/cluster`."""

import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import attrs
import httpx
import pytest
import trio

from cluster.three_nodes import PATIENCE, Behind, behind_nginx, nginx_program
from postgres_kit import Cluster
from server_kit import Frame, parse_frames
from wingman.api import NewAgent, ProviderConfig
from wingman.client import Client, Session


@pytest.fixture(scope="module")
def behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Behind]:
    nginx = nginx_program()
    if nginx is None:
        pytest.skip("nginx is not installed")
    cluster: Cluster = request.getfixturevalue("cluster")
    home = tmp_path_factory.mktemp("nginx")
    with behind_nginx(cluster.database("behind_nginx"), home, nginx) as behind:
        yield behind


async def a_session(client: Client, work_dir: Path) -> Session:
    """A session whose agent does as it is told."""
    agent = await client.agents.create(
        NewAgent(name="A", tools=("bash",), provider=ProviderConfig(id="scripted"))
    )
    return await client.create_session(agent.id, work_dir=work_dir)


@attrs.define(eq=False)
class Reader:
    """Reads a session's events as a browser does: from connection to connection, each with the
    `Last-Event-ID` of the one before."""

    behind: Behind
    session_id: str
    seen: list[Frame] = attrs.field(factory=list)
    connections: int = 0
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def read(self) -> None:
        async with self.behind.http() as http:
            while True:
                try:
                    await self._read(http)
                except httpx.TransportError:
                    await trio.sleep(0.05)

    async def _read(self, http: httpx.AsyncClient) -> None:
        last = max((frame.id for frame in self.seen if frame.id is not None), default=0)
        path, headers = f"/sessions/{self.session_id}/events", {"Last-Event-ID": str(last)}
        async with http.stream("GET", path, headers=headers) as answer:
            if answer.status_code == 503:
                return
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.connections += 1
            text = ""
            async for piece in answer.aiter_text():
                whole, end, text = (text + piece).rpartition("\n\n")
                self.seen += parse_frames(whole + end)
                self._news.unpark_all()

    async def has(self, event: str, run_id: str) -> None:
        """Wait for an event of this run."""
        while not any(each.event == event and each.data["run_id"] == run_id for each in self.seen):
            await self._news.park()


async def test_a_reader_goes_on_when_the_node_is_killed_that_runs_what_it_reads(
    behind: Behind, tmp_path: Path
) -> None:
    with trio.fail_after(PATIENCE):
        async with behind.client() as client, trio.open_nursery() as nursery:
            session = await a_session(client, tmp_path)
            reader = Reader(behind, session.id)
            nursery.start_soon(reader.read)
            cut = await session.submit("!bash sleep 60")
            await reader.has("tool_use", cut.id)  # it comes while the tool works
            owner = await trio.to_thread.run_sync(behind.owner_of, session.id)
            await trio.to_thread.run_sync(owner.stop, signal.SIGKILL)
            again = await session.run("!bash echo again")
            await reader.has("done", again.run_id)
            nursery.cancel_scope.cancel()
        async with behind.client() as client:
            assert (await client.describe_run(session.id, cut.id)).status == "interrupted"
            history = await (await client.session(session.id)).history()
    owner.start()
    ids = [frame.id for frame in reader.seen if frame.id is not None]
    assert all(one < other for one, other in pairwise(ids))
    # What the dead node had not told is in the history, to which the reader was sent.
    assert "resync" in {frame.event for frame in reader.seen}
    assert [message.text for message in history if message.role == "user" and message.text] == [
        "!bash sleep 60",
        "!bash echo again",
    ]


async def test_a_cancel_reaches_the_run_on_whichever_node_it_is(
    behind: Behind, tmp_path: Path
) -> None:
    with trio.fail_after(PATIENCE):
        async with behind.client() as client:
            for _ in range(4):
                session = await a_session(client, tmp_path)
                run = await session.submit("!bash sleep 60")
                receipt = await client.cancel_run(session.id, run.id)
                assert [each.run_id for each in receipt.cancelled] == [run.id]
                await run.wait()
                assert run.status == "cancelled"


async def test_nodes_are_restarted_in_turn_under_load_and_nothing_is_lost_or_done_twice(
    behind: Behind, tmp_path: Path
) -> None:
    counts: dict[str, int] = {}
    over = trio.Event()

    async def talk(session: Session) -> None:
        while not over.is_set():
            result = await session.run(f"number {counts.get(session.id, 0)}")
            assert result.stop_reason == "end_turn"
            counts[session.id] = counts.get(session.id, 0) + 1

    async with behind.client() as client:
        # A message has its request_id, and is sent again. What makes a session has none.
        sessions = [await a_session(client, tmp_path) for _ in range(3)]
        with trio.fail_after(2 * PATIENCE):
            async with trio.open_nursery() as nursery:
                for session in sessions:
                    nursery.start_soon(talk, session)
                for node in behind.nodes:
                    assert await trio.to_thread.run_sync(node.stop) == 0
                    node.start()
                    await trio.to_thread.run_sync(node.wait)
                over.set()
        runs = [run async for run in client.runs()]
    for session_id, count in counts.items():
        assert count > 0
        statuses = [run.status for run in runs if run.session_id == session_id]
        assert statuses == ["completed"] * count
