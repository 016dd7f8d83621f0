"""The two generations of the protocol, and which one a message is of.

Up to 2025-11-25 a client shakes hands (`initialize`), has a session, and cancels by a notification.
From 2026-07-28 on each request stands for itself: it says its version in its header and in its
`_meta`, and a client cancels by closing the stream of the answer.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from msgspec import UNSET
from werkzeug.datastructures import Headers

from wingman.api import McpMessage
from wingman.server.mcp.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    UNSUPPORTED_VERSION,
    Refused,
)

__all__ = ["check", "discovered", "in_words_of", "initialized", "meta_of", "stands_for_itself"]

HANDSHAKE: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS: Final = ("2026-07-28",)

_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
_SERVER: Final = "io.modelcontextprotocol/serverInfo"

_VERSION_HEADER: Final = "MCP-Protocol-Version"
_METHOD_HEADER: Final = "Mcp-Method"
_NAME_HEADER: Final = "Mcp-Name"

_BASE64: Final = re.compile(r"=\?base64\?(?P<text>.*)\?=")

_INSTRUCTIONS: Final = """\
Wingman runs agents. Each works in a session, which keeps its history. `run_agent` sends an agent \
a message and waits for its answer; without a session it makes one, and its result has the \
session's id, so that you can go on in it. What takes more than a minute is better run with \
`background`, and read with `get_session`."""


def stands_for_itself(message: McpMessage, headers: Headers) -> bool:
    """Whether a message is of the generation without handshakes."""
    given = headers.get(_VERSION_HEADER)
    if given is None:
        return _VERSION in meta_of(message)
    return given not in HANDSHAKE


def meta_of(message: McpMessage) -> Mapping[str, Any]:
    """What a request says about itself; nothing, where it says nothing."""
    params = {} if message.params is UNSET else message.params
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def check(message: McpMessage, headers: Headers) -> None:
    """Check a request of the generation without handshakes. Raises `Refused`.

    Headers and message must agree, so that whoever reads the one alone reads the same.
    """
    for name in (_VERSION_HEADER, _METHOD_HEADER, _NAME_HEADER):
        if len(headers.getlist(name)) > 1:
            raise Refused(HEADER_MISMATCH, f"The header {name} comes twice")
    given = headers.get(_VERSION_HEADER)
    if message.id is UNSET:
        _check_version(given)
        return
    meta = meta_of(message)
    missing = [name for name in (_VERSION, _CAPABILITIES) if name not in meta]
    if missing:
        known = ", ".join((*HANDSHAKE, *STATELESS))
        raise Refused(
            INVALID_PARAMS,
            f"`params._meta` has no {' and no '.join(missing)}, which version {given} of the "
            f"protocol needs; the server speaks {known}",
        )
    _check_agrees(_VERSION_HEADER, given, meta[_VERSION])
    _check_agrees(_METHOD_HEADER, headers.get(_METHOD_HEADER), message.method)
    if message.method == "tools/call" and message.params is not UNSET:
        tool = message.params.get("name")
        _check_agrees(_NAME_HEADER, _decoded(headers.get(_NAME_HEADER)), tool)
    _check_version(given)


def _check_agrees(header: str, given: str | None, said: Any) -> None:
    if given is None or given != said:
        raise Refused(HEADER_MISMATCH, f"The header {header} does not say what the message says")


def _check_version(given: str | None) -> None:
    if given not in STATELESS:
        data = {"supported": list(STATELESS), "requested": given}
        raise Refused(UNSUPPORTED_VERSION, "Unsupported protocol version", data=data)


def _decoded(given: str | None) -> str | None:
    """A header's text, which may be in base64 (`=?base64?…?=`); None where that is spoilt."""
    match = None if given is None else _BASE64.fullmatch(given)
    if match is None:
        return given
    try:
        return base64.b64decode(match["text"], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def initialized(params: Mapping[str, Any]) -> dict[str, Any]:
    """The server's side of the handshake: the client's version if it is known, or our newest."""
    asked = params.get("protocolVersion")
    return {
        "protocolVersion": asked if asked in HANDSHAKE else HANDSHAKE[-1],
        "capabilities": {"tools": {}},
        "serverInfo": _server_info(),
        "instructions": _INSTRUCTIONS,
    }


def discovered() -> dict[str, Any]:
    """What the server says of itself where there are no handshakes."""
    return {
        "supportedVersions": list(STATELESS),
        "capabilities": {"tools": {}},
        "instructions": _INSTRUCTIONS,
    }


def in_words_of(
    stateless: bool, result: Mapping[str, Any], *, fresh_seconds: int | None = None
) -> dict[str, Any]:
    """A result with what its generation has besides. `fresh_seconds`: for how long it may be kept,
    where it is one that may."""
    if not stateless:
        return dict(result)
    whole = {**result, "resultType": "complete"}
    whole["_meta"] = {**result.get("_meta", {}), _SERVER: _server_info()}
    if fresh_seconds is not None:
        whole |= {"ttlMs": fresh_seconds * 1000, "cacheScope": "private"}
    return whole


def _server_info() -> dict[str, str]:
    return {"name": "wingman", "title": "Wingman", "version": version("wingman-runtime")}
