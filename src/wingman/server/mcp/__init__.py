"""The MCP server face: agents as a tool of other programs, by the Model Context Protocol.

    face.py       McpFace: a message in, a response out
    jsonrpc.py    messages and answers as bytes
    versions.py   the two generations of the protocol, and what each wants to be told
    clients.py    the sessions of those that shake hands, and their calls
    tools.py      the tools: what a client is told of them, and those that answer at once
    values.py     what they take and give
    shown.py      what models are shown of sessions and messages, bounded
    running.py    run_agent: from its arguments to its run, and from that to its result
    progress.py   what is told of a run on its way
    answering.py  the answer to a call of run_agent, as a stream or whole

A session of MCP is a client's; a session elsewhere is an agent's. The package knows no connections
and no tokens: what holds for every route holds here, since `POST /mcp` is one.
"""

from wingman.server.mcp.clients import Clients
from wingman.server.mcp.face import McpFace

__all__ = ["Clients", "McpFace"]
