"""/mcp: the MCP servers that agents use."""

from quart import request
from werkzeug.exceptions import MethodNotAllowed

from wingman.api import Deleted, McpServer, McpServerView, McpTool, McpWhere
from wingman.errors import ForbiddenTool
from wingman.runtime import Runtime
from wingman.server.callers import comes_from_a_command
from wingman.server.handlers import Handlers

__all__ = ["mcp_server_handlers"]


def mcp_server_handlers(runtime: Runtime) -> Handlers:
    """List, read, add, replace, remove, connect and disconnect them."""
    handlers = Handlers()
    servers = runtime.mcp

    def only_for_people() -> None:
        if comes_from_a_command(runtime):
            raise ForbiddenTool("A tool's command cannot change MCP servers: they start programs.")

    @handlers.add
    async def list_mcp_servers() -> list[McpServerView]:
        if request.headers.get("Accept", "").strip() == "text/event-stream":
            # An MCP client looks whether the server would send it anything by itself.
            raise MethodNotAllowed(valid_methods=["DELETE", "POST"])
        return list(servers.list())

    @handlers.add
    async def put_mcp_server(name: str, body: McpServer) -> McpServerView:
        only_for_people()
        return await servers.put(name, body)

    @handlers.add
    async def read_mcp_server(name: str) -> McpServerView:
        return servers.get(name)

    @handlers.add
    async def delete_mcp_server(name: str) -> Deleted:
        only_for_people()
        await servers.delete(name)
        return Deleted()

    @handlers.add
    async def connect_mcp_server(name: str, body: McpWhere) -> McpServerView:
        only_for_people()
        return await servers.connect(name, body.work_dir)

    @handlers.add
    async def disconnect_mcp_server(name: str) -> McpServerView:
        only_for_people()
        return await servers.disconnect(name)

    @handlers.add
    async def list_mcp_tools(name: str, query: McpWhere) -> list[McpTool]:
        tools = await servers.tools(name, query.work_dir)
        return [McpTool(each.name, each.description, dict(each.input_schema)) for each in tools]

    return handlers
