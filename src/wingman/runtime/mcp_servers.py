"""McpServers: the MCP servers that agents can name, and how they stand.

Each is a toolset by its name. Those of the store are put there and removed here; those of the
settings and of code are shown beside them. What is open is the affair of `OpenToolsets`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import trio

from wingman.api import (
    McpConnection,
    McpOrigin,
    McpServer,
    McpServerView,
    McpState,
    ServerName,
    without_secrets,
)
from wingman.errors import InvalidRequest, McpUnavailable, NotFound, ToolsetUnavailable
from wingman.given import one
from wingman.mcp import McpToolset
from wingman.runtime.agents import Agents
from wingman.session import HeldToolset, Lent, OpenToolsets, check_work_dir
from wingman.store import McpServerDeleted, McpServerSaved, Store
from wingman.tools import Tool, Toolset
from wingman.under_trio import require_trio

__all__ = ["McpServers"]


class McpServers:
    """All MCP servers by name. What is changed is durable when that returns."""

    def __init__(self, store: Store, agents: Agents, opened: OpenToolsets) -> None:
        self._store = store
        self._agents = agents
        self._opened = opened
        self._stored: dict[str, McpToolset] = {}
        self._changes = trio.Lock()  # one at a time, so that each sees the one before

    async def load(self) -> None:
        """Read those in the store; once, when the runtime opens."""
        for name, server in (await self._store.mcp_servers()).items():
            if name not in self._agents.toolsets:  # else one of code has taken its name since
                self._know(name, server)

    async def refresh(self) -> None:
        """Know what other nodes have changed."""
        async with self._changes:
            servers = await self._store.mcp_servers()
            for name in [name for name in self._stored if name not in servers]:
                del self._stored[name]
                self._agents.toolsets.remove(name)
                self._retire_others(name)
            for name, server in servers.items():
                known = self._stored.get(name)
                is_new = known is None and name not in self._agents.toolsets
                if is_new or (known is not None and known.server != server):
                    self._know(name, server)
                    self._retire_others(name)

    def list(self) -> Sequence[McpServerView]:
        """All of them, by name."""
        names = self._agents.toolsets.names
        return tuple(self._view(name) for name in names if self._find(name) is not None)

    def get(self, name: str) -> McpServerView:
        """One of them. Raises `NotFound`."""
        self._known(name)
        return self._view(name)

    async def put(self, name: str, server: McpServer) -> McpServerView:
        """Add a server, or replace one of the store. Raises `InvalidRequest` for a name that is
        none, or is taken.

        Connections of the one that it replaces end once their calls have.
        """
        require_trio()
        one("server", server, McpServer)
        self._check_name(name)
        async with self._changes:
            self._check_is_ours(name)
            await self._store.write(McpServerSaved(name, server)).wait()
            self._know(name, server)
            self._retire_others(name)
        return self._view(name)

    async def delete(self, name: str) -> None:
        """Remove a server of the store. Raises `NotFound`, and `InvalidRequest` for another one."""
        require_trio()
        self._known(name)
        async with self._changes:
            self._check_is_ours(name)
            await self._store.write(McpServerDeleted(name)).wait()
            self._stored.pop(name, None)
            self._agents.toolsets.remove(name)
            self._retire_others(name)

    async def connect(self, name: str, work_dir: str | Path | None = None) -> McpServerView:
        """Connect to a server now, for sessions of this directory. How it stands then says whether
        that has succeeded. Raises `NotFound`, and `InvalidRequest` for a directory that is none."""
        require_trio()
        toolset, directory = self._known(name), await _directory(work_dir)
        with suppress(ToolsetUnavailable):  # its status says it
            await self._tools_of(toolset, directory)
        return self._view(name)

    async def disconnect(self, name: str) -> McpServerView:
        """Close its connections, once their calls have ended; who needs it connects again. Raises
        `NotFound`."""
        require_trio()
        self._known(name)
        self._opened.retire(lambda toolset: _is_of(toolset, name))
        await trio.lowlevel.checkpoint()
        return self._view(name)

    async def tools(self, name: str, work_dir: str | Path | None = None) -> Sequence[Tool]:
        """Its tools for sessions of this directory. It is connected to, if it is not yet. Raises
        `NotFound`, `InvalidRequest` for a directory that is none, and `McpUnavailable`."""
        require_trio()
        toolset, directory = self._known(name), await _directory(work_dir)
        try:
            return await self._tools_of(toolset, directory)
        except ToolsetUnavailable as error:
            raise McpUnavailable(error.message) from error

    # --- for the settings ----------------------------------------------------------------------

    def of_settings(self, servers: Mapping[str, McpServer]) -> Sequence[Toolset]:
        """The servers of other settings, as toolsets. Raises `InvalidRequest`."""
        for name in servers:
            self._check_name(name)
        return tuple(McpToolset(name, server) for name, server in servers.items())

    def settings_changed(self) -> None:
        """Let the connections end that no name stands for any more."""
        for name in {held.toolset.name for held in self._held()}:
            self._retire_others(name)

    # --- what is known -------------------------------------------------------------------------

    def _find(self, name: str) -> McpToolset | None:
        found = self._agents.toolsets.find(name)
        return found if isinstance(found, McpToolset) else None

    def _known(self, name: str) -> McpToolset:
        found = self._find(name)
        if found is None:
            raise NotFound("mcp_server", name)
        return found

    def _know(self, name: str, server: McpServer) -> None:
        self._stored[name] = McpToolset(name, server)
        self._agents.toolsets.put(name, self._stored[name])

    def _origin(self, name: str) -> McpOrigin:
        if self._agents.toolsets.is_of_settings(name):
            return "configuration"
        return "store" if name in self._stored else "code"

    def _check_name(self, name: str) -> None:
        try:
            msgspec.convert(name, ServerName)
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                f"{name!r} cannot be an MCP server's name: it is 1 to 32 letters, digits and "
                "hyphens, with no hyphen at an end."
            ) from error
        taken = {action for tool in self._agents.tools.values() for action in tool.actions}
        if name in taken:
            raise InvalidRequest(
                f"An MCP server cannot be called {name!r}: rules for the tool of that name would "
                "hold for it, too."
            )

    def _check_is_ours(self, name: str) -> None:
        """Raise `InvalidRequest` for a name that is not of the store, and is taken."""
        if name not in self._agents.toolsets or self._origin(name) == "store":
            return
        if self._find(name) is None:
            raise InvalidRequest(f"There is another toolset named {name!r}.")
        if self._origin(name) == "configuration":
            raise InvalidRequest(
                f"The MCP server {name!r} is one of the server's configuration: change it there, "
                "and have the server read it again (wingman reload)."
            )
        raise InvalidRequest(
            f"The MCP server {name!r} is defined in the program's code: change it there."
        )

    # --- what is open --------------------------------------------------------------------------

    async def _tools_of(self, toolset: McpToolset, directory: Path) -> Sequence[Tool]:
        self._opened.forgive(toolset.within(directory))
        lent = Lent(toolset, directory, self._opened)
        try:
            return await lent.tools()
        finally:
            lent.give_back()

    def _held(self, name: str | None = None) -> Sequence[HeldToolset]:
        return [
            held
            for held in self._opened.held
            if isinstance(held.toolset, McpToolset) and name in (None, held.toolset.name)
        ]

    def _retire_others(self, name: str) -> None:
        """Let the connections end that are not to the server of this name as it is now."""
        known = self._find(name)
        server = None if known is None else known.server
        self._opened.retire(
            lambda toolset: (
                isinstance(toolset, McpToolset)
                and toolset.name == name
                and toolset.server != server
            )
        )

    def _view(self, name: str) -> McpServerView:
        server = self._known(name).server
        held = self._held(name)
        failed = [each for each in self._opened.failures if _is_of(each[0], name)]
        status: McpState = "disabled"
        reason, since = None, None
        if server.enabled:
            status = "idle"
            if is_open := [each for each in held if each.state == "open"]:
                status, since = "connected", is_open[0].since
            elif held:
                status, since = "connecting", held[0].since
            elif failed:
                status, (_, since, reason) = "failed", failed[-1]
        return McpServerView(
            name=name,
            origin=self._origin(name),
            status=status,
            reason=reason,
            since=since,
            command=server.command,
            cwd=server.cwd,
            env=tuple(sorted(server.env)),
            url=None if server.url is None else without_secrets(server.url),
            headers=tuple(sorted(server.headers)),
            tools=server.tools,
            discovery_timeout=server.discovery_timeout,
            execution_timeout=server.execution_timeout,
            enabled=server.enabled,
            connections=tuple(map(_connection, held)),
        )


def _connection(held: HeldToolset) -> McpConnection:
    toolset = held.toolset
    shown = toolset if isinstance(toolset, McpToolset) else None
    directory = None if shown is None else shown.work_dir
    return McpConnection(
        status="connected" if held.state == "open" else "connecting",
        since=held.since,
        work_dir=None if directory is None else str(directory),
        pid=None if shown is None else shown.pid,
        calls=held.calls,
        tools=0 if shown is None else len(shown.known),
    )


def _is_of(toolset: Toolset, name: str) -> bool:
    return isinstance(toolset, McpToolset) and toolset.name == name


async def _directory(work_dir: str | Path | None) -> Path:
    return Path(await check_work_dir("." if work_dir is None else work_dir))
