"""McpFailed: there is no connection to an MCP server, or there is none any more."""

from wingman.errors import ToolsetUnavailable

__all__ = ["McpFailed"]


class McpFailed(ToolsetUnavailable):
    """A server could not be connected to, or was lost. Its text is one sentence that says why, and
    can be shown to anyone: it has no value of `env` or `headers` in it."""
