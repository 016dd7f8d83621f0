"""The routes, thin: decode a typed request, ask the runtime, encode what it says.

    agents.py     /agents
    sessions.py   /sessions, and a session's events
    messages.py   a session's messages: blocking, streamed, or answered at once
    runs.py       runs, and cancelling them
    providers.py  /provider: models and credentials
    system.py     /health, /ready, /tools, /actors
    metrics.py    /metrics

One module a section of the HTTP contract; each makes a blueprint for one runtime.
"""

from wingman.server.routes.agents import agent_routes
from wingman.server.routes.messages import message_routes
from wingman.server.routes.metrics import metrics_routes
from wingman.server.routes.providers import provider_routes
from wingman.server.routes.runs import run_routes
from wingman.server.routes.sessions import session_routes
from wingman.server.routes.system import system_routes

__all__ = [
    "agent_routes",
    "message_routes",
    "metrics_routes",
    "provider_routes",
    "run_routes",
    "session_routes",
    "system_routes",
]
