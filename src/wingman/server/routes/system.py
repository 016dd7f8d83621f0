"""Health, readiness, tools, and the live actors."""

from typing import Any

from quart import Blueprint, Response

from wingman.actor import ActorInfo
from wingman.runtime import Runtime
from wingman.server.exchange import json_response
from wingman.session import LiveRun

__all__ = ["system_routes"]


def system_routes(runtime: Runtime) -> Blueprint:
    """What an operator asks for."""
    routes = Blueprint("system", __name__)

    @routes.get("/health")
    async def health() -> Response:
        return json_response({"status": "ok"})

    @routes.get("/ready")
    async def ready() -> Response:
        unready = runtime.status().unready
        if unready is not None:
            raise unready
        return json_response({"status": "ready"})

    @routes.get("/tools")
    async def tools() -> Response:
        return json_response(
            [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": tool.input_schema,
                }
                for tool in runtime.agents.tools.values()
            ]
        )

    @routes.get("/actors")
    async def actors() -> Response:
        status = runtime.status()
        return json_response(
            {
                "actors": [_actor(info) for info in status.actors],
                "dead_letters": status.dead_letters,
                "quarantined": status.quarantined,
            }
        )

    return routes


def _actor(info: ActorInfo) -> dict[str, Any]:
    """An actor as the live runtime sees it; of its message only which run it is."""
    doing = f"run {info.processing.id}" if isinstance(info.processing, LiveRun) else None
    return {
        "name": info.name,
        "state": info.state,
        "mailbox": info.mailbox,
        "doing": doing,
        "for_seconds": None if info.processing_for is None else round(info.processing_for, 3),
        "handled": info.handled,
        "restarts": info.restarts,
    }
