"""How a server's tools are called here: `server_tool`, as every provider takes it."""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from wingman.mcp.failure import McpFailed

__all__ = ["tool_name", "tool_names"]

_LONGEST: Final = 64
_DIGEST: Final = 8
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]")


def tool_name(server: str, tool: str) -> str:
    """The name of a server's tool: at most 64 of A-Z a-z 0-9 _ -.

    One that is too long is cut, and ends in a digest of the whole, so that it stays the same.
    """
    name = f"{server}_{_FOREIGN.sub('_', tool)}"
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(tool.encode(errors="replace")).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST - _DIGEST - 1]}_{digest}"


def tool_names(server: str, tools: Iterable[str]) -> dict[str, str]:
    """The server's own name of each tool, by the one that it has here.

    Raises `McpFailed` where two of them come to one.
    """
    names: dict[str, str] = {}
    for tool in tools:
        name = tool_name(server, tool)
        if name in names:
            raise McpFailed(
                f"The MCP server {server!r} has two tools that would both be called {name!r} here: "
                f"{names[name]!r} and {tool!r}. Choose one of them with `tools`."
            )
        names[name] = tool
    return names
