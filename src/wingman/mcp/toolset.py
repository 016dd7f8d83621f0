"""McpToolset: the tools of an MCP server, while it is entered."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

import attrs
import trio

from wingman.api import McpServer
from wingman.foreign import leaves
from wingman.mcp.diary import Diary, secrets_of
from wingman.mcp.failure import McpFailed
from wingman.tools import Tool, Toolset

if TYPE_CHECKING:
    from wingman.mcp.connection import Connection

__all__ = ["McpToolset"]

_POLITENESS: Final = 0.5  # seconds that a connection has to end by itself
_MISSING: Final = (
    "MCP servers need more than is installed: pip install 'wingman-runtime[mcp]', and start again."
)


@attrs.define
class McpToolset(Toolset):
    """The tools of the MCP server `name`, called `name_tool`.

    Entering it starts the server's program, or connects to its URL, and lists its tools. It raises
    `McpFailed` where that fails, or takes longer than the server's `discovery_timeout`. Where the
    connection is lost, the block is cancelled, and leaving it raises `McpFailed`. It can be entered
    again once it has been left.

    Rules of permission for its tools may name the server, for all of them, or one tool. Toolsets of
    one name, server and directory are equal, so that they share one connection.
    """

    name: str
    server: McpServer
    work_dir: Path | None = None
    _entered: "_Entered | None" = attrs.field(default=None, init=False, repr=False, eq=False)

    def __hash__(self) -> int:
        return hash((self.name, self.work_dir))  # a server's settings have dicts in them

    def within(self, work_dir: Path) -> Toolset:
        """One for sessions of this directory; a server at a URL, or in a `cwd`, is one for all.
        Raises `McpFailed` for a server that is not enabled."""
        if not self.server.enabled:
            raise McpFailed(f"The MCP server {self.name!r} is not enabled.")
        if self.server.command is None or self.server.cwd is not None:
            return self
        return McpToolset(self.name, self.server, work_dir)

    @property
    def _directory(self) -> Path:
        """Where the server's program starts, and what it is told that the work is about."""
        cwd = self.server.cwd
        if cwd is not None:
            return Path(cwd).expanduser().absolute()
        return self.work_dir or Path.cwd()

    async def __aenter__(self) -> Self:
        if self._entered is not None:
            raise RuntimeError(f"the toolset {self.name!r} is entered already")
        self._entered = entered = _Entered(self.name, self.server, self._directory)
        try:
            await entered.begin()
        except BaseException:
            self._entered = None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entered = cast("_Entered", self._entered)
        try:
            await entered.end(value)  # noqa: ASYNC102 its shields are bounded
        finally:
            self._entered = None

    @property
    def pid(self) -> int | None:
        """The process of a server that is a program, while this is entered."""
        connection = None if self._entered is None else self._entered.connection
        return None if connection is None else connection.pid

    @property
    def known(self) -> Sequence[Tool]:
        """The tools that it was last known to have, while this is entered."""
        connection = None if self._entered is None else self._entered.connection
        return () if connection is None else connection.known

    @property
    def calls(self) -> int:
        """How many calls are in flight."""
        connection = None if self._entered is None else self._entered.connection
        return 0 if connection is None else connection.calls

    async def tools(self) -> Sequence[Tool]:
        """The server's tools as they are now. Raises `McpFailed` where the connection is lost."""
        if self._entered is None or self._entered.connection is None:
            raise RuntimeError(f"the toolset {self.name!r} is not entered")
        return await self._entered.connection.tools()


@attrs.define(eq=False)
class _Entered:
    """The block that a toolset is entered for, and the task beside it that keeps the connection."""

    name: str
    server: McpServer
    work_dir: Path
    connection: "Connection | None" = None
    _block: Any = None
    _nursery: trio.Nursery = attrs.field(init=False)

    async def begin(self) -> None:
        """Connect. Raises `McpFailed`."""
        self._block = trio.open_nursery()
        self._nursery = await self._block.__aenter__()
        try:
            with trio.move_on_after(self.server.discovery_timeout):
                self.connection = await self._new_connection()
                self._nursery.start_soon(self.connection.serve, self._nursery.cancel_scope)
                await self.connection.settled.wait()
            if (failure := self._failure()) is not None:
                raise failure
        except BaseException:
            self._nursery.cancel_scope.cancel()
            await self._block.__aexit__(None, None, None)  # noqa: ASYNC102 its shields are bounded
            raise

    async def end(self, value: BaseException | None) -> None:
        """Leave, with what the block raised. Raises `McpFailed` where the connection was lost."""
        connection = cast("Connection", self.connection)
        connection.leave()
        self._nursery.cancel_scope.deadline = trio.current_time() + _POLITENESS
        over = value is None
        try:
            over = await self._block.__aexit__(type(value), value, None) or over
        except BaseException as error:  # noqa: ASYNC103 `value` goes on by itself
            # A nursery makes a group of what its block raised: that goes on as it is.
            raised = [] if value is None else leaves(value)
            new = [each for each in leaves(error) if each not in raised]
            if value is None or any(type(each) is not trio.Cancelled for each in new):
                raise
        if over and connection.failure is not None:
            raise connection.failure

    def _failure(self) -> McpFailed | None:
        connection = self.connection
        if connection is None or not connection.settled.is_set():
            within = f"{self.server.discovery_timeout:g} s"
            said = "" if connection is None else connection.last_words
            return McpFailed(
                f"The MCP server {self.name!r} has not answered within {within}.{said}"
            )
        return connection.failure

    async def _new_connection(self) -> "Connection":
        try:
            # It takes long enough for others to notice.
            module = await trio.to_thread.run_sync(
                import_module, "wingman.mcp.connection", abandon_on_cancel=True
            )
        except ModuleNotFoundError as error:
            raise McpFailed(_MISSING) from error
        except RuntimeError as error:  # there is no thread to be had
            raise McpFailed(
                f"The MCP server {self.name!r} cannot be connected to: {error}."
            ) from error
        diary = Diary(self.name, secrets_of(self.server))
        made: Connection = module.Connection(self.name, self.server, self.work_dir, diary)
        return made
