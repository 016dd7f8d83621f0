"""A client that costs little: connections that are kept alive, and say prepared requests."""

import json
from collections.abc import Sequence
from typing import Any

import trio

from bench._rounds import Stopwatch, Took
from bench._servers import Server

__all__ = ["Connection", "ask", "ask_all", "delete", "messages", "request", "sessions"]


class Connection:
    """One connection to a server."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    @classmethod
    async def to(cls, server: Server) -> "Connection":
        """Connect."""
        return cls(await trio.open_tcp_stream(server.host, server.port))

    async def ask(self, content: bytes) -> bytes:
        """Send a request, and read the whole answer; its body, which is not decoded."""
        await self._stream.send_all(content)
        data = bytearray()
        while not _complete(data):
            more = await self._stream.receive_some(65536)
            if not more:
                raise RuntimeError(f"the server closed the connection after {bytes(data)!r}")
            data += more
        if data[9:10] != b"2":
            raise RuntimeError(data.decode())
        return bytes(data.partition(b"\r\n\r\n")[2])

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()


def _complete(data: bytearray) -> bool:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    _, sized, length = bytes(data[:end]).lower().partition(b"content-length: ")
    if sized:
        return len(data) == end + 4 + int(length.partition(b"\r\n")[0])
    return data.endswith(b"0\r\n\r\n") or data[9:12] == b"204"


def request(method: str, target: str, body: Any = None, *headers: str) -> bytes:
    """The bytes of a request; `headers` are lines."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}"]
    if content:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, *headers, "", ""]).encode() + content


async def ask_all(server: Server, requests: Sequence[bytes], times: int) -> Took:
    """What an answer takes of the server, with a connection for each request, asked `times`."""

    async def talk(connection: Connection, content: bytes) -> None:
        for _ in range(times):
            await connection.ask(content)

    connections = [await Connection.to(server) for _ in requests]
    watch = Stopwatch(server.pid)
    with watch.running():
        async with trio.open_nursery() as nursery:
            for connection, content in zip(connections, requests, strict=True):
                nursery.start_soon(talk, connection, content)
    for connection in connections:
        await connection.aclose()
    return watch.each(len(requests) * times)


async def ask(server: Server, method: str, target: str, body: Any = None, *headers: str) -> Any:
    """Ask once, over a connection of its own; the answer's JSON."""
    connection = await Connection.to(server)
    content = await connection.ask(request(method, target, body, *headers))
    await connection.aclose()
    return json.loads(content)


async def sessions(server: Server, agent: str, count: int) -> list[str]:
    """New sessions."""
    connection = await Connection.to(server)
    content = request("POST", "/sessions", {"agent_id": agent})
    ids = [json.loads(await connection.ask(content))["id"] for _ in range(count)]
    await connection.aclose()
    return ids


async def delete(server: Server, ids: Sequence[str]) -> None:
    """Delete sessions."""
    connection = await Connection.to(server)
    for session_id in ids:
        await connection.ask(request("DELETE", f"/sessions/{session_id}"))
    await connection.aclose()


def messages(ids: Sequence[str], form: str = "message") -> list[bytes]:
    """A message to each of these sessions."""
    return [request("POST", f"/sessions/{id}/{form}", {"message": "go"}) for id in ids]
