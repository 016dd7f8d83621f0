"""A server that is killed while people are asked: an answer that was acknowledged counts, once."""

import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs
import httpx
import pytest
import trio

from crash.victim import Victim

_START_SECONDS: Final = 30.0
_MAY_HAVE_RUN: Final = "may have run"
# A request whose server dies under it leaves httpx's generator of its body unfinished.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@attrs.define(eq=False)
class Servers:
    """One life of the server after the other, over one database. What the tools do stands in the
    file `marks`, a line for each execution."""

    directory: Path
    options: tuple[str, ...] = ("--log-level", "warning", "--grace", "30")

    @property
    def marks(self) -> Path:
        return self.directory / "marks"

    @property
    def ran(self) -> list[str]:
        return self.marks.read_text().split() if self.marks.exists() else []

    @asynccontextmanager
    async def life(self) -> AsyncIterator[tuple[Victim, httpx.AsyncClient]]:
        """A server that listens, and a client of it; it is killed at the end."""
        database, log = self.directory / "wingman.db", self.directory / "server.log"
        async with trio.open_nursery() as nursery:
            victim = await Victim.start(nursery, database, log, str(self.directory), self.options)
            try:
                with trio.fail_after(_START_SECONDS):
                    await victim.listens.wait()
                async with httpx.AsyncClient(base_url=victim.url, timeout=30) as http:
                    yield victim, http
            finally:
                victim.kill()
                with trio.move_on_after(10, shield=True):
                    await victim.process.wait()
                nursery.cancel_scope.cancel()

    def command(self, mark: str) -> str:
        return f"!bash echo {mark} >> {self.marks}"


async def new_session(http: httpx.AsyncClient) -> str:
    """A session whose agent asks before each command."""
    agent = {
        "name": "asker",
        "tools": ["bash"],
        "provider": {"id": "scripted"},
        "permissions": {"bash": "ask"},
    }
    agent_id = (await http.post("/agents", json=agent)).json()["id"]
    return str((await http.post("/sessions", json={"agent_id": agent_id})).json()["id"])


async def send(http: httpx.AsyncClient, session_id: str, message: str) -> str:
    answer = await http.post(
        f"/sessions/{session_id}/message",
        json={"message": message},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["run_id"])


async def until_asked(http: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """What waits for an answer, oldest first, once it is so many."""
    with trio.fail_after(30):
        while True:
            found: list[dict[str, Any]] = (await http.get("/permissions?limit=1000")).json()
            if len(found) >= count:
                return found[::-1]
            await trio.sleep(0.02)


async def give(http: httpx.AsyncClient, request: Mapping[str, Any], decision: str) -> int:
    path = f"/sessions/{request['session_id']}/permissions/{request['id']}"
    return (await http.post(path, json={"decision": decision})).status_code


async def ended(http: httpx.AsyncClient, session_id: str, run_id: str) -> dict[str, Any]:
    answer = await http.get(f"/sessions/{session_id}/runs/{run_id}?wait=20")
    run: dict[str, Any] = answer.json()
    assert run["ended_at"] is not None, run
    return run


async def results(http: httpx.AsyncClient, session_id: str) -> dict[str, str]:
    """The results of a session's calls, by the mark that each command would make."""
    history = (await http.get(f"/sessions/{session_id}")).json()["history"]
    blocks = [block for message in history for block in message["content"]]
    uses = {b["id"]: b["input"]["command"].split()[1] for b in blocks if b["type"] == "tool_use"}
    found = [b for b in blocks if b["type"] == "tool_result"]
    assert sorted(uses) == sorted(b["tool_use_id"] for b in found), "one result for each call"
    return {uses[b["tool_use_id"]]: b["content"] for b in found}


async def test_requests_outlive_a_kill_and_their_answers_count_once(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    async with servers.life() as (_, http):
        session_id = await new_session(http)
        first = await send(http, session_id, f"{servers.command('a')}\n{servers.command('b')}")
        later = await send(http, session_id, servers.command("later"))
        asked = await until_asked(http, 2)
    async with servers.life() as (_, http):
        assert await until_asked(http, 2) == asked
        assert [await give(http, request, "once") for request in asked] == [200, 200]
        assert [await give(http, request, "once") for request in asked] == [409, 409]
        assert (await ended(http, session_id, first))["status"] == "completed"
        (request,) = await until_asked(http, 1)
        assert request["run_id"] == later
        assert sorted(servers.ran) == ["a", "b"]
    async with servers.life() as (_, http):
        assert await until_asked(http, 1) == [request]
        cancelled = await http.post(f"/sessions/{session_id}/cancel", json={})
        assert cancelled.status_code == 200, cancelled.text
        assert (await ended(http, session_id, later))["status"] == "cancelled"
        assert await give(http, request, "once") == 409
        assert (await http.get("/permissions")).json() == []
        assert "has not run" in (await results(http, session_id))["later"]
    assert sorted(servers.ran) == ["a", "b"]


async def test_a_server_that_waits_for_people_alone_stops_at_once_and_goes_on(
    tmp_path: Path,
) -> None:
    servers = Servers(tmp_path)
    async with servers.life() as (victim, http):
        session_id = await new_session(http)
        run = await send(http, session_id, servers.command("a"))
        later = await send(http, session_id, servers.command("b"))
        (request,) = await until_asked(http, 1)
        victim.process.send_signal(signal.SIGTERM)
        with trio.fail_after(15):  # the grace is 30 s
            assert await victim.process.wait() in (0, 143)
    async with servers.life() as (_, http):
        assert await until_asked(http, 1) == [request]
        assert await give(http, request, "once") == 200
        assert (await ended(http, session_id, run))["status"] == "completed"
        (request,) = await until_asked(http, 1)
        assert await give(http, request, "reject") == 200
        assert (await ended(http, session_id, later))["status"] == "completed"
    assert servers.ran == ["a"]


@attrs.define(eq=False)
class Answers:
    """Many runs that wait, and answers given while the server is killed again and again.

    `given` has the decisions that were acknowledged, by the command's mark.
    """

    servers: Servers
    random: Random
    sessions: dict[str, list[str]] = attrs.field(factory=dict)  # their runs
    given: dict[str, str] = attrs.field(factory=dict)

    async def begin(self, count: int) -> None:
        async with self.servers.life() as (_, http):
            for number in range(count):
                session_id = await new_session(http)
                text = "\n---\n".join(
                    "\n".join(self.servers.command(f"{number}.{step}.{call}") for call in range(3))
                    for step in range(2)
                )
                self.sessions[session_id] = [await send(http, session_id, text)]
                again = self.servers.command(f"{number}.again")
                self.sessions[session_id].append(await send(http, session_id, again))
            await until_asked(http, 3 * count)

    async def live_and_die(self, seconds: float) -> None:
        """A life in which answers are given, and the server is killed in their midst."""
        async with self.servers.life() as (victim, http):
            asked = await until_asked(http, 1)
            async with trio.open_nursery() as nursery:
                for request in asked:
                    nursery.start_soon(self._answer, http, request, 2 * seconds)
                await trio.sleep(seconds)
                victim.kill()

    async def _answer(
        self, http: httpx.AsyncClient, request: Mapping[str, Any], within: float
    ) -> None:
        await trio.sleep(self.random.uniform(0, within))
        decision = self.random.choice(("once", "once", "reject"))
        try:
            code = await give(http, request, decision)
        except httpx.TransportError:
            return
        assert code in (200, 409), code
        if code == 200:
            self.given[request["input"]["command"].split()[1]] = decision

    async def finish(self) -> None:
        """Answer all that is left, and hold what was done against what was said."""
        async with self.servers.life() as (_, http):
            with trio.fail_after(60):
                while True:
                    asked = (await http.get("/permissions?limit=1000")).json()
                    async with trio.open_nursery() as nursery:
                        for request in asked:
                            nursery.start_soon(self._answer, http, request, 0.0)
                    runs = [
                        (await http.get(f"/sessions/{session_id}/runs/{run_id}")).json()
                        for session_id, run_ids in self.sessions.items()
                        for run_id in run_ids
                    ]
                    if all(run.get("ended_at") for run in runs):
                        break
                    await trio.sleep(0.05)
            assert {run["status"] for run in runs} <= {"completed", "interrupted"}
            assert (await http.get("/permissions")).json() == []
            for session_id in self.sessions:
                self.check(await results(http, session_id))

    def check(self, results: Mapping[str, str]) -> None:
        ran = self.servers.ran
        assert len(set(ran)) == len(ran), "a call has run twice"
        for mark, result in results.items():
            given = self.given.get(mark)
            if _MAY_HAVE_RUN in result:
                assert given != "reject"
            elif "rejected this call" in result:
                assert given in ("reject", None)  # the server died before it could say so
                assert mark not in ran
            else:
                assert given in ("once", None), result
                assert mark in ran, result


async def test_answers_that_are_given_to_a_dying_server_count_once_or_not_at_all(
    tmp_path: Path,
) -> None:
    answers = Answers(Servers(tmp_path), Random(3))
    await answers.begin(6)
    for _ in range(2):
        await answers.live_and_die(answers.random.uniform(0.05, 0.3))
    await answers.finish()
    assert {"once", "reject"} <= set(answers.given.values())
