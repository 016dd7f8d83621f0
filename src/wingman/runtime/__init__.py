"""The runtime: many sessions, their agents and credentials, over one store.

    runtime.py      the door: what a program, or the server, asks of the runtime
    session.py      the handle of a session: run, run_stream, submit, cancel, history
    stream.py       the handle on the events of a run
    following.py    a session's events, from run to run
    parts.py        what the runtime is made of, by name
    root.py         the composition root: the parts, put together once, opened and closed
    agents.py       agents by id: records in the store, templates in code
    agent_check.py  what is wrong with an agent
    agent_order.py  in which order agents are listed, and where a page of them begins
    mcp_servers.py  MCP servers by name, and how they stand
    toolsets.py     toolsets by name, and what they stand for now
    credentials.py  how each provider is reached
    passes.py       secrets that open something for a time, such as logins
    base_url.py     what a base URL must be to be kept
    settings.py     agents, tools, rules and prices that may be given anew
    status.py       how it stands
    models.py       what models each provider has

It does not know HTTP: the server is one face of it, a program another.
"""

from wingman.runtime.agent_check import AgentProblem, AgentSurroundings
from wingman.runtime.agent_order import AgentList
from wingman.runtime.agents import KEYLESS, PREFERRED, Agents, default_provider
from wingman.runtime.credentials import Credentials
from wingman.runtime.following import Following
from wingman.runtime.passes import Passes
from wingman.runtime.runtime import Runtime
from wingman.runtime.session import Session
from wingman.runtime.settings import Settings
from wingman.runtime.status import RuntimeStatus
from wingman.runtime.stream import RunStream

__all__ = [
    "KEYLESS",
    "PREFERRED",
    "AgentList",
    "AgentProblem",
    "AgentSurroundings",
    "Agents",
    "Credentials",
    "Following",
    "Passes",
    "RunStream",
    "Runtime",
    "RuntimeStatus",
    "Session",
    "Settings",
    "default_provider",
]
