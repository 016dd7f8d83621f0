"""SyncMcpServers: the MCP servers of a server, as a program without an event loop sees them."""

from collections.abc import Sequence
from functools import partial

from wingman.api import McpServer, McpServerView, McpTool
from wingman.client.blocking.loop import Loop
from wingman.client.mcp_servers import McpServers

__all__ = ["SyncMcpServers"]


class SyncMcpServers:
    """The MCP servers of a server. See `wingman.client.McpServers`."""

    def __init__(self, loop: Loop, servers: McpServers) -> None:
        self._loop = loop
        self._servers = servers

    def list(self) -> Sequence[McpServerView]:
        """All of them, by name."""
        return self._loop.call(self._servers.list)

    def get(self, name: str) -> McpServerView:
        """One of them; raises `NotFound`."""
        return self._loop.call(partial(self._servers.get, name))

    def put(self, name: str, server: McpServer) -> McpServerView:
        """Add a server, or replace one of the store; it is durable when this returns."""
        return self._loop.call(partial(self._servers.put, name, server))

    def delete(self, name: str) -> None:
        """Remove a server of the store; agents that name it go on without it."""
        self._loop.call(partial(self._servers.delete, name))

    def connect(self, name: str, *, work_dir: str | None = None) -> McpServerView:
        """Connect to it now. Its `status` says whether that has succeeded, and its `reason` why
        not."""
        return self._loop.call(partial(self._servers.connect, name, work_dir=work_dir))

    def disconnect(self, name: str) -> McpServerView:
        """Close its connections, once their calls have ended; who needs it connects again."""
        return self._loop.call(partial(self._servers.disconnect, name))

    def tools(self, name: str, *, work_dir: str | None = None) -> Sequence[McpTool]:
        """Its tools; raises `McpUnavailable` where it cannot be connected to."""
        return self._loop.call(partial(self._servers.tools, name, work_dir=work_dir))
