"""Three nodes behind nginx, with the very configuration of `examples/cluster`."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from cluster.three_nodes import PATIENCE, Behind, behind_nginx, nginx_program
from postgres_kit import Cluster
from server_kit import Frame, parse_frames
from wingman.api import NewAgent, ProviderConfig
from wingman.client import Client, Session


@pytest.fixture(scope="module")
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
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


async def events(http: httpx.AsyncClient, session_id: str, after: str) -> AsyncIterator[Frame]:
    """What a reader is sent after this event, until its connection ends."""
    headers = {"Last-Event-ID": after}
    async with http.stream("GET", f"/sessions/{session_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            whole, separator, text = text.rpartition("\n\n")
            for frame in parse_frames(whole + separator):
                yield frame


async def read(
    behind: Behind, session_id: str, seen: list[Frame], until: "trio.Event | None", event: str
) -> None:
    """Read a session's events as a browser does, from connection to connection, up to an event of
    this kind; `until` is set when there is progress of a tool."""
    async with behind.http() as http:
        while not any(frame.event == event for frame in seen):
            after = str(max((frame.id or 0 for frame in seen), default=0))
            try:
                async for frame in events(http, session_id, after):
                    seen.append(frame); print(frame)
                    if frame.event == "tool_use" and until is not None:
                        until.set()
                    if frame.event == event:
                        return
            except httpx.TransportError as e:
                print(repr(e))


async def test_a_reader_misses_and_repeats_nothing_when_its_node_is_killed(
    behind: Behind, tmp_path: Path
) -> None:
    seen: list[Frame] = []
    begun = trio.Event()
    with trio.fail_after(PATIENCE):
        async with behind.client() as client, trio.open_nursery() as nursery:
            session = await a_session(client, tmp_path)
            nursery.start_soon(read, behind, session.id, seen, begun, "done")
            cut = await session.submit("!bash echo begun; sleep 60")
            print('submitted'); await begun.wait(); print('begun')  # what a tool says comes through while it works
            owner = await trio.to_thread.run_sync(behind.owner_of, session.id)
            owner.stop(signal.SIGKILL)
            died = trio.current_time(); print('killed', owner.port)
            result = await session.run("!bash echo again")
            print("answered after", trio.current_time() - died)
    print([(f.id, f.event) for f in seen])
    print(await_status := cut.status, result)
    assert 0
