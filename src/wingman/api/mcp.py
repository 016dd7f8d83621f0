"""MCP servers as the contract has them: how they are reached."""

from typing import Annotated, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import msgspec

__all__ = ["McpServer", "ServerName", "without_secrets"]

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
