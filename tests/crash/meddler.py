"""The meddler: it kills, stops, replaces and removes the MCP server while its calls are in flight,
and knows what of it was acknowledged."""

import contextlib
import os
import signal
from pathlib import Path
from random import Random

import attrs
import httpx
import trio

from crash.book import Book
from crash.marks import CALL_SECONDS, NAME, call, definition

__all__ = ["Meddler"]

_PATH = f"/mcp/{NAME}"


@attrs.define(eq=False)
class Meddler:
    """What is done to the MCP server. `may_be` are the variables by which it may be found: that of
    the last change that was acknowledged, and of those sent since; None is no server."""

    book: Book
    random: Random
    may_be: list[str | None] = attrs.field(factory=lambda: [None])

    async def begin(self, http: httpx.AsyncClient) -> None:
        """The server is as it was acknowledged to be; where there is none, put one."""
        answer = await http.get(_PATH)
        found = answer.json()["env"][0] if answer.status_code == 200 else None
        told = f"the MCP server is {found}, and should be one of {self.may_be}"
        self.book.findings.check(found in self.may_be, told)
        self.may_be = [found]
        if found is None:
            await self._put(http)

    async def meddle(self, http: httpx.AsyncClient) -> None:
        """Do one thing after the other to the server, until Wingman's is gone."""
        actions = {
            self._kill: 3,
            self._stop: 2,
            self._put: 2,
            self._remove: 1,
            self._disconnect: 2,
        }
        with contextlib.suppress(httpx.TransportError):
            while True:
                await trio.sleep(self.random.uniform(0.1, 1.0))
                (action,) = self.random.choices(list(actions), list(actions.values()))
                await action(http)

    async def until_connected(self, http: httpx.AsyncClient, work_dir: str) -> None:
        """Return when it is connected to for this directory."""
        with contextlib.suppress(httpx.TransportError):
            await http.post(f"{_PATH}/connect", json={"work_dir": work_dir})

    async def check_that_calls_work(
        self, http: httpx.AsyncClient, agent_id: str, work_dir: Path
    ) -> None:
        """A server that is killed costs the calls in flight; the next step has it again."""
        log = work_dir / "last.marks"
        body = {"agent_id": agent_id, "work_dir": str(work_dir)}
        session_id = (await http.post("/sessions", json=body)).json()["id"]
        steps = (call("one", log), call("two", log, how="hang"), call("three", log))
        answer: list[httpx.Response] = []

        async def send() -> None:
            message = {"message": "\n---\n".join(steps)}
            answer.append(await http.post(f"/sessions/{session_id}/message", json=message))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            with trio.move_on_after(CALL_SECONDS + 5):
                while not (log.exists() and "two" in log.read_text()):  # noqa: ASYNC110 a file
                    await trio.sleep(0.005)
            for pid in await self._pids(http):
                self._signal(pid, signal.SIGKILL)
        said = [each["output"] for each in answer[0].json()["tool_calls"]]
        lost = "The call was in flight, and may have had its effect. "
        well = (said[0], said[2], said[1][: len(lost)]) == ("marked one", "marked three", lost)
        self.book.findings.check(well, f"the last calls gave {said}")
        self.book.findings.done["last calls of an MCP server"] += 1
        ran = log.read_text().split()
        self.book.findings.check(ran == ["one", "two", "three"], f"the last calls that ran: {ran}")

    async def _kill(self, http: httpx.AsyncClient) -> None:
        for pid in self._some(await self._pids(http)):
            self._signal(pid, signal.SIGKILL)
            self.book.findings.done["MCP servers killed"] += 1

    async def _stop(self, http: httpx.AsyncClient) -> None:
        """It does not read for a while; if Wingman dies meanwhile, it must die as well."""
        for pid in self._some(await self._pids(http)):
            self._signal(pid, signal.SIGSTOP)
            self.book.findings.done["MCP servers stopped for a while"] += 1
            try:
                await trio.sleep(self.random.uniform(0.05, 0.5))
            finally:
                if self.random.random() < 0.7:
                    self._signal(pid, signal.SIGCONT)

    async def _put(self, http: httpx.AsyncClient) -> None:
        variable = f"NUMBER_{self.book.number()}"
        self.may_be.append(variable)
        answer = await http.put(_PATH, json=definition(variable))
        self._acknowledged(answer, variable)

    async def _remove(self, http: httpx.AsyncClient) -> None:
        self.may_be.append(None)
        self._acknowledged(await http.delete(_PATH), None)
        await self._put(http)

    async def _disconnect(self, http: httpx.AsyncClient) -> None:
        answer = await http.post(f"{_PATH}/disconnect")
        self.book.findings.check(answer.status_code in (200, 404, 503), answer.text)
        self.book.findings.done["MCP servers disconnected"] += 1

    def _acknowledged(self, answer: httpx.Response, what: str | None) -> None:
        if answer.status_code == 200:
            self.may_be = [what]
            self.book.findings.done["MCP servers changed"] += 1
        else:
            known = answer.status_code in (404, 503)
            request = answer.request
            self.book.findings.check(known, f"{request.method} {_PATH}: {answer.text}")

    async def _pids(self, http: httpx.AsyncClient) -> list[int]:
        answer = await http.get(_PATH)
        connections = answer.json()["connections"] if answer.status_code == 200 else []
        return [each["pid"] for each in connections if "pid" in each]

    def _some(self, pids: list[int]) -> list[int]:
        return self.random.sample(pids, min(len(pids), 1))

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
