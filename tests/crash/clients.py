"""Clients: each does one random thing after another over HTTP, and writes what it is told into the
book, until the server is gone.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import httpx
import trio

from crash.book import Book, Known, Sent
from crash.follower import frames
from crash.marks import NAME
from crash.plans import make_plan

__all__ = ["Agents", "Client", "error_code", "make_agents"]

_MOST_SESSIONS = 10
_MOST_WAITING = 12  # unanswered messages of a session, beyond which nothing new is sent to it


_UNFINISHED = ("queued", "running", "cancelling")


@attrs.frozen
class Agents:
    """The ids of two that obey: one with built-in tools, one that has an MCP server besides."""

    plain: str
    served: str


@attrs.define(eq=False)
class Client:
    """One of several that share a book and a connection pool. Sessions are in one of `work_dirs`:
    each has a connection to the MCP server. `pause` is the longest rest between two things.
    """

    http: httpx.AsyncClient
    book: Book
    random: Random
    agents: Agents
    work_dirs: Sequence[Path]
    on_created: Callable[[Known], None]
    pause: float = 0.03

    async def stay(self) -> None:
        """Act for ever: where there is no answer, another server may give the next one."""
        while True:
            await self.run()
            self._done("requests without an answer")

    async def run(self) -> None:
        """Act until the server no longer answers."""
        actions: dict[Callable[[Known], Awaitable[None]], float] = {
            self._new_message: 60,
            self._same_message: 8,
            self._cancel: 8,
            self._cancel_run: 4,
            self._cancel_tool: 5,
            self._update: 2,
            self._delete: 1,
            self._read: 4,
        }
        try:
            while True:
                await trio.sleep(self.random.uniform(0, self.pause))
                usable = self.book.usable()
                if len(usable) < 3 or (len(usable) < _MOST_SESSIONS and self.random.random() < 0.1):
                    await self._create()
                    continue
                (action,) = self.random.choices(list(actions), list(actions.values()))
                # Some clients do not wait for an answer.
                patience = 0.2 if self.random.random() < 0.2 else 60.0
                with trio.move_on_after(patience):
                    await action(self.random.choice(usable))
        except httpx.TransportError:
            await trio.lowlevel.checkpoint()

    # --- messages ------------------------------------------------------------------------------

    async def _new_message(self, known: Known) -> None:
        if sum(sent.waiting for sent in known.sent) > _MOST_WAITING:
            return
        number = self.book.number()
        served = self.random.random() < 0.5
        plan = make_plan(self.random, number, known.log, known.marks if served else None)
        agent_id = self.agents.served if served else self.agents.plain
        body: dict[str, Any] = {"message": plan.text, "agent_id": agent_id}
        if self.random.random() < 0.6:
            body["request_id"] = f"request-{number}"
        (on_busy,) = self.random.choices(("queue", "reject", "interrupt"), (90, 4, 6))
        if on_busy != "queue":
            body["on_busy"] = on_busy
        if self.random.random() < 0.1:
            body["on_disconnect"] = "cancel"
        await self._send(self.book.sending(number, known, body, plan))

    async def _same_message(self, known: Known) -> None:
        """What has a request id may be sent again, at any time."""
        again = [sent for sent in known.sent[-40:] if sent.request_id is not None]
        if again:
            self._done("messages sent again")
            await self._send(self.random.choice(again))

    async def _send(self, sent: Sent) -> None:
        sent.sends += 1
        sent.refused = sent.lost = False
        self._done("messages sent")
        path = f"/sessions/{sent.session.id}/message"
        form = self.random.choice(("blocking", "async", "async", "stream"))
        if form == "stream":
            await self._stream(f"{path}/stream", sent)
            return
        headers = {"Prefer": "respond-async"} if form == "async" else {}
        response = await self.http.post(path, json=sent.body, headers=headers)
        self._told(sent, response)
        if response.status_code == 200:
            self.book.answered(sent, response.json())

    async def _stream(self, path: str, sent: Sent) -> None:
        async with self.http.stream("POST", path, json=sent.body) as response:
            if response.status_code != 200:
                await response.aread()
            self._told(sent, response)
            if response.status_code == 200:
                async with frames(response) as channel:
                    async for frame in channel:
                        if frame.event == "done":
                            self.book.answered(sent, frame.data)

    def _told(self, sent: Sent, response: httpx.Response) -> None:
        """Note what a response's head says: which run it is, or that nothing was kept."""
        status = response.status_code
        location = response.headers.get("Location")
        findings = self.book.findings
        if location is not None:
            self._done("acknowledgements")
            self.book.acknowledge(sent, location.rpartition("/")[2])
        else:
            findings.check(status >= 400, f"{sent} got {status} without a Location")
        if status < 400:
            return
        code = error_code(response)
        self._done(f"answers {status} {code}")
        match code:
            case "session_not_found" | "session_deleted":
                deleting = sent.session.deleting
                findings.check(deleting, f"{sent} got {code}, and nobody had it deleted")
            case "session_busy" | "mailbox_full":
                self.book.refuse(sent)
            case "store_unavailable" | "session_moved" | "session_elsewhere" | "no_node":
                self._not_kept(sent, response)
            case "shutting_down" | "node_lost":
                pass  # with or without a run: a request id's may be queued, or nobody knows
            case _:
                findings.check(False, f"{sent} got {status} {response.text!r}")

    def _not_kept(self, sent: Sent, response: httpx.Response) -> None:
        """With a run, this is how it has ended, or will; without, nothing of it is kept."""
        if "Location" not in response.headers:
            retry = "Retry-After" in response.headers
            self.book.findings.check(retry, f"{sent}: 503 without a Retry-After")
            self.book.refuse(sent)

    # --- the rest ------------------------------------------------------------------------------

    async def _create(self) -> None:
        body = {"title": None, "work_dir": str(self.random.choice(self.work_dirs))}
        response = await self.http.post("/sessions", json=body)
        if response.status_code == 201:
            self._done("sessions created")
            known = self.book.created(response.json()["id"], self.random.random() < 0.5)
            self.on_created(known)

    async def _cancel(self, known: Known) -> None:
        body = {"queued": self.random.random() < 0.2}
        await self._receipt(f"/sessions/{known.id}/cancel", known, body)

    async def _cancel_run(self, known: Known) -> None:
        runs = [sent.run_id for sent in known.sent if sent.run_id and not sent.over]
        if runs:
            run_id = self.random.choice(runs)
            await self._receipt(f"/sessions/{known.id}/runs/{run_id}/cancel", known, only=run_id)

    async def _cancel_tool(self, known: Known) -> None:
        calls = list(known.calls_under_way.items())
        if calls:
            call_id, run_id = self.random.choice(calls)
            path = f"/sessions/{known.id}/runs/{run_id}/tools/{call_id}/cancel"
            response = await self.http.post(path)
            self._done("tool calls cancelled")
            if response.status_code == 404 and "tool_call_not_found" in response.text:
                await self._check_dropped(known, run_id, call_id)
            else:
                self._expect(response, known, 200)

    async def _check_dropped(self, known: Known, run_id: str, call_id: str) -> None:
        """A call is unknown only where its run has ended before the step with it was recorded."""
        run = await self.http.get(f"/sessions/{known.id}/runs/{run_id}")
        if run.status_code == 200:
            over = run.json()["status"] not in _UNFINISHED
            dropped = over and call_id not in run.text
            self.book.findings.check(dropped, f"run {run_id}: its call {call_id} is unknown")

    async def _receipt(
        self, path: str, known: Known, body: Any = None, only: str | None = None
    ) -> None:
        response = await self.http.post(path, json={} if body is None else body)
        if not self._expect(response, known, 200):
            return
        for each in response.json()["cancelled"]:
            self._done("runs cancelled")
            named = only in (None, each["run_id"])
            self.book.findings.check(named, f"a cancel of {only} touched {each}")
            outcomes = [part.get("outcome") for part in (each, *each.get("tools", ()))]
            # Its end may wait for a store that just fails.
            stopped = "still_running" not in outcomes or self.book.store_fails
            self.book.findings.check(stopped, f"session {known.id}: still running: {each}")
            if "outcome" not in each:
                self.book.ended(each["run_id"])

    async def _update(self, known: Known) -> None:
        if known.updating:
            return
        title = f"Title {self.book.number()}"
        known.titles.append(title)
        known.updating = True
        try:
            response = await self.http.put(f"/sessions/{known.id}", json={"title": title})
            if self._expect(response, known, 200):
                # One that was sent and not waited for may still come.
                known.titles[:] = [title, *known.titles[1:-1]]
                self._done("sessions updated")
            elif error_code(response) == "store_unavailable" and "recorded" not in response.text:
                known.titles.remove(title)  # else it is, or may still be
        finally:
            known.updating = False

    async def _delete(self, known: Known) -> None:
        known.deleting = True
        response = await self.http.delete(f"/sessions/{known.id}")
        if response.status_code == 200:
            known.deleted = True
            self._done("sessions deleted")

    async def _read(self, known: Known) -> None:
        response = await self.http.get(f"/sessions/{known.id}")
        self._expect(response, known, 200)

    def _expect(self, response: httpx.Response, known: Known, status: int) -> bool:
        """Whether it has this status; another needs a reason."""
        if response.status_code == status:
            return True
        gone = response.status_code == 404 and known.deleting
        draining = response.status_code == 503
        request = response.request
        said = f"{request.method} {request.url.path}: {response.status_code} {response.text}"
        self.book.findings.check(gone or draining, said)
        return False

    def _done(self, what: str) -> None:
        self.book.findings.done[what] += 1


def error_code(response: httpx.Response) -> str | None:
    """The code of an answer that is an error by the contract."""
    try:
        return str(response.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return None


async def make_agents(http: httpx.AsyncClient) -> Agents:
    """Two agents that obey. The MCP server is there."""
    body = {"name": "Victim", "tools": ["bash", "read"], "provider": {"id": "scripted"}}
    plain = await http.post("/agents", json=body)
    served = await http.post("/agents", json=body | {"name": "Served", "toolsets": [NAME]})
    return Agents(str(plain.json()["id"]), str(served.json()["id"]))
