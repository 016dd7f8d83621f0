"""/agents: the agents in the store."""

from quart import Blueprint, Response

from wingman.errors import InvalidRequest
from wingman.runtime import AgentFields, Runtime
from wingman.server.exchange import body, json_response

__all__ = ["agent_routes"]

_READ_ONLY = ("id", "created_at", "updated_at")


def agent_routes(runtime: Runtime) -> Blueprint:
    """Create, list, read, change and delete agents."""
    routes = Blueprint("agents", __name__)
    agents = runtime.agents

    @routes.post("/agents")
    async def create() -> Response:
        fields = await body(AgentFields)
        if not isinstance(fields.name, str):
            raise InvalidRequest("Object missing required field `name` - at `$`")
        record = await agents.create(fields)
        return json_response(record, 201, {"Location": f"/agents/{record.id}"})

    @routes.get("/agents")
    async def list_all() -> Response:
        return json_response(agents.list())

    @routes.get("/agents/<agent_id>")
    async def read(agent_id: str) -> Response:
        return json_response(agents.get(agent_id))

    @routes.put("/agents/<agent_id>")
    async def update(agent_id: str) -> Response:
        fields = await body(AgentFields, ignore=_READ_ONLY)
        return json_response(await agents.update(agent_id, fields))

    @routes.delete("/agents/<agent_id>")
    async def delete(agent_id: str) -> Response:
        await agents.delete(agent_id)
        return json_response({"status": "deleted"})

    return routes
