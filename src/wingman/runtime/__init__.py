"""The runtime: many sessions, their agents and credentials, over one store.

    runtime.py      the composition root
    agents.py       agents by id: records in the store, templates in code
    credentials.py  how each provider is reached
    models.py       what models each provider has

It does not know HTTP: the server is one face of it, a program another.
"""

from wingman.runtime.agents import KEYLESS, PREFERRED, AgentFields, Agents, default_provider
from wingman.runtime.credentials import Credentials
from wingman.runtime.runtime import Runtime

__all__ = [
    "KEYLESS",
    "PREFERRED",
    "AgentFields",
    "Agents",
    "Credentials",
    "Runtime",
    "default_provider",
]
