"""Wingman's errors: one tree, each saying whose fault it is.

    WingmanError
    ├── RequestError            the caller asked for what cannot be; asking again changes nothing
    │   ├── InvalidRequest          a value is missing, unknown or of the wrong type
    │   ├── NotFound                no such session, agent, run, tool call, provider or model
    │   ├── SessionDeleted          the session was deleted while one waited for it
    │   ├── SessionBusy             a run is in flight, and the message said `on_busy: "reject"`
    │   ├── RequestIdConflict       the same request id came with a different body
    │   ├── AlreadyResolved         the request for a permission was answered, or is over
    │   ├── NotInFlight             the run that was to be cancelled is queued, or has ended
    │   ├── WaitsForItself          a tool would wait for the run that waits for it
    │   ├── Unauthorized            the server's token is missing or wrong
    │   ├── Forbidden               the server does not go by this name, or not for this page
    │   ├── ForbiddenTool           a tool's command would answer a request for a permission
    │   ├── ProviderNotConfigured   the provider has no key, or no model is named
    │   └── ContextTooLong          the history does not fit into the model's context window
    ├── Unavailable             not now; `retry_after` says when to ask again
    │   ├── MailboxFull             the session's mailbox is full
    │   ├── SessionQuarantined      the session's actor keeps crashing; the text says how
    │   ├── Overloaded              the process runs as many runs as it may
    │   ├── ShuttingDown            the runtime is draining
    │   ├── Unreachable             the server does not answer, or connections to it break
    │   └── StoreUnavailable        the store cannot be written or read just now; a StoreError, too
    ├── ProviderError           the model's API failed, after the retries
    │   ├── ProviderAuthError       it refused the key
    │   ├── ProviderRejected        it refused the request (400, 404, 413, 422)
    │   ├── ProviderRateLimited     429
    │   ├── ProviderTimeout         it did not answer in time
    │   └── ProviderStreamError     its stream broke, or was not what its protocol says
    ├── OutputInvalid           the model's final response does not fit the agent's output_schema
    ├── ToolError               a tool could not do what the model asked; the model is told
    ├── RunFailed               the run ended in an error that is no other of these: a bug
    ├── StreamLagged            a reader fell behind what its channel holds
    ├── BadAnswer               what answers at the server's address does not answer as Wingman does
    └── StoreError              the store refused or failed; what was not acknowledged is not there
        ├── StoreLocked             another process has it open
        └── StoreTooNew             a later Wingman wrote it

The actor runtime has a tree of its own, `wingman.actor.ActorError`: it knows nothing of sessions.
`code` is the stable name that programs go by, the same in Python and over HTTP. An error that came
over HTTP has the `request_id` under which the server's log knows it.
"""

__all__ = [
    "AlreadyResolved",
    "BadAnswer",
    "ContextTooLong",
    "Forbidden",
    "ForbiddenTool",
    "InvalidRequest",
    "MailboxFull",
    "NotFound",
    "NotInFlight",
    "OutputInvalid",
    "Overloaded",
    "ProviderAuthError",
    "ProviderError",
    "ProviderNotConfigured",
    "ProviderRateLimited",
    "ProviderRejected",
    "ProviderStreamError",
    "ProviderTimeout",
    "RequestError",
    "RequestIdConflict",
    "RunFailed",
    "SessionBusy",
    "SessionDeleted",
    "SessionQuarantined",
    "ShuttingDown",
    "StoreError",
    "StoreLocked",
    "StoreTooNew",
    "StoreUnavailable",
    "StreamLagged",
    "ToolError",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "WaitsForItself",
    "WingmanError",
]


class WingmanError(Exception):
    """The root of the tree. Its text says what to do about it.

    `run_id` is the run that it is about, and `request_id` the request that it answers, where known.
    """

    code: str = "internal_error"
    run_id: str | None = None
    request_id: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(WingmanError):
    """The caller asked for what cannot be."""

    code = "invalid_request"


class InvalidRequest(RequestError):
    """A value is missing, unknown or of the wrong type; the message names its path."""


class NotFound(RequestError):
    """There is no such thing. `kind` is what was looked for: "session", "agent", "run", …"""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"There is no {kind.replace('_', ' ')} {id!r}.")
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
    """A cancel named the run that it saw in flight, and that one is not. Nothing was cancelled.

    Its code is `run_queued` or `run_ended`; `run_id` names the run.
    """

    def __init__(self, run_id: str, status: str) -> None:
        queued = status == "queued"
        stands = "is queued" if queued else f"has ended ({status})"
        super().__init__(
            f"Run {run_id} is not in flight: it {stands}. Nothing was cancelled."
            + (" To cancel it where it waits, cancel the run itself." if queued else "")
        )
        self.run_id = run_id
        self.code = "run_queued" if queued else "run_ended"


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
    """A tool's command would answer a request for a permission, which only people may."""

    code = "forbidden_tool"


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


class Unavailable(WingmanError):
    """Not now. `retry_after` is in seconds; 0 where it is of no use to ask again."""

    code = "overloaded"

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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


class Unreachable(Unavailable):
    """The server does not answer, or the connections to it break, also when tried again.

    Whether the last request was obeyed is not known.
    """

    code = "unreachable"


class ProviderError(WingmanError):
    """The model's API failed, after the retries.

    `provider` is its id; `status`, `error_type` and `request_id` are its own, where it gave them.
    `refused` says that it would not have the request for what that contains, such as an image: the
    same request with other contents may pass.
    """

    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int | None = None,
        error_type: str | None = None,
        request_id: str | None = None,
        refused: bool = False,
    ) -> None:
        own = ", ".join(
            part
            for part in (
                f"HTTP {status}" if status is not None else "",
                error_type or "",
                f"request {request_id}" if request_id else "",
            )
            if part
        )
        super().__init__(f"{provider}: {message}" + (f" ({own})" if own else ""))
        self.provider = provider
        self.status = status
        self.error_type = error_type
        self.request_id = request_id
        self.refused = refused


class ProviderAuthError(ProviderError):
    """The provider refused the key."""

    code = "provider_auth"


class ProviderRejected(ProviderError):
    """The provider refused the request; sending it again changes nothing."""


class ProviderRateLimited(ProviderError):
    """The provider's rate limit, or its quota, is used up."""


class ProviderTimeout(ProviderError):
    """The provider did not answer, or fell silent, for longer than the timeout."""

    code = "provider_timeout"


class ProviderStreamError(ProviderError):
    """The provider's stream broke, reported an error, or was not what its protocol says."""


class OutputInvalid(WingmanError):
    """The model's final response does not fit the agent's `output_schema`, also when asked again.

    What it said is in the history.
    """

    code = "output_invalid"


class ToolError(WingmanError):
    """A tool could not do what the model asked. Its text is the result that the model reads.

    What is given need not be text: `ToolError(404)` says "404", and `ToolError(error)` what the
    error says, or else its type.
    """

    code = "tool_error"

    def __init__(self, *reasons: object) -> None:
        words = (_words(reason) for reason in reasons if reason is not None)
        super().__init__(" ".join(part for part in words if part))


class RunFailed(WingmanError):
    """The run ended in an error. `code` and the text are those of the error that ended it."""

    code = "run_failed"

    def __init__(self, message: str, code: str = "run_failed", run_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.run_id = run_id


class StreamLagged(WingmanError):
    """A reader fell behind what its channel holds: read the history, and go on from `resume_at`."""

    code = "resync"

    def __init__(self, resume_at: int) -> None:
        super().__init__(
            "The events after this reader's place are not held any more (it fell behind, or the "
            "session had left memory): read the session's history, then go on after event "
            f"{resume_at}."
        )
        self.resume_at = resume_at


class BadAnswer(WingmanError):
    """What answers at the server's address does not answer as Wingman does: another service is
    there, or a proxy stands between. `status` is that of the answer, and `retry_after` what it asks
    for, in seconds; 0 where it asks for none."""

    code = "bad_answer"

    def __init__(self, message: str, status: int | None = None, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class StoreError(WingmanError):
    """The store refused what it was given, or failed; what was not acknowledged is not there."""

    code = "store_error"


class StoreLocked(StoreError):
    """Another process has this database open; a database has one owner."""

    code = "store_locked"


class StoreTooNew(StoreError):
    """A later version of Wingman wrote this database."""

    code = "store_too_new"


class StoreUnavailable(Unavailable, StoreError):
    """The store cannot be written or read just now: its disk is full, or somebody holds its lock.

    Nothing of what was asked for was kept, unless the text says otherwise. `run_id` names the run
    that it is about, where there is one.
    """

    code = "store_unavailable"

    def __init__(self, message: str, retry_after: float = 1.0, run_id: str | None = None) -> None:
        super().__init__(message, retry_after)
        self.run_id = run_id


def _words(value: object) -> str:
    try:
        text = str(value)
    except Exception:  # the text of a foreign object may fail to be made
        return type(value).__name__
    return text or (type(value).__name__ if isinstance(value, BaseException) else "")
