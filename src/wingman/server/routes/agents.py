"""/agents: the agents in the store, and those of the program."""

from quart import Response

from wingman.api import AgentFields, AgentRecord, AgentsQuery, Deleted, NewAgent
from wingman.runtime import Runtime
from wingman.server.exchange import created, json_response, next_page
from wingman.server.handlers import Handlers

__all__ = ["agent_handlers"]


def agent_handlers(runtime: Runtime) -> Handlers:
    """Create, list, read, change and delete agents."""
    handlers = Handlers()
    agents = runtime.agents

    @handlers.add
    async def create_agent(body: NewAgent) -> Response:
        record = await agents.create(body)
        return created(record, f"/agents/{record.id}")

    @handlers.add
    async def list_agents(query: AgentsQuery) -> Response:
        page = agents.list(query.limit, query.cursor)
        return json_response(page, headers=next_page("/agents", query.limit, page.next))

    @handlers.add
    async def read_agent(agent_id: str) -> AgentRecord:
        return agents.get(agent_id)

    @handlers.add
    async def update_agent(agent_id: str, body: AgentFields) -> AgentRecord:
        return await agents.update(agent_id, body)

    @handlers.add
    async def delete_agent(agent_id: str) -> Deleted:
        await agents.delete(agent_id)
        return Deleted()

    return handlers
