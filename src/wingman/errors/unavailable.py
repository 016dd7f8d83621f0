"""Unavailable: not now."""

from wingman.errors.base import Unavailable

__all__ = [
    "MailboxFull",
    "McpUnavailable",
    "NoNode",
    "NodeLost",
    "Overloaded",
    "SessionElsewhere",
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


class SessionElsewhere(Unavailable):
    """Another node owns the session, and only that one can do what was asked for.

    `node` is that node's number. A server sends the request there; an embedded runtime cannot.
    """

    code = "session_elsewhere"

    def __init__(self, message: str, node: int | None = None, retry_after: float = 1.0) -> None:
        super().__init__(message, retry_after)
        self.node = node


class NodeLost(Unavailable):
    """The node that owned the session went away. What it had not recorded is not there."""

    code = "node_lost"


class NoNode(Unavailable):
    """No living node may own the session: none has its label."""

    code = "no_node"

    def __init__(self, message: str, retry_after: float = 5.0) -> None:
        super().__init__(message, retry_after)


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
