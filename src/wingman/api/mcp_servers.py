"""MCP servers as the contract has them: how they are reached, and how they stand."""

from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import msgspec

from wingman.api.route import DELETED, WRITE, Answer, Body, Route, Time

__all__ = [
    "ROUTES",
    "McpConnection",
    "McpOrigin",
    "McpServer",
    "McpServerView",
    "McpState",
    "McpTool",
    "McpWhere",
    "ServerName",
    "without_secrets",
]

ServerName: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$",
        description="Letters, digits and hyphens: its tools are called `name_tool`.",
    ),
]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class McpServer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How an MCP server is reached: a program that is started here (`command`, with `env` in its
    environment), or one that listens at a `url` (with `headers` in each request).

    A program starts in `cwd`, or in the session's directory where none is given: then each
    directory has one of its own. `tools` are the names of those that agents have, as the server
    calls them; null: all. Times are in seconds: `discovery_timeout` until its tools are known,
    `execution_timeout` for each call. One that is not `enabled` is not reached.
    """

    command: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)] | None = None
    cwd: Text | None = None
    env: dict[str, str] = {}
    url: Text | None = None
    headers: dict[str, str] = {}
    tools: tuple[Text, ...] | None = None
    discovery_timeout: Seconds = 30.0
    execution_timeout: Seconds = 60.0
    enabled: bool = True

    def __post_init__(self) -> None:
        if (self.command is None) == (self.url is None):
            raise ValueError("An MCP server has either a `command` or a `url`")
        if self.url is not None and not _is_http(self.url):
            raise ValueError("`url` begins with http:// or https:// and a host")
        if self.command is None and (self.env or self.cwd is not None):
            raise ValueError("`env` and `cwd` go with a `command`, and this server has a `url`")
        if self.url is None and self.headers:
            raise ValueError("`headers` go with a `url`, and this server has a `command`")

    def __repr__(self) -> str:
        """It shows no value of `env`, `headers` or the URL's query: there may be keys in them."""
        url = None if self.url is None else without_secrets(self.url)
        return f"McpServer(command={self.command!r}, url={url!r})"


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def without_secrets(url: str) -> str:
    """A URL as it may be shown to anyone: without its user, its password and its query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


McpOrigin: TypeAlias = Literal["store", "configuration", "code"]
"""Where a server is configured: over HTTP, in the server's file, or in its program."""

McpState: TypeAlias = Literal["idle", "connecting", "connected", "failed", "disabled"]
"""`idle`: it is connected to when an agent needs it. `failed`: the same, once a pause is over."""


class McpConnection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A connection to a server. `work_dir` is the directory whose sessions have it, null: all.

    `pid` is the process of a server that is a program, `calls` are those in flight, `tools` is how
    many it has.
    """

    status: Literal["connecting", "connected"]
    since: Time
    work_dir: str | None = None
    pid: int | None = None
    calls: int = 0
    tools: int = 0


class McpServerView(msgspec.Struct, frozen=True, kw_only=True):
    """An MCP server, and how it stands. Of `env` and `headers` there are the names, and the URL is
    without its user and its query: there may be keys in them.

    `reason` says why it has failed. `since` is when it came to its `status`, where that is known.
    """

    name: str
    origin: McpOrigin
    status: McpState
    reason: str | None
    since: Time | None
    command: tuple[str, ...] | None
    cwd: str | None
    env: tuple[str, ...]
    url: str | None
    headers: tuple[str, ...]
    tools: tuple[str, ...] | None
    discovery_timeout: float
    execution_timeout: float
    enabled: bool
    connections: tuple[McpConnection, ...]


class McpTool(msgspec.Struct, frozen=True):
    """A tool of an MCP server, by the name that models and rules know it by."""

    name: str
    description: str
    input_schema: dict[str, Any]


class McpWhere(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For sessions of which directory; where nothing is said, that in which Wingman was started."""

    work_dir: str | None = None


_SERVER: Final = {"command": ["npx", "-y", "@modelcontextprotocol/server-everything"]}
_UNKNOWN: Final = "mcp_server_not_found"

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="list_mcp_servers",
        method="GET",
        path="/mcp",
        section="mcp_servers",
        summary="List the MCP servers",
        description="By name. They are those that somebody has configured: the list has no pages. "
        "An MCP client that asks for `text/event-stream` here is answered 405.",
        answers=(Answer(200, "All servers.", tuple[McpServerView, ...]),),
        errors=("method_not_allowed",),
    ),
    Route(
        name="put_mcp_server",
        method="PUT",
        path="/mcp/{name}",
        section="mcp_servers",
        summary="Add or replace an MCP server",
        description="It is durable. Connections of the one that it replaces end once their calls "
        "have ended, or after half a minute; steps of runs that come have the new one.",
        body=Body(McpServer, _SERVER),
        answers=(Answer(200, "The server.", McpServerView),),
        errors=("forbidden_tool", *WRITE),
    ),
    Route(
        name="read_mcp_server",
        method="GET",
        path="/mcp/{name}",
        section="mcp_servers",
        summary="Read an MCP server",
        answers=(Answer(200, "The server.", McpServerView),),
        errors=(_UNKNOWN,),
    ),
    Route(
        name="delete_mcp_server",
        method="DELETE",
        path="/mcp/{name}",
        section="mcp_servers",
        summary="Remove an MCP server",
        description="Agents that name it go on without it, and their models are told.",
        answers=(DELETED,),
        errors=(_UNKNOWN, "forbidden_tool", *WRITE),
    ),
    Route(
        name="connect_mcp_server",
        method="POST",
        path="/mcp/{name}/connect",
        section="mcp_servers",
        summary="Connect to an MCP server now",
        description="It answers when that is done, or has failed: `status` and `reason` say which. "
        "A connection that nobody uses is closed after a minute.",
        body=Body(McpWhere, {"work_dir": "/"}, optional=True),
        answers=(Answer(200, "The server.", McpServerView),),
        errors=(_UNKNOWN, "invalid_request", "forbidden_tool"),
    ),
    Route(
        name="disconnect_mcp_server",
        method="POST",
        path="/mcp/{name}/disconnect",
        section="mcp_servers",
        summary="Close the connections to an MCP server",
        description="Calls in flight may end before. The next step that needs it connects again.",
        answers=(Answer(200, "The server.", McpServerView),),
        errors=(_UNKNOWN, "forbidden_tool"),
    ),
    Route(
        name="list_mcp_tools",
        method="GET",
        path="/mcp/{name}/tools",
        section="mcp_servers",
        summary="List the tools of an MCP server",
        description="It is connected to, if it is not yet. At most 1,000: the list has no pages.",
        query=McpWhere,
        answers=(Answer(200, "Its tools.", tuple[McpTool, ...]),),
        errors=(_UNKNOWN, "invalid_request", "mcp_unavailable"),
    ),
)
