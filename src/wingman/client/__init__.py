"""The client: a server's sessions for a program, with the SDK's own face. On Trio and on asyncio.

    client.py      Client: one server; its sessions, agents, runs
    session.py     Session: the handle on one session
    stream.py      RunStream: the events of one run, each once, whatever happens to connections
    given.py       what of a run was given, so that what is stored of it is given once
    following.py   Following: the events of a session, from run to run
    run.py         Run: the handle on one run
    agents.py      Agents: those of a server
    mcp_servers.py McpServers: those of a server
    permissions.py requests for permissions: listed, read, answered
    approvals.py   answering: a program's approver answers what a session asks
    pages.py       lists that come in pages
    frames.py      Server-Sent Events as Wingman's events
    exchange.py    requests, tried again where that is safe; answers as values or errors
    patience.py    how often, and for how long, something is tried again
    answers.py     what a server answers, as values and errors
    lenient.py     values of a later server, which may say more
    connection.py  HTTP to one server, each request once
    address.py     the server's address and its token, checked
    blocking/      the same for programs without an event loop

It is made of the contract (`wingman.api`) and of httpx, which is imported when a client is opened.
It does not know the runtime, the store or the server: importing it starts and loads none of them.
"""

from typing import TYPE_CHECKING, Final

from wingman.client.agents import Agents
from wingman.client.approvals import answering
from wingman.client.client import Client
from wingman.client.following import Following
from wingman.client.mcp_servers import McpServers
from wingman.client.patience import Patience, Retrying
from wingman.client.run import Run
from wingman.client.session import Session
from wingman.client.stream import RunStream
from wingman.lazy import lazily

if TYPE_CHECKING:
    from wingman.client.blocking import (
        SyncAgents,
        SyncClient,
        SyncFollowing,
        SyncMcpServers,
        SyncRun,
        SyncRunStream,
        SyncSession,
    )

__all__ = [
    "Agents",
    "Client",
    "Following",
    "McpServers",
    "Patience",
    "Retrying",
    "Run",
    "RunStream",
    "Session",
    "SyncAgents",
    "SyncClient",
    "SyncFollowing",
    "SyncMcpServers",
    "SyncRun",
    "SyncRunStream",
    "SyncSession",
    "answering",
]

# Who awaits does not load what blocks.
_HOMES: Final = {name: "wingman.client.blocking" for name in __all__ if name.startswith("Sync")}

__getattr__, __dir__ = lazily(__name__, _HOMES)
