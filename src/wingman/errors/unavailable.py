"""Unavailable: not now."""

from wingman.errors.base import Unavailable

__all__ = [
    "MailboxFull",
    "McpUnavailable",
    "Overloaded",
    "SessionQuarantined",
    "ShuttingDown",
    "Unreachable",
]


class MailboxFull(Unavailable):
    """The session's mailbox is full; nothing of the message was kept."""

    code = "mailbox_full"


class SessionQuarantined(Unavailable):
    """The session's actor crashed too often and is set aside for a while; others go on."""

    code = "session_quarantined"

    def __init__(self, message: str, retry_after: float = 60.0) -> None:
        super().__init__(message, retry_after)


class Overloaded(Unavailable):
    """The process has as many runs in flight and waiting as it may."""


class ShuttingDown(Unavailable):
    """The runtime is draining; `run_id` names the run one waited for, which goes on next time."""

    code = "shutting_down"

    def __init__(self, message: str, retry_after: float = 5.0, run_id: str | None = None) -> None:
        super().__init__(message, retry_after)
        self.run_id = run_id


class McpUnavailable(Unavailable):
    """An MCP server cannot be connected to; the text says why."""

    code = "mcp_unavailable"

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message, retry_after)


class Unreachable(Unavailable):
    """The server does not answer, or the connections to it break, also when tried again.

    Whether the last request was obeyed is not known.
    """

    code = "unreachable"
