"""McpServers: the MCP servers of a server, whose tools its agents have."""

from collections.abc import Sequence

from wingman.api import Deleted, McpServer, McpServerView, McpTool, McpWhere
from wingman.client.exchange import Exchange, Request

__all__ = ["McpServers"]


class McpServers:
    """The MCP servers that a server knows: those in its store, its configuration and its code.

    `work_dir` is the directory of the sessions that are meant: of a server that is a program each
    has its own. A relative one is below the directory that the server was started in.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def list(self) -> Sequence[McpServerView]:
        """All of them, by name."""
        return await self._exchange.ask(Request.to("GET", "/mcp"), tuple[McpServerView, ...])

    async def get(self, name: str) -> McpServerView:
        """One of them; raises `NotFound`."""
        return await self._exchange.ask(self._request("GET", name), McpServerView)

    async def put(self, name: str, server: McpServer) -> McpServerView:
        """Add a server, or replace one of the store; it is durable when this returns."""
        return await self._exchange.ask(self._request("PUT", name, body=server), McpServerView)

    async def delete(self, name: str) -> None:
        """Remove a server of the store; agents that name it go on without it."""
        await self._exchange.ask(self._request("DELETE", name), Deleted)

    async def connect(self, name: str, *, work_dir: str | None = None) -> McpServerView:
        """Connect to it now. Its `status` says whether that has succeeded, and its `reason` why
        not."""
        request = self._request("POST", name, "/connect", body=McpWhere(work_dir))
        return await self._exchange.ask(request, McpServerView)

    async def disconnect(self, name: str) -> McpServerView:
        """Close its connections, once their calls have ended; who needs it connects again."""
        return await self._exchange.ask(self._request("POST", name, "/disconnect"), McpServerView)

    async def tools(self, name: str, *, work_dir: str | None = None) -> Sequence[McpTool]:
        """Its tools. It is connected to, if it is not yet; raises `McpUnavailable` where that
        fails."""
        query = {} if work_dir is None else {"work_dir": work_dir}
        request = Request.to("GET", "/mcp/{name}/tools", query=query, name=name)
        return await self._exchange.ask(request, tuple[McpTool, ...])

    def _request(
        self, method: str, name: str, rest: str = "", body: McpServer | McpWhere | None = None
    ) -> Request:
        return Request.to(method, f"/mcp/{{name}}{rest}", body=body, name=name)
