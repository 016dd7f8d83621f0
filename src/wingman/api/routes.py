"""The table of routes, and the sections that it has."""

from typing import Final

from wingman.api import (
    agents,
    console,
    mcp,
    mcp_servers,
    messages,
    permissions,
    providers,
    runs,
    sessions,
    system,
)
from wingman.api.route import Route

__all__ = ["ROUTES", "SECTIONS"]

SECTIONS: Final = {
    "agents": "Templates for runs: what the model is told, which model it is, which tools it has.",
    "sessions": "A session keeps a history, and takes its messages one at a time.",
    "messages": "Send a message, and wait for its run, follow it, or leave it.",
    "runs": "A run is one message, from its admission to its end.",
    "permissions": "What people are asked before a tool runs, and what they answer.",
    "providers": "The APIs of models, and how they are reached.",
    "mcp_servers": "MCP servers, whose tools agents have by naming them among their toolsets.",
    "mcp": "The server as an MCP server: its agents as a tool of other programs.",
    "server": "The server itself.",
    "console": "The page that people look at, and how they log in to it.",
}
"""The parts of the contract, and what they are about."""

ROUTES: Final[tuple[Route, ...]] = (
    *agents.ROUTES,
    *sessions.ROUTES,
    *messages.ROUTES,
    *runs.ROUTES,
    *permissions.ROUTES,
    *providers.ROUTES,
    *mcp_servers.ROUTES,
    *mcp.ROUTES,
    *system.ROUTES,
    *console.ROUTES,
)
"""Every route that the server serves."""
