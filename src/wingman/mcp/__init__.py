"""MCP: the tools of an MCP server (https://modelcontextprotocol.io), as a toolset.

    toolset.py     McpToolset: a server's tools, while it is entered
    connection.py  one connection to a server, kept by one task, from
                       local.py    a program that is started here, under a keeper
                       remote.py   a server that listens at a URL
                       traffic.py  the messages both ways: what comes is screened, what goes waits
                                   for nobody
                       lines.py    bytes as lines, in linear time; large.py (a message of megabytes)
                       diary.py    what a server writes to stderr and to its log, bounded
    listing.py     what a server lists, as tools: names.py (how they are called here), inputs.py
                   (what they take)
    calls.py       the calls in flight, each an   underway.py (its time, progress and questions)
    results.py     what a server answers, as a tool's output
    failure.py     McpFailed: why there is no connection

The official SDK speaks the protocol. It takes half a second and 50 MB to import, so that is done
when the first server is connected to, and `connection.py`, `remote.py`, `traffic.py`, `calls.py`,
`underway.py` and `results.py` are imported with it, and not before.

This package knows nothing of sessions, agents, stores or HTTP routes: whoever enters a toolset
decides how long it stays open, who shares it, and what happens when it is lost.
"""

from wingman.mcp.failure import McpFailed
from wingman.mcp.toolset import McpToolset

__all__ = ["McpFailed", "McpToolset"]
