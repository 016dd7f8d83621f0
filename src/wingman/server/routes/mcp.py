"""/mcp: the server as an MCP server."""

from functools import cache
from typing import TYPE_CHECKING

from quart import Response

from wingman.api import Deleted
from wingman.runtime import Runtime
from wingman.server.handlers import Handlers

if TYPE_CHECKING:
    from wingman.server.mcp import McpFace

__all__ = ["mcp_handlers"]


def mcp_handlers(runtime: Runtime) -> Handlers:
    """Take a client's message; end a client's session."""
    handlers = Handlers()

    @cache
    def face() -> "McpFace":
        # Few servers are asked by MCP clients: the others start without it.
        from wingman.server.mcp import McpFace  # noqa: PLC0415

        return McpFace(runtime)

    @handlers.add
    async def call_mcp(body: bytes) -> Response:
        return await face().take(body)

    @handlers.add
    async def end_mcp_session() -> Deleted:
        await face().end()
        return Deleted()

    return handlers
