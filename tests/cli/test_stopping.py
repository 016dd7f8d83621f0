"""SIGTERM: a `wingman serve` process is gone within its grace plus a second, whatever is in it."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio

from cli.terminal import Command, running, wingman
from cli.test_serve import appears, url_of
from server_kit import Frame, Wire

BASH = {"name": "A", "tools": ["bash"], "provider": {"id": "scripted"}}
DEAF = "trap '' TERM; touch began; while :; do sleep 0.05; done"
"""A command that ignores SIGTERM; where it works, `began` appears."""

SLACK = 0.25
"""Seconds in which a busy machine may tell us late."""


@attrs.define(eq=False)
class Serving:
    """A server process, a client, and an agent."""

    command: Command
    http: httpx.AsyncClient
    url: str
    home: Path
    agent_id: str = ""

    async def session(self) -> str:
        body = {"work_dir": str(self.home), "agent_id": self.agent_id}
        return str((await self.http.post("/sessions", json=body)).json()["id"])

    async def start(self, session_id: str, message: str) -> str:
        answer = await self.http.post(
            f"/sessions/{session_id}/message",
            json={"message": message},
            headers={"Prefer": "respond-async"},
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])

    async def runs(self, session_id: str) -> list[str]:
        """The statuses of a session's runs, in order, once all have ended."""
        runs = (await self.http.get(f"/sessions/{session_id}/runs")).json()
        ended = [await self.http.get(f"{_path(run)}?wait=10") for run in runs]
        return sorted(run.json()["status"] for run in ended)

    def signal(self) -> float:
        self.command.process.send_signal(signal.SIGTERM)
        return trio.current_time()


def _path(run: Any) -> str:
    return f"/sessions/{run['session_id']}/runs/{run['id']}"


@asynccontextmanager
async def served(command: Command, home: Path) -> AsyncIterator[Serving]:
    url = await url_of(command)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as http:
        serving = Serving(command, http, url, home)
        serving.agent_id = (await http.post("/agents", json=BASH)).json()["id"]
        yield serving


@asynccontextmanager
async def server(home: Path, *, grace: float) -> AsyncIterator[Serving]:
    arguments = ("serve", "--port", "0", "--db", "w.db", "--grace", str(grace))
    async with wingman(*arguments, home=home) as command, served(command, home) as serving:
        yield serving


async def stream(serving: Serving, session_id: str, message: str) -> Wire:
    """A stream whose head was read."""
    wire = await Wire.open(serving.url)
    await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": message})
    assert (await wire.head()).status == 200
    return wire


async def listens(frames: list[Frame], wire: Wire) -> None:
    frames += await wire.frames()


async def test_nothing_that_clients_and_commands_do_holds_up_the_end(tmp_path: Path) -> None:
    grace = 0.3
    async with server(tmp_path, grace=grace) as serving, AsyncExitStack() as stack:
        session_id, other = await serving.session(), await serving.session()
        wires = [await stack.enter_async_context(await Wire.open(serving.url)) for _ in range(5)]
        fresh, half_head, half_body, idle, stalled = wires
        await half_head.stream.send_all(b"POST /sessions HTTP/1.1\r\nHost: localh")
        body = b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        await half_body.stream.send_all(body + b'Content-Length: 99\r\n\r\n{"title"')
        await idle.ask("GET", "/health")
        # It will never read what it asks for; more of it than any buffer holds.
        await stalled.send("POST", f"/sessions/{other}/message/stream", {"message": "x" * 9**7})
        deaf = await stack.enter_async_context(await stream(serving, session_id, f"!bash {DEAF}"))
        follower = await stack.enter_async_context(await Wire.open(serving.url))
        await follower.send("GET", f"/sessions/{other}/events")
        await follower.head()
        await appears(tmp_path / "began")
        await serving.start(session_id, "!bash echo queued")
        heard: list[Frame] = []
        followed: list[Frame] = []
        async with trio.open_nursery() as nursery:
            start = serving.signal()
            nursery.start_soon(listens, heard, deaf)
            nursery.start_soon(listens, followed, follower)
            await serving.command.process.wait()
            took = trio.current_time() - start
        assert grace <= took <= grace + 1 + SLACK
        assert await serving.command.ended() == 0
        assert serving.command.survivors() == []
        assert (heard[-1].event, heard[-1].data["stop_reason"]) == ("done", "interrupted")
        assert (followed[-1].event, followed[-1].data["code"]) == ("error", "shutting_down")
        assert await fresh.at_end()
    async with server(tmp_path, grace=0) as again:
        assert await again.runs(session_id) == ["completed", "interrupted"]
        history = (await again.http.get(f"/sessions/{session_id}")).json()["history"]
        assert history[-2]["content"][0]["content"] == "queued\n"


async def test_while_it_drains_a_message_is_503_with_retry_after(tmp_path: Path) -> None:
    async with server(tmp_path, grace=20) as serving:
        session_id = await serving.session()
        await serving.start(session_id, "!bash touch began; until [ -e go ]; do sleep 0.01; done")
        await appears(tmp_path / "began")
        serving.signal()
        await serving.command.says("what runs has 20 s")
        answer = await serving.http.post(f"/sessions/{session_id}/message", json={"message": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
        assert int(answer.headers["Retry-After"]) >= 1
        (tmp_path / "go").touch()
        assert await serving.command.ended() == 0


async def test_a_second_sigterm_ends_a_deaf_command_within_a_second(tmp_path: Path) -> None:
    async with server(tmp_path, grace=60) as serving:
        session_id = await serving.session()
        await serving.start(session_id, f"!bash {DEAF}")
        await appears(tmp_path / "began")
        serving.signal()
        await serving.command.says("A second signal interrupts it.")
        start = serving.signal()
        assert await serving.command.ended() == 128 + signal.SIGTERM
        assert trio.current_time() - start <= 1 + SLACK
        assert serving.command.survivors() == []
    async with server(tmp_path, grace=0) as again:
        assert await again.runs(session_id) == ["interrupted"]


SHIELDED = """
import functools, pathlib, trio
import wingman, wingman.cli.serve

@wingman.tool
async def shield() -> str:
    "Do not stop, whatever happens."
    pathlib.Path("began").touch()
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()
    return ""

wingman.cli.serve.Runtime = functools.partial(wingman.Runtime, tools=[shield])
wingman.cli.main()
"""


@pytest.mark.parametrize("signals", [1, 2])
async def test_a_tool_that_shields_itself_ends_with_the_process(
    tmp_path: Path, signals: int
) -> None:
    program = (sys.executable, "-c", SHIELDED)
    grace = 0.3 if signals == 1 else 60
    arguments = ("serve", "--port", "0", "--db", "w.db", "--grace", str(grace))
    async with (
        running(*program, *arguments, home=tmp_path) as command,
        served(command, tmp_path) as serving,
    ):
        await serving.http.put(f"/agents/{serving.agent_id}", json={"tools": ["bash", "shield"]})
        session_id = await serving.session()
        async with await stream(serving, session_id, "!shield") as wire:
            await appears(tmp_path / "began")
            await serving.start(session_id, "!bash echo queued")
            start = serving.signal()
            if signals == 2:
                await command.says("A second signal interrupts it.")
                start, grace = serving.signal(), 0
            else:
                # The stream is cut with a reason, though its run will not end.
                frames = await wire.frames()
                assert frames[-1].data["code"] == "shutting_down"
            await command.ended()
            assert grace <= trio.current_time() - start <= grace + 1 + SLACK
        assert "what has not stopped ends with it" in command.err
    async with server(tmp_path, grace=0) as again:
        assert await again.runs(session_id) == ["completed", "interrupted"]
