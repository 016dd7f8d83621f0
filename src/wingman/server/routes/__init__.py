"""The handlers of the contract's routes, thin: ask the runtime, and give what it says.

    agents.py     /agents
    sessions.py   /sessions, and a session's events
    messages.py   a session's messages: blocking, streamed, or answered at once
    runs.py       runs, and cancelling them
    permissions.py  what waits for a person's answer, and the answers
    providers.py  /provider: models and credentials
    mcp_servers.py  /mcp: the MCP servers that agents use
    mcp.py        /mcp: the server as an MCP server
    system.py     /health, /ready, /tools, /actors, /reload
    metrics.py    /metrics
    contract.py   /openapi.json, /docs
    console.py    /, /console: the page, and who logs in to it

One module a section of the HTTP contract. What a route takes and answers stands in `wingman.api`.
"""

from wingman.runtime import Runtime
from wingman.server.console import Logins
from wingman.server.handlers import Handlers
from wingman.server.routes.agents import agent_handlers
from wingman.server.routes.console import console_handlers
from wingman.server.routes.contract import contract_handlers
from wingman.server.routes.mcp import mcp_handlers
from wingman.server.routes.mcp_servers import mcp_server_handlers
from wingman.server.routes.messages import message_handlers
from wingman.server.routes.metrics import metrics_handlers
from wingman.server.routes.permissions import permission_handlers
from wingman.server.routes.providers import provider_handlers
from wingman.server.routes.runs import run_handlers
from wingman.server.routes.sessions import session_handlers
from wingman.server.routes.system import Reload, system_handlers

__all__ = ["Reload", "handlers_of"]


def handlers_of(
    runtime: Runtime, logins: Logins, reload: Reload | None = None
) -> tuple[Handlers, ...]:
    """The handlers of every route, over one runtime and those who are logged in. `reload` has the
    program read its configuration again, if it has one."""
    return (
        agent_handlers(runtime),
        session_handlers(runtime),
        message_handlers(runtime),
        run_handlers(runtime),
        permission_handlers(runtime),
        provider_handlers(runtime),
        mcp_server_handlers(runtime),
        system_handlers(runtime, reload),
        mcp_handlers(runtime),
        metrics_handlers(runtime),
        contract_handlers(),
        console_handlers(logins),
    )
