"""A reader that follows one session across crashes, by the contract: it goes on from the last id it
saw, and where it is told to resync it reads the session, and goes on from that frame's id.
"""

import contextlib
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import attrs
import httpx
import trio

from crash.book import Book, Known
from crash.snapshot import Rows, invalid, tool_results, tool_uses

__all__ = ["Follower", "Frame", "frames"]


@attrs.frozen
class Frame:
    """One frame of a stream."""

    id: int | None
    event: str
    data: dict[str, Any]


@asynccontextmanager
async def frames(response: httpx.Response) -> AsyncIterator[trio.MemoryReceiveChannel[Frame]]:
    """The frames of a stream, as they come, to its end or the server's; comments are left out."""
    # A task of its own reads them, and nothing else happens in its loop: httpx's generators are
    # not closed by whoever leaves them in the middle.
    sender, receiver = trio.open_memory_channel[Frame](math.inf)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pump, response, sender)
        async with receiver:
            yield receiver
        nursery.cancel_scope.cancel()


async def _pump(response: httpx.Response, sender: trio.MemorySendChannel[Frame]) -> None:
    fields: dict[str, str] = {}
    async with sender:
        with contextlib.suppress(httpx.TransportError):
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                fields[name] = value
                if not line and "event" in fields:
                    id = int(fields["id"]) if "id" in fields else None
                    sender.send_nowait(Frame(id, fields["event"], json.loads(fields["data"])))
                if not line:
                    fields.clear()


@attrs.define(eq=False)
class Follower:
    """What it has: the history's first `covered` messages, as read, and what it saw after them.

    `moves`: the session may go from node to node. One that is read while its owner is away for a
    moment may be ahead of what that one publishes: a reader is told to resync then, and from where.
    And a new owner's first events may be the ends of runs that never began, which it lets go of
    before anything is stored that is newer: a reader goes on behind them.
    """

    known: Known
    book: Book
    random: Random
    moves: bool = False
    last_id: int | None = None
    covered: int = 0
    uses: set[str] = attrs.field(factory=set)
    results: set[str] = attrs.field(factory=set)
    done: set[str] = attrs.field(factory=set)

    async def follow(self, http: httpx.AsyncClient) -> None:
        """Follow until the server is gone, or the session is.

        Now and then it leaves, and comes back: with the last id, or, having forgotten all it saw,
        by reading the session and going on from there.
        """
        with contextlib.suppress(httpx.TransportError):
            there = True
            while there:
                with trio.move_on_after(self.random.uniform(0.1, 2.0)):
                    there = await self._follow_once(http)
                if self.random.random() < 0.3:
                    self.last_id = None

    async def _follow_once(self, http: httpx.AsyncClient) -> bool:
        if self.last_id is None and not await self._read(http, None):
            return False
        headers = {"Last-Event-ID": str(self.last_id)}
        path = f"/sessions/{self.known.id}/events"
        async with http.stream("GET", path, headers=headers) as response:
            if response.status_code != 200:
                return False
            self.book.findings.done["streams followed"] += 1
            async with frames(response) as channel:
                async for frame in channel:
                    if not await self._take(frame, http):
                        return False
        return False

    async def _take(self, frame: Frame, http: httpx.AsyncClient) -> bool:
        """Take a frame in; False if it could not be, and is to be asked for again."""
        self.book.findings.done["events"] += 1
        if frame.id is not None:
            grew = self.last_id is not None and frame.id > self.last_id
            grew = grew or (self.moves and frame.event == "resync")
            where = f"session {self.known.id}: event {frame.id} ({frame.event})"
            self.book.findings.check(grew, f"{where} came after {self.last_id}")
        match frame.event:
            case "resync":
                self.book.findings.done["resyncs"] += 1
                return await self._read(http, frame.id)
            case "tool_use":
                self.uses.add(frame.data["id"])
                self.known.calls_under_way[frame.data["id"]] = frame.data["run_id"]
            case "tool_result":
                self.results.add(frame.data["tool_use_id"])
                self.known.calls_under_way.pop(frame.data["tool_use_id"], None)
            case "done":
                self._end(frame.data["run_id"])
                self.book.ended(frame.data["run_id"])
            case "error" if "run_id" in frame.data:  # else it is about the stream
                self._end(frame.data["run_id"])
        self.last_id = frame.id or self.last_id
        return True

    def _end(self, run_id: str) -> None:
        """A run is over, and with it the calls of a step that was cut off."""
        self.done.add(run_id)
        under_way = self.known.calls_under_way
        for call_id in [call for call, of in under_way.items() if of == run_id]:
            del under_way[call_id]

    async def _read(self, http: httpx.AsyncClient, resumed_at: int | None) -> bool:
        """Read the session; what comes from here on is seen. False if it, or its server, went."""
        try:
            response = await http.get(f"/sessions/{self.known.id}")
        except httpx.TransportError:
            return False
        if response.status_code != 200:
            return False
        view = response.json()
        where = f"session {self.known.id}"
        self.book.findings.check(invalid(view["history"]) is None, f"{where}: invalid, as followed")
        if resumed_at is not None:
            behind = view["last_event_id"] < resumed_at and not self.moves
            at = f"{view['last_event_id']} < {resumed_at}"
            self.book.findings.check(not behind, f"{where}: read behind the resync's id: {at}")
        self.last_id = view["last_event_id"] if resumed_at is None else resumed_at
        self.covered = len(view["history"])
        self.known.calls_under_way.clear()
        return True

    def check_complete(self, rows: Rows) -> None:
        """Nothing is missing between what was read and what came after it."""
        ended = {run.id for run in rows.runs if run.over}
        missing: set[str] = set()
        for run_id, message in rows.history[self.covered :]:
            missing.update(use["id"] for use in tool_uses(message) if use["id"] not in self.uses)
            ids = {result["tool_use_id"] for result in tool_results(message)}
            missing |= ids - self.results
            if run_id in ended - self.done:
                missing.add(f"the end of {run_id}")
        where = f"session {self.known.id}, followed from {self.covered} on"
        self.book.findings.check(not missing, f"{where}: missed {sorted(missing)}")
