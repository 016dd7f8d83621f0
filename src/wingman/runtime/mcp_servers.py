"""MCP servers of the settings, as toolsets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from wingman.api import McpServer
from wingman.errors import ToolsetUnavailable
from wingman.mcp import McpToolset
from wingman.tools import Tool, Toolset

__all__ = ["toolsets_of_servers"]


def toolsets_of_servers(servers: Mapping[str, McpServer]) -> Iterator[Toolset]:
    """A toolset for each server, by its name. None is connected to before a run needs it."""
    for name, server in servers.items():
        yield McpToolset(name, server) if server.enabled else _Disabled(name)


@attrs.frozen
class _Disabled(Toolset):
    """A server that agents may name, and that is not reached."""

    name: str

    def within(self, work_dir: Path) -> Toolset:
        """Raise `ToolsetUnavailable`."""
        raise ToolsetUnavailable(f"The MCP server {self.name!r} is not enabled.")

    async def tools(self) -> Sequence[Tool]:
        """None."""
        return ()
