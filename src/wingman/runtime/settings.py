"""Settings: what a runtime may be given, and given anew, while it is open."""

from collections.abc import Iterable, Mapping

import attrs

from wingman.api import McpServer, NewAgent
from wingman.given import listed, of_kind
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


@attrs.frozen(kw_only=True)
class Settings:
    """Agents by name, tools, toolsets, MCP servers, rules and prices, beside those that a runtime
    is made with.

    `agents` have their names as their ids, and cannot be changed but by other settings. `tools`,
    `toolsets` and `mcp` are known by name to them and to the agents of the store. `permissions` and
    `prices` take the place of those that the runtime had. None: they stay as they are.
    """

    agents: tuple[NewAgent, ...] = attrs.field(default=(), converter=_agents)
    tools: tuple[Tool, ...] = attrs.field(default=(), converter=_tools)
    toolsets: tuple[Toolset, ...] = attrs.field(default=(), converter=_toolsets)
    mcp: Mapping[str, McpServer] = attrs.field(factory=dict, validator=of_kind(Mapping))
    permissions: Rules | None = attrs.field(default=None, validator=of_kind(Rules | None))
    prices: Prices | None = attrs.field(default=None, validator=of_kind(Mapping | None))
