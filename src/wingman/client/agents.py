"""Agents: those of a server."""

from collections.abc import Sequence

from wingman.api import AgentFields, AgentRecord, Deleted, NewAgent
from wingman.client.exchange import Exchange, Request
from wingman.client.pages import Pages
from wingman.errors import InvalidRequest, NotFound

__all__ = ["Agents"]


class Agents:
    """The agents of a server: those in its store, and those that its program defines in code."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def create(self, fields: NewAgent) -> AgentRecord:
        """Make an agent; it is durable when this returns."""
        request = Request.to("POST", "/agents", body=fields)
        return await self._exchange.ask(request, AgentRecord, "if unseen")

    async def list(self) -> Sequence[AgentRecord]:
        """All agents, page after page: those of code, by name, then those in the store, newest
        first."""
        return [agent async for agent in self._all()]

    async def get(self, agent_id: str) -> AgentRecord:
        """One agent; raises `NotFound`."""
        return await self._exchange.ask(self._request("GET", agent_id), AgentRecord)

    async def update(self, agent_id: str, fields: AgentFields) -> AgentRecord:
        """Change the fields that are given; runs that are admitted already keep what they had."""
        return await self._exchange.ask(self._request("PUT", agent_id, fields), AgentRecord)

    async def delete(self, agent_id: str) -> None:
        """Remove an agent; runs that are admitted already keep their copy."""
        await self._exchange.ask(self._request("DELETE", agent_id), Deleted)

    async def find(self, name: str) -> AgentRecord:
        """The agent of this id, or else the one of this name.

        Raises `NotFound`, and `InvalidRequest` where several have the name.
        """
        try:
            return await self.get(name)
        except NotFound:
            named = [agent async for agent in self._all() if agent.name == name]
        if not named:
            raise NotFound("agent", name)
        if len(named) > 1:
            ids = ", ".join(agent.id for agent in named[:5])
            raise InvalidRequest(f"Several agents are named {name!r}, say which by its id: {ids}")
        return named[0]

    def _all(self) -> Pages[AgentRecord]:
        return Pages(self._exchange, Request.to("GET", "/agents"), tuple[AgentRecord, ...])

    def _request(self, method: str, agent_id: str, body: AgentFields | None = None) -> Request:
        return Request.to(method, "/agents/{agent_id}", body=body, agent_id=agent_id)
