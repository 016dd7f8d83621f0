"""One connection to a server, from its start to its end, in one task.

The SDK's client must be entered and left by one task, and calls come from any. So `serve` is a task
of its own: it opens the link, has the client negotiate, lists the tools, says so, and waits until
it is to leave, or the link is lost.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
import trio
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    METHOD_NOT_FOUND,
    ElicitResult,
    Implementation,
    ListRootsResult,
    Root,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import FileUrl

from wingman.api import McpServer
from wingman.foreign import contained, leaves
from wingman.mcp.calls import Calls, words_of
from wingman.mcp.diary import Diary
from wingman.mcp.failure import McpFailed
from wingman.mcp.listing import Listing, made
from wingman.mcp.local import LocalServer
from wingman.mcp.remote import RemoteServer
from wingman.mcp.traffic import Outbox, Traffic
from wingman.tools import Tool

__all__ = ["Connection"]

for _name in ("mcp", "client", "httpx2", "httpcore2"):
    # The SDK logs what servers send, at any length, and ids of sessions, which are secrets. What is
    # worth a line is in the log of `wingman.mcp`.
    if (_logger := logging.getLogger(_name)).level == logging.NOTSET:
        _logger.setLevel(logging.CRITICAL)

_MOST_PAGES: Final = 100
_MOST_REASONS: Final = 3
_LONGEST_PAUSE: Final = 60.0  # seconds between two tries to be told of changes


class Link(Protocol):
    """What carries the messages. `lost` is set when it does so no more: `reason` says why, in a
    sentence. `ran`: its program has run, and has ended."""

    lost: trio.Event
    reason: str
    ran: bool

    @property
    def pid(self) -> int | None:
        """Its process, if it is one of ours."""

    def open(
        self,
    ) -> AbstractAsyncContextManager[
        tuple[trio.MemoryReceiveChannel[SessionMessage | Exception], Outbox]
    ]:
        """Give what the SDK reads from and writes to."""


@attrs.define(eq=False)
class Connection:
    """A connection to the server `name`, while `serve` runs. `settled` is set when its tools are
    known, or when it has failed: then `failure` says why."""

    name: str
    server: McpServer
    work_dir: Path
    diary: Diary
    settled: trio.Event = attrs.field(factory=trio.Event, init=False)
    failure: McpFailed | None = attrs.field(default=None, init=False)
    _leaving: trio.Event = attrs.field(factory=trio.Event, init=False)
    _ended: trio.Event = attrs.field(factory=trio.Event, init=False)
    _link: Link | None = attrs.field(default=None, init=False)
    _calls: Calls | None = attrs.field(default=None, init=False)
    _listing: Listing = attrs.field(init=False)
    _tools: tuple[Tool, ...] = attrs.field(default=(), init=False)
    _stale: bool = attrs.field(default=False, init=False)
    _refreshing: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._listing = self._new_listing()

    async def serve(self, block: trio.CancelScope) -> None:
        """Be connected until `leave` is called, or the connection is lost: that cancels `block`."""
        try:
            # Some servers end when the first message is not `initialize`: they are started again.
            for mode in ("auto", "legacy"):
                self.failure = None
                if not await self._ended_at_once(mode, block):
                    break
        finally:
            if self.settled.is_set() and self.failure is not None:
                block.cancel()
            self.settled.set()
            self._ended.set()

    def leave(self) -> None:
        """Have it end."""
        self._leaving.set()

    async def tools(self) -> Sequence[Tool]:
        """The tools as they are now. Where the server has said that they have changed, they are
        listed anew first; where that fails, they are what they were."""
        if self._stale and self._calls is not None:
            async with self._refreshing:
                if self._stale:
                    await self._refresh(self._calls)
        if self.failure is not None:
            await trio.lowlevel.checkpoint()  # who asks from within the block has been cancelled
            raise self.failure
        return self._tools

    @property
    def pid(self) -> int | None:
        """The process of a server that is a program."""
        return None if self._link is None else self._link.pid

    @property
    def known(self) -> Sequence[Tool]:
        """The tools that it was last known to have."""
        return self._tools

    @property
    def calls(self) -> int:
        """How many calls are in flight."""
        return 0 if self._calls is None else len(self._calls.in_flight)

    @property
    def last_words(self) -> str:
        """What it wrote to stderr last, as a sentence after others; "" if it wrote nothing."""
        said = self.diary.last_words
        return f" It wrote to stderr: {said}" if said else ""

    async def _ended_at_once(self, mode: str, block: trio.CancelScope) -> bool:
        """Be connected; whether the program has ended before it said anything."""
        self.diary.begin()
        traffic = Traffic(self.diary, lambda tools: self._listing.clean(tools), self._changed)
        self._link = link = self._new_link(traffic)
        try:
            async with self._client(link, mode) as client:
                self._calls = calls = Calls(
                    server=self.name,
                    seconds=self.server.execution_timeout,
                    client=client,
                    traffic=traffic,
                    diary=self.diary,
                    ended=self._ended,
                    why=self._why,
                )
                self._tools = await self._listed(calls)
                self.settled.set()
                await self._until_it_ends(link, client, block)
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            failure = contained(error)
            if self._leaving.is_set():
                self.diary.note(logging.WARNING, f"it was not left well: {words_of(failure)}")
            else:
                self.failure = self._failed(failure, link)
        return not self.settled.is_set() and link.ran and not traffic.heard

    def _client(self, link: Link, mode: str) -> Client:
        return Client(
            link.open(),
            mode=mode,
            cache=None,
            client_info=Implementation(name="wingman", version=version("wingman-runtime")),
            elicitation_callback=self._elicit,
            list_roots_callback=None if self.server.command is None else self._roots,
        )

    def _new_link(self, traffic: Traffic) -> Link:
        if self.server.url is not None:
            return RemoteServer(self.server, traffic)
        return LocalServer(self.server, self.work_dir, traffic)

    async def _until_it_ends(self, link: Link, client: Client, block: trio.CancelScope) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear_of_changes, client)
            for event in (self._leaving, link.lost):
                nursery.start_soon(_then_cancel, event, nursery.cancel_scope)
        if not self._leaving.is_set():
            self.failure = self._unusable(link.reason)
            block.cancel()
        self._ended.set()

    def _failed(self, error: Exception, link: Link) -> McpFailed:
        """Why it could not be connected to, or what has broken."""
        if link.lost.is_set():
            return self._unusable(link.reason)
        found = leaves(error)
        for leaf in found:
            if isinstance(leaf, McpFailed):
                return self._unusable(str(leaf))
        return self._unusable("; ".join(map(words_of, found[:_MOST_REASONS])))

    def _unusable(self, why: str) -> McpFailed:
        why = self.diary.shown(why)
        return McpFailed(f"The MCP server {self.name!r} cannot be used. {why}{self.last_words}")

    def _why(self) -> str:
        if self.failure is not None:
            return str(self.failure)
        return f"The connection to the MCP server {self.name!r} has been ended."

    async def _listed(self, calls: Calls) -> tuple[Tool, ...]:
        """All tools, of all pages."""
        self._listing = self._new_listing()
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            try:
                page = await calls.client.list_tools(cursor=cursor)
            except MCPError as error:
                if error.code != METHOD_NOT_FOUND:
                    raise
                break
            if (cursor := page.next_cursor) is None:
                break
        else:
            self.diary.note(logging.WARNING, f"only {_MOST_PAGES} pages of its tools are read")
        return await made(self.name, self._listing.finished(), self.diary, calls.call)

    def _new_listing(self) -> Listing:
        return Listing(self.diary, self.server.tools)

    def _changed(self) -> None:
        self._stale = True

    async def _refresh(self, calls: Calls) -> None:
        self._stale = False
        try:
            with trio.fail_after(self.server.discovery_timeout):
                self._tools = await self._listed(calls)
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            failure = words_of(contained(error))
            self.diary.note(logging.WARNING, f"its tools could not be listed again: {failure}")

    async def _hear_of_changes(self, client: Client) -> None:
        """Be told of other tools as the protocol of 2026-07-28 has it: a request that stays open.
        Before that, servers tell of them by themselves."""
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        pause = 1.0
        while tools is not None and tools.list_changed:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    pause = 1.0
                    async for _ in changes:
                        self._changed()
            except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
                failure = contained(error)
                self.diary.note(logging.DEBUG, f"no news of its tools: {words_of(failure)}")
            await trio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._changed()  # what came meanwhile was not heard

    async def _elicit(self, context: ClientRequestContext, params: Any) -> Any:
        calls = self._calls
        return await calls.elicit(context, params) if calls else ElicitResult(action="decline")

    async def _roots(self, context: ClientRequestContext) -> ListRootsResult:
        uri = FileUrl(self.work_dir.as_uri())
        return ListRootsResult(roots=[Root(uri=uri, name=self.work_dir.name or None)])


async def _then_cancel(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
