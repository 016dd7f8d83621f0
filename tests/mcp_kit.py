"""What the tests of the MCP face share: a client that says each message as the test wants it."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import attrs
import httpx

from server_kit import Server, Wire

__all__ = ["BOTH", "JSON", "NEW", "OLD", "STREAM", "Peer", "messages_of", "text_of"]

OLD, NEW = "2025-11-25", "2026-07-28"
BOTH = (OLD, NEW)
"""The generation with handshakes, and the one without."""

JSON = "application/json"
STREAM = "application/json, text/event-stream"


@attrs.define(eq=False)
class Peer:
    """An MCP client of one generation; what it sends is what its generation has to."""

    server: Server
    version: str
    session: str | None = None
    ids: Any = attrs.field(factory=lambda: itertools.count(1))

    @classmethod
    async def of(cls, server: Server, version: str) -> Self:
        """A client that has shaken hands, if its generation does."""
        peer = cls(server, version)
        if version == OLD:
            info = {"name": "test", "version": "1"}
            params = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": info}
            began = await peer.post("initialize", params)
            assert began.json()["result"]["protocolVersion"] == OLD
            peer.session = began.headers["Mcp-Session-Id"]
            told = await peer.tell("notifications/initialized")
            assert told.status_code == 202
        return peer

    def written(
        self, method: str, params: dict[str, Any] | None = None, *, id: Any = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """A request as its body and its headers."""
        headers = {"Accept": STREAM, "MCP-Protocol-Version": self.version}
        given = dict(params or {})
        if self.version == NEW:
            headers["Mcp-Method"] = method
            if method == "tools/call" and isinstance(given.get("name"), str):
                headers["Mcp-Name"] = given["name"]
            own = {
                "io.modelcontextprotocol/protocolVersion": NEW,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
            given["_meta"] = own | given.get("_meta", {})
        elif self.session is not None:
            headers["Mcp-Session-Id"] = self.session
        id = next(self.ids) if id is None else id
        return {"jsonrpc": "2.0", "id": id, "method": method, "params": given}, headers

    async def post(
        self, method: str, params: dict[str, Any] | None = None, *, id: Any = None, **headers: str
    ) -> httpx.Response:
        """Send a request; the whole answer."""
        body, own = self.written(method, params, id=id)
        return await self.server.client.post("/mcp", json=body, headers=own | headers)

    async def tell(self, method: str, params: dict[str, Any] | None = None) -> httpx.Response:
        """Send a notification."""
        body, headers = self.written(method, params)
        del body["id"]
        return await self.server.client.post("/mcp", json=body, headers=headers)

    async def call(self, name: str, *, id: Any = None, meta: Any = None, **given: Any) -> Any:
        """Call a tool; its result."""
        params = {"name": name, "arguments": given}
        if meta is not None:
            params["_meta"] = meta
        answer = await self.post("tools/call", params, id=id)
        assert answer.status_code == 200, answer.text
        return messages_of(answer)[-1]["result"]

    @asynccontextmanager
    async def calling(
        self, name: str, *, id: Any = None, meta: Any = None, **given: Any
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Call a tool, and read its messages as they come; leaving closes the connection."""
        params = {"name": name, "arguments": given}
        if meta is not None:
            params["_meta"] = meta
        body, headers = self.written("tools/call", params, id=id)
        async with await self.server.wire() as wire:
            await wire.send("POST", "/mcp", body, headers.items())
            head = await wire.head()
            assert head.headers["content-type"] == "text/event-stream"
            yield _Messages(wire)


@attrs.define(eq=False)
class _Messages:
    """The messages of a stream whose head was read."""

    _wire: Wire
    _text: bytes = b""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while True:
            block, end, rest = self._text.partition(b"\n\n")
            if end:
                self._text = rest
                if block.startswith(b"event: message\ndata: "):
                    message: dict[str, Any] = json.loads(block.partition(b"data: ")[2])
                    return message
                assert block.startswith(b":"), block
            elif chunk := await self._wire._chunk():
                self._text += chunk
            else:
                assert not self._text
                raise StopAsyncIteration


def messages_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The messages of a whole answer, be it a stream or not."""
    if answer.headers["Content-Type"] == JSON:
        return [answer.json()]
    lines = answer.text.split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def text_of(result: dict[str, Any]) -> str:
    """The texts of a tool's result."""
    return "\n".join(block["text"] for block in result["content"])
