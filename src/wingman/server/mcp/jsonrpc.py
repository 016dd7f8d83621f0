"""JSON-RPC: a request's bytes as a message, and answers as bytes.

https://www.jsonrpc.org/specification, as MCP has it: one message a body, and an id is a text or an
integer.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from wingman.api import McpAnswer, McpError, McpMessage

__all__ = [
    "CANCELLED",
    "HEADER_MISMATCH",
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "UNSUPPORTED_VERSION",
    "Id",
    "Refused",
    "answer",
    "notification",
    "read",
    "refusal",
]

Id: TypeAlias = int | str

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022
CANCELLED: Final = -32800

_STATUS: Final[Mapping[int, int]] = MappingProxyType(
    {METHOD_NOT_FOUND: 404, INTERNAL_ERROR: 503, CANCELLED: 200}
)

_encode = msgspec.json.Encoder().encode
_message: Final = msgspec.json.Decoder(McpMessage)
_anything: Final = msgspec.json.Decoder()


class Refused(Exception):
    """A message is not answered with a result. `status` is what HTTP says of that.

    `id` is that of the request, where it is known and the error is raised before the message is
    read.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        data: Any = UNSET,
        status: int | None = None,
        id: Id | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = _STATUS.get(code, 400) if status is None else status
        self.id = id


def read(data: bytes) -> McpMessage:
    """The message in these bytes. Raises `Refused`."""
    try:
        try:
            return _message.decode(data)
        except msgspec.ValidationError as error:
            raise _no_message(_anything.decode(data), str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(PARSE_ERROR, f"The body is not JSON: {error}") from error
    except RecursionError as error:
        raise Refused(PARSE_ERROR, "The body is nested too deeply") from error


def _no_message(given: Any, reason: str) -> Refused:
    """What is wrong with JSON that is no message, told to the request's id if it has one."""
    if isinstance(given, list):
        return Refused(INVALID_REQUEST, "Batches are not taken: send one message a request")
    if not isinstance(given, dict):
        return Refused(INVALID_REQUEST, "The body is no message of JSON-RPC: it is no object")
    if "method" not in given and ("result" in given or "error" in given):
        return Refused(INVALID_REQUEST, "The server has asked nothing: it takes no answers")
    id = given.get("id")
    known = id if isinstance(id, int | str) and not isinstance(id, bool) else None
    return Refused(INVALID_REQUEST, f"The body is no message of JSON-RPC: {reason}", id=known)


def answer(id: Id, result: Mapping[str, Any]) -> bytes:
    """The answer to a request."""
    return _encode(McpAnswer("2.0", id, dict(result)))


def refusal(id: Id | None, refused: Refused) -> bytes:
    """The error that answers a request; without an id, one that could not be read."""
    error = McpError(refused.code, refused.message, refused.data)
    return _encode(McpAnswer("2.0", id, error=error))


def notification(method: str, params: Mapping[str, Any]) -> bytes:
    """What a client is told and does not answer."""
    return _encode({"jsonrpc": "2.0", "method": method, "params": params})
