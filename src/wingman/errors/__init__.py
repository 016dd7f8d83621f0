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
    │   ├── NotReloaded             the configuration could not be read again
    │   ├── MessageRead             a message that was to be taken back was read
    │   ├── WaitsForItself          a tool would wait for the run that waits for it
    │   ├── Unauthorized            the server's token is missing or wrong
    │   ├── Forbidden               the server does not go by this name, or not for this page
    │   ├── ForbiddenTool           a tool's command would do what only people may
    │   ├── ProviderNotConfigured   the provider has no key, or no model is named
    │   └── ContextTooLong          the history does not fit into the model's context window
    ├── Unavailable             not now; `retry_after` says when to ask again
    │   ├── MailboxFull             the session's mailbox is full
    │   ├── SessionQuarantined      the session's actor keeps crashing; the text says how
    │   ├── Overloaded              the process runs as many runs as it may
    │   ├── ShuttingDown            the runtime is draining
    │   ├── McpUnavailable          an MCP server cannot be connected to
    │   ├── SessionElsewhere        another node owns the session
    │   ├── NodeLost                the node that owned the session went away
    │   ├── NoNode                  no living node may own the session
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
    │   └── ToolsetUnavailable      its toolset is not there now
    ├── RunFailed               the run ended in an error that is no other of these: a bug
    ├── StreamLagged            a reader fell behind what its channel holds
    ├── BadAnswer               what answers at the server's address does not answer as Wingman does
    └── StoreError              the store refused or failed; what was not acknowledged is not there
        ├── SessionMoved            another node may own the session that was written
        ├── StoreLocked             another process has it open
        └── StoreTooNew             a later Wingman wrote it

The actor runtime has a tree of its own, `wingman.actor.ActorError`: it knows nothing of sessions.
`code` is the stable name that programs go by, the same in Python and over HTTP. An error that came
over HTTP has the `request_id` under which the server's log knows it.

    base.py         what all errors have, and the two kinds that say what the caller can do
    requests.py     what was asked for cannot be
    unavailable.py  not now
    providers.py    the model's API failed
    runs.py         a tool, a run or a stream failed
    stores.py       what could not be kept
"""

from wingman.errors.base import RequestError, Unavailable, WingmanError
from wingman.errors.providers import (
    OutputInvalid,
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)
from wingman.errors.requests import (
    AlreadyResolved,
    ContextTooLong,
    Forbidden,
    ForbiddenTool,
    InvalidRequest,
    MessageRead,
    NotFound,
    NotInFlight,
    NotReloaded,
    ProviderNotConfigured,
    RequestIdConflict,
    SessionBusy,
    SessionDeleted,
    Unauthorized,
    WaitsForItself,
)
from wingman.errors.runs import BadAnswer, RunFailed, StreamLagged, ToolError, ToolsetUnavailable
from wingman.errors.stores import (
    SessionMoved,
    StoreError,
    StoreLocked,
    StoreTooNew,
    StoreUnavailable,
)
from wingman.errors.unavailable import (
    MailboxFull,
    McpUnavailable,
    NodeLost,
    NoNode,
    Overloaded,
    SessionElsewhere,
    SessionQuarantined,
    ShuttingDown,
    Unreachable,
)

__all__ = [
    "AlreadyResolved",
    "BadAnswer",
    "ContextTooLong",
    "Forbidden",
    "ForbiddenTool",
    "InvalidRequest",
    "MailboxFull",
    "McpUnavailable",
    "MessageRead",
    "NoNode",
    "NodeLost",
    "NotFound",
    "NotInFlight",
    "NotReloaded",
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
    "SessionElsewhere",
    "SessionMoved",
    "SessionQuarantined",
    "ShuttingDown",
    "StoreError",
    "StoreLocked",
    "StoreTooNew",
    "StoreUnavailable",
    "StreamLagged",
    "ToolError",
    "ToolsetUnavailable",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "WaitsForItself",
    "WingmanError",
]
