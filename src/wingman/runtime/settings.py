"""Settings: what a runtime may be given, and given anew, while it is open."""

from collections.abc import Iterable, Mapping

import attrs

from wingman.api import McpServer, NewAgent
from wingman.given import listed, of_kind, one
from wingman.permissions import Rules
from wingman.run import Prices
from wingman.tools import Tool, Toolset

__all__ = ["Settings"]


def _agents(given: Iterable[NewAgent]) -> tuple[NewAgent, ...]:
    return listed("agents", given, NewAgent)


def _tools(given: Iterable[Tool]) -> tuple[Tool, ...]:
    return listed("tools", given, Tool)


def _toolsets(given: Iterable[Toolset]) -> tuple[Toolset, ...]:
    return listed("toolsets", given, Toolset)


def _servers(_settings: object, _field: object, given: Mapping[str, McpServer]) -> None:
    for name, server in one("mcp", given, Mapping).items():
        one(f"mcp[{name!r}]", server, McpServer)


@attrs.frozen(kw_only=True)
class Settings:
    """Agents, tools, toolsets and MCP servers beside those that a runtime is made with; rules and
    prices in their place.

    `agents` have their names as their ids, and cannot be changed but by other settings. `tools` and
    `toolsets` are known by name to them and to the agents of the store, and so are the servers of
    `mcp`, as toolsets. `permissions` and `prices` that are None stay as they are.
    """

    agents: tuple[NewAgent, ...] = attrs.field(default=(), converter=_agents)
    tools: tuple[Tool, ...] = attrs.field(default=(), converter=_tools)
    toolsets: tuple[Toolset, ...] = attrs.field(default=(), converter=_toolsets)
    mcp: Mapping[str, McpServer] = attrs.field(factory=dict, validator=_servers)
    permissions: Rules | None = attrs.field(default=None, validator=of_kind(Rules | None))
    prices: Prices | None = attrs.field(default=None, validator=of_kind(Mapping | None))
