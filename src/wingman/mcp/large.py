"""Large messages: what is needed of one, and nothing else of it.

To make Python objects of all that a message of 50 MB says would stop everything for seconds, if it
is made of a million small parts. So the parts that can be long are read as what they should be, and
the others are passed over, which takes milliseconds.
"""

from typing import Any, Final

import msgspec
from mcp_types import INTERNAL_ERROR, JSONRPCMessage
from mcp_types.jsonrpc import jsonrpc_message_adapter

__all__ = ["LARGE", "read_large"]

LARGE: Final = 1_000_000  # bytes
_MOST_BLOCKS: Final = 1_000
_LARGEST_SCHEMA: Final = 100_000


class _Resource(msgspec.Struct, rename="camel", omit_defaults=True):
    uri: str
    text: str | None = None
    blob: str | None = None
    mime_type: str | None = None


class _Block(msgspec.Struct, rename="camel", omit_defaults=True):
    type: str
    text: str | None = None
    data: str | None = None
    mime_type: str | None = None
    uri: str | None = None
    name: str | None = None
    description: str | None = None
    resource: _Resource | None = None


class _Tool(msgspec.Struct, rename="camel"):
    name: str
    title: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = msgspec.Raw(b"null")


class _Result(msgspec.Struct, rename="camel"):
    content: list[msgspec.Raw] | None = None
    structured_content: msgspec.Raw = msgspec.Raw(b"")
    is_error: bool = False
    tools: list[_Tool] | None = None
    next_cursor: str | None = None
    result_type: str | None = None
    ttl_ms: float | None = None
    cache_scope: str | None = None


class _Answer(msgspec.Struct):
    id: int | str
    result: _Result


class _Numbered(msgspec.Struct):
    id: int | str


def read_large(line: bytes) -> JSONRPCMessage:
    """The message, if it is an answer. Raises `msgspec.DecodeError` where it is none.

    Structured content that is as large is left out. An answer that is not what it should be becomes
    an error, so that whoever waits for it is told.
    """
    try:
        answer = msgspec.json.decode(line, type=_Answer)
        result = _of(answer.result)
    except msgspec.ValidationError as error:
        id = msgspec.json.decode(line, type=_Numbered).id
        words = {"code": INTERNAL_ERROR, "message": f"the answer cannot be read: {error}"}
        return _message(id, error=words)
    return _message(answer.id, result=result)


def _of(result: _Result) -> dict[str, Any]:
    """What is kept of a result, as the SDK takes it."""
    kept: dict[str, Any] = {
        "resultType": result.result_type,
        "nextCursor": result.next_cursor,
        "ttlMs": result.ttl_ms,
        "cacheScope": result.cache_scope,
    }
    kept = {name: value for name, value in kept.items() if value is not None}
    if result.tools is not None:
        kept["tools"] = [_tool(tool) for tool in result.tools]
    if result.content is not None:
        blocks = [
            msgspec.to_builtins(msgspec.json.decode(raw, type=_Block))
            for raw in result.content[:_MOST_BLOCKS]
        ]
        if left := len(result.content) - len(blocks):
            blocks.append({"type": "text", "text": f"[{left:,} more parts are left out.]"})
        kept |= {"content": blocks, "isError": result.is_error}
    structured = bytes(result.structured_content)
    if len(structured) > LARGE:
        if not kept.get("content"):
            kept["content"] = [{"type": "text", "text": structured.decode()}]
    elif structured:
        kept["structuredContent"] = msgspec.json.decode(structured)
    return kept


def _tool(tool: _Tool) -> dict[str, Any]:
    schema = bytes(tool.input_schema)
    known = len(schema) <= _LARGEST_SCHEMA
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": msgspec.json.decode(schema) if known else "too large",
    }


def _message(id: int | str, **outcome: Any) -> JSONRPCMessage:
    return jsonrpc_message_adapter.validate_python(
        {"jsonrpc": "2.0", "id": id, **outcome}, by_name=False
    )
