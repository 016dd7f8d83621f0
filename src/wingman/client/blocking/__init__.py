"""The client for programs without an event loop: scripts, notebooks.

    loop.py      a thread with an event loop, in which the client does its work
    client.py    SyncClient: one server
    mcp_servers.py  its MCP servers
    session.py   its sessions, runs and streams

Each call is that of the client in `async`, and waits for it. The package does not know HTTP.
"""

from wingman.client.blocking.client import SyncAgents, SyncClient
from wingman.client.blocking.mcp_servers import SyncMcpServers
from wingman.client.blocking.session import SyncFollowing, SyncRun, SyncRunStream, SyncSession

__all__ = [
    "SyncAgents",
    "SyncClient",
    "SyncFollowing",
    "SyncMcpServers",
    "SyncRun",
    "SyncRunStream",
    "SyncSession",
]
