"""/mcp: the server as an MCP server."""

from quart import Response

from wingman.api import Deleted
from wingman.runtime import Runtime
from wingman.server.handlers import Handlers
from wingman.server.mcp import McpFace

__all__ = ["mcp_handlers"]


def mcp_handlers(runtime: Runtime) -> Handlers:
    """Take a client's message; end a client's session."""
    handlers = Handlers()
    face = McpFace(runtime)

    @handlers.add
    async def call_mcp(body: bytes) -> Response:
        return await face.take(body)

    @handlers.add
    async def end_mcp_session() -> Deleted:
        face.end()
        return Deleted()

    return handlers
