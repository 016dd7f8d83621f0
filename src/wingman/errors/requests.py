"""Requests: what the caller asked for cannot be; asking again changes nothing."""

from wingman.errors.base import RequestError

__all__ = [
    "AlreadyResolved",
    "ContextTooLong",
    "Forbidden",
    "ForbiddenTool",
    "InvalidRequest",
    "MessageRead",
    "NotFound",
    "NotInFlight",
    "NotReloaded",
    "ProviderNotConfigured",
    "RequestIdConflict",
    "SessionBusy",
    "SessionDeleted",
    "Unauthorized",
    "WaitsForItself",
]


class InvalidRequest(RequestError):
    """A value is missing, unknown or of the wrong type; the message names its path."""


class NotFound(RequestError):
    """There is no such thing. `kind` is what was looked for: "session", "agent", "run", …"""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"There is no {kind.replace('_', ' ').replace('mcp', 'MCP')} {id!r}.")
        self.kind = kind
        self.id = id
        self.code = f"{kind}_not_found"


class SessionDeleted(RequestError):
    """The session was deleted while one waited for it."""

    code = "session_deleted"


class SessionBusy(RequestError):
    """A run is in flight and the message would not wait."""

    code = "session_busy"


class RequestIdConflict(RequestError):
    """The same request id came with a different body."""

    code = "request_id_conflict"


class AlreadyResolved(RequestError):
    """A request for a permission waits no more: somebody has answered it, its time was over, or its
    call or its run has ended. `status` is what it came to."""

    code = "already_resolved"

    def __init__(self, permission_id: str, status: str) -> None:
        stands = "its run is ending" if status == "pending" else f"it is {status}"
        super().__init__(f"Permission {permission_id} waits for no answer any more: {stands}.")
        self.status = status


class NotInFlight(RequestError):
    """A cancel, or a message that steers, named the run in flight, and that one is not. Nothing was
    done.

    Its code is `run_queued` or `run_ended`; `run_id` names the run.
    """

    def __init__(self, run_id: str, status: str, nothing: str = "Nothing was cancelled.") -> None:
        queued = status == "queued"
        ended = "has ended" if status == "ended" else f"has ended ({status})"
        stands = "is queued" if queued else ended
        cancelling = queued and nothing == "Nothing was cancelled."
        super().__init__(
            f"Run {run_id} is not in flight: it {stands}. {nothing}"
            + (" To cancel it where it waits, cancel the run itself." if cancelling else "")
        )
        self.run_id = run_id
        self.code = "run_queued" if queued else "run_ended"


class MessageRead(RequestError):
    """A message that was to be taken back has been read: its run has begun, or another one has read
    it. `run_id` is its run."""

    code = "message_read"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"The message of run {run_id} was read: cancel the run that has read it.")
        self.run_id = run_id


class WaitsForItself(RequestError):
    """A tool would wait for a run of the session that waits for that tool: neither could end."""

    code = "waits_for_itself"


class Unauthorized(RequestError):
    """The server's token is missing or wrong."""

    code = "unauthorized"


class Forbidden(RequestError):
    """The server does not go by this name, or does not answer pages of this origin."""

    code = "forbidden_host"


class ForbiddenTool(RequestError):
    """A tool's command would answer a request for a permission, or have the configuration read
    again, which only people may."""

    code = "forbidden_tool"


class NotReloaded(RequestError):
    """The configuration could not be read again, and is as it was: the message has a line for each
    mistake in it."""

    code = "not_reloaded"


class ProviderNotConfigured(RequestError):
    """The agent's provider has no key (or no model): the message says how to give it one.

    `by_environment` says the same where the environment is the one way to give it.
    """

    code = "provider_not_configured"

    def __init__(self, message: str, by_environment: str | None = None) -> None:
        super().__init__(message)
        self.by_environment = by_environment or message


class ContextTooLong(RequestError):
    """The history does not fit into the model's context window; the provider was not asked."""

    code = "context_too_long"
