"""Errors as the contract has them: one body, and a table from each code to its status."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

__all__ = [
    "CODES",
    "EVERYWHERE",
    "OF_A_SESSION",
    "WITH_A_BODY",
    "ErrorAnswer",
    "ErrorCode",
    "ErrorDetail",
]


class ErrorDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong.

    `code` is for programs, and does not change; `message` is for people, and says what to do.
    `request_id` is that of the answer's `X-Request-ID`. `run_id` is the run that the error is
    about, where there is one.
    """

    code: str
    message: str
    request_id: str
    run_id: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is not 2xx."""

    error: ErrorDetail


class ErrorCode(msgspec.Struct, frozen=True):
    """A code, its status, and when it is answered."""

    code: str
    status: int
    when: str


_ALL: Final = (
    ErrorCode(
        "invalid_request",
        400,
        "the body is not JSON, a field is missing, unknown or of the wrong type, a tool or "
        "provider does not exist, `work_dir` is no directory, a query parameter is unknown or out "
        "of its bounds",
    ),
    ErrorCode(
        "provider_not_configured",
        400,
        "the agent's provider has no key, no base URL, or no model is named; the message says how "
        "to configure it",
    ),
    ErrorCode(
        "context_too_long",
        400,
        "the history cannot fit into the model's context window; the provider was not asked",
    ),
    ErrorCode(
        "unauthorized", 401, "the token is missing or wrong, or a link does not work any more"
    ),
    ErrorCode("forbidden_host", 403, "the server does not go by this name"),
    ErrorCode("forbidden_origin", 403, "the request comes from a page of another origin"),
    ErrorCode(
        "forbidden_tool",
        403,
        "a tool's command would answer the request for a permission, change an MCP server, or have "
        "the configuration read again: only people may",
    ),
    ErrorCode("session_not_found", 404, "there is no such session"),
    ErrorCode("agent_not_found", 404, "there is no such agent"),
    ErrorCode("run_not_found", 404, "there is no such run, or not in this session"),
    ErrorCode("tool_call_not_found", 404, "the run has no such tool call"),
    ErrorCode(
        "permission_not_found", 404, "there is no such request for a permission in this session"
    ),
    ErrorCode("mcp_server_not_found", 404, "there is no such MCP server"),
    ErrorCode("provider_not_found", 404, "there is no such provider"),
    ErrorCode("model_not_found", 404, "the provider has no such model"),
    ErrorCode("asset_not_found", 404, "the page at `/docs`, or the console, has no such file"),
    ErrorCode("credential_not_found", 404, "no credential of this provider is stored"),
    ErrorCode("session_deleted", 404, "the session was deleted while one waited for its run"),
    ErrorCode("mcp_session_not_found", 404, "there is no such MCP session, or no more"),
    ErrorCode("not_found", 404, "there is nothing at this path"),
    ErrorCode(
        "method_not_allowed",
        405,
        "the path does not take this method; `Allow` says which it takes",
    ),
    ErrorCode("request_timeout", 408, "the body did not arrive within 60 s"),
    ErrorCode(
        "session_busy", 409, 'a run is in flight, and the message said `"on_busy": "reject"`'
    ),
    ErrorCode("request_id_conflict", 409, "the `request_id` was used before, with another body"),
    ErrorCode(
        "already_resolved",
        409,
        "the request for a permission was answered before, or its call or its run is over",
    ),
    ErrorCode("run_ended", 409, "the run that a cancel, or a message that steers, names has ended"),
    ErrorCode(
        "run_queued", 409, "the run that a cancel, or a message that steers, names waits its turn"
    ),
    ErrorCode(
        "message_read", 409, "the message that was to be taken back was read: its run has begun"
    ),
    ErrorCode(
        "waits_for_itself",
        409,
        "a tool would wait for a run of the session that waits for that tool",
    ),
    ErrorCode(
        "not_reloaded",
        409,
        "the configuration has mistakes, each a line of the message, or the server has none; it "
        "stays as it was",
    ),
    ErrorCode("body_too_large", 413, "the body has more than 16 MiB"),
    ErrorCode("unsupported_media_type", 415, "the body does not say that it is JSON"),
    ErrorCode("head_too_large", 431, "the request's head has more than it may"),
    ErrorCode("mailbox_full", 429, "as many messages wait in the session as may"),
    ErrorCode(
        "too_many_logins",
        429,
        "too many wrong tokens were given to log in with: for a minute none is looked at",
    ),
    ErrorCode(
        "internal_error",
        500,
        "a fault of the server; its log has the details under the request's id",
    ),
    ErrorCode(
        "unknown_transfer_encoding",
        501,
        "the body has a `Transfer-Encoding` other than `chunked`",
    ),
    ErrorCode("store_error", 500, "the store refused something, or a row of it is damaged"),
    ErrorCode(
        "provider_error",
        502,
        "the model's API failed, after the retries; the message has the provider's own status, "
        "error type and request id",
    ),
    ErrorCode("provider_auth", 502, "the model's API refused the key"),
    ErrorCode(
        "output_invalid",
        502,
        "the model's final response does not fit the agent's `output_schema`, also after it was "
        "told what was wrong",
    ),
    ErrorCode("mcp_unavailable", 502, "an MCP server cannot be connected to; the message says why"),
    ErrorCode(
        "overloaded",
        503,
        "as many runs wait in the process, bodies and messages hold as many bytes, or connections "
        "are open, as may",
    ),
    ErrorCode(
        "shutting_down",
        503,
        "the server is shutting down; with `run_id`, that run is queued and starts when the server "
        "is up again",
    ),
    ErrorCode(
        "session_quarantined",
        503,
        "the session's actor crashed too often and is set aside for a minute",
    ),
    ErrorCode("session_moved", 503, "the session is moving to another node: ask again"),
    ErrorCode(
        "session_elsewhere",
        503,
        "another node owns the session, and the request could not be sent there: ask again",
    ),
    ErrorCode(
        "node_lost",
        503,
        "the node that owned the session went away; what became of a message is known by sending "
        "it again with its `request_id`",
    ),
    ErrorCode(
        "no_node",
        503,
        "no living node has the session's label, or its directory is not on the node that was "
        "asked",
    ),
    ErrorCode("store_unavailable", 503, "the store cannot be written or read just now"),
    ErrorCode("provider_timeout", 504, "the model's API did not answer in time, or fell silent"),
)

CODES: Final[Mapping[str, ErrorCode]] = MappingProxyType({entry.code: entry for entry in _ALL})
"""Every code that the server answers, by its name."""

EVERYWHERE: Final = (
    "invalid_request",
    "forbidden_host",
    "forbidden_origin",
    "head_too_large",
    "internal_error",
    "unknown_transfer_encoding",
    "overloaded",
)
"""What every route may answer, besides `unauthorized` where it needs the token. Some of it is
answered before the request is looked at: it is malformed, or there are too many connections."""

WITH_A_BODY: Final = (
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
)
"""What a route may answer that takes a body."""

OF_A_SESSION: Final = ("session_elsewhere", "session_moved", "node_lost", "no_node")
"""What a route may answer that is about one session, where many nodes share a database."""
