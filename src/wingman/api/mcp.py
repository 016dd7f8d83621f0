"""The MCP server face as the contract has it: one path, and JSON-RPC on it.

https://modelcontextprotocol.io/specification. What the tools take and give stands in the schemas
that `tools/list` answers.
"""

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wingman.api.route import DELETED, Answer, Body, Header, Route

__all__ = ["ROUTES", "McpAnswer", "McpError", "McpMessage"]


class McpMessage(msgspec.Struct, frozen=True):
    """A request of an MCP client or, without an `id`, a notification (JSON-RPC 2.0)."""

    jsonrpc: Literal["2.0"]
    method: str
    id: int | str | UnsetType = UNSET
    params: dict[str, Any] | UnsetType = UNSET


class McpError(msgspec.Struct, frozen=True):
    """What is wrong with a request. What goes wrong in a tool is a result, with `isError`."""

    code: int
    message: str
    data: Any | UnsetType = UNSET


class McpAnswer(msgspec.Struct, frozen=True):
    """The answer to a request. `id` is the request's; null where that could not be read."""

    jsonrpc: Literal["2.0"]
    id: int | str | None
    result: dict[str, Any] | UnsetType = UNSET
    error: McpError | UnsetType = UNSET


_SESSION: Final = Header(
    "Mcp-Session-Id",
    "The MCP session, which `initialize` began. Protocol versions before 2026-07-28 have one.",
)
_PROTOCOL: Final = (
    Header("MCP-Protocol-Version", "The version of the protocol that the client speaks."),
    Header("Mcp-Method", "The message's method; from 2026-07-28 on it must stand here too."),
    Header("Mcp-Name", "The name of the tool that is called; it must stand here likewise."),
)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="call_mcp",
        method="POST",
        path="/mcp",
        section="mcp",
        summary="Take a message of an MCP client",
        description="Streamable HTTP of the Model Context Protocol, versions 2024-11-05 to "
        "2026-07-28. The run of a call of `run_agent` is cancelled when its client leaves.",
        body=Body(McpMessage, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, raw=True),
        headers=(_SESSION, *_PROTOCOL),
        answers=(
            Answer(200, "The answer.", McpAnswer, headers=(_SESSION,)),
            Answer(
                200,
                "A call of `run_agent`, where `Accept` has `text/event-stream`: notifications of "
                "its progress, then the answer. The event is `message`, its data is JSON-RPC.",
                media_types=("text/event-stream",),
            ),
            Answer(202, "A notification is taken.", media_types=()),
            Answer(400, "What is sent is no request of the protocol.", McpAnswer),
            Answer(404, "There is no such method, or no such MCP session.", McpAnswer),
            Answer(503, "As many MCP sessions are in use as may be.", McpAnswer),
        ),
    ),
    Route(
        name="end_mcp_session",
        method="DELETE",
        path="/mcp",
        section="mcp",
        summary="End an MCP session",
        description="The runs that its calls wait for are cancelled.",
        headers=(_SESSION,),
        answers=(DELETED,),
        errors=("mcp_session_not_found",),
    ),
)
