"""A network that is against the client: a proxy on real sockets, between it and a real server.

Each request takes the next fault, if one is for it: its answer is cut, stalled, given byte by byte,
or made up. A connection has one request, so that a fault is one request's.
"""

import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

import attrs
import trio
import trio.lowlevel

End = Literal["fin", "rst", "stall"]


@attrs.frozen
class Fault:
    """What happens to one request whose first line has `where` in it.

    `answer`: the proxy answers it, and the server never sees it. `unheard`: the server answers,
    and the proxy answers in its place. `sent`: so many bytes of the request go on to the server.
    `cut`: so many bytes of the answer arrive. Both end as `end` says. `piece`: it arrives in
    pieces of so many bytes; `together`: what comes within so many seconds arrives at once.
    """

    where: str = ""
    answer: bytes | None = None
    unheard: bool = False
    sent: int | None = None
    cut: int | None = None
    end: End = "fin"
    piece: int | None = None
    together: float = 0.0
    endless: bytes = b""


@attrs.define(eq=False)
class FaultProxy:
    """The proxy to one port. `faults` are taken one after the other by the requests that they are
    for; `requests` are the first lines of all. `refuses`: no connection is taken at all."""

    port: int
    faults: deque[Fault] = attrs.field(factory=deque)
    requests: list[str] = attrs.field(factory=list)
    heads: list[bytes] = attrs.field(factory=list)
    given: int = 0
    refuses: bool = False
    url: str = ""
    met: threading.Event = attrs.field(factory=threading.Event)

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            await nursery.start(partial(trio.serve_listeners, self._talk, listeners))
            task_status.started()

    async def _talk(self, client: trio.SocketStream) -> None:
        try:
            await self._exchange(client)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass  # one of the two has left
        finally:
            await trio.aclose_forcefully(client)

    async def _exchange(self, client: trio.SocketStream) -> None:
        if self.refuses:
            await self._end(client, "rst")
            return
        request = await _request(client)
        if not request:
            return
        line = request.partition(b"\r\n")[0].decode()
        self.requests.append(line)
        self.heads.append(request.partition(b"\r\n\r\n")[0])
        fault = Fault()
        if self.faults and self.faults[0].where in line:
            fault = self.faults.popleft()
            self.met.set()
        if fault.answer is not None and not fault.unheard:
            await self._give(client, fault, fault.answer)
            return
        server = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with server, trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, client, nursery)
            # The server closes after one answer.
            request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            if fault.sent is not None:
                await server.send_all(request[: fault.sent])
                if fault.end != "stall":
                    nursery.cancel_scope.cancel()
                await self._end(client, fault.end)
                return
            await server.send_all(request)
            await self._relay(server, client, fault)
            nursery.cancel_scope.cancel()

    async def _watch(self, client: trio.SocketStream, nursery: trio.Nursery) -> None:
        """Leave the server when the client has left."""
        while await client.receive_some():
            pass
        nursery.cancel_scope.cancel()

    async def _relay(
        self, server: trio.SocketStream, client: trio.SocketStream, fault: Fault
    ) -> None:
        left = fault.cut
        if fault.unheard:
            await server.receive_some()
            await self._give(client, fault, fault.answer or b"")
            return
        while data := await server.receive_some():
            if fault.together:
                with trio.move_on_after(fault.together):
                    while more := await server.receive_some():
                        data += more
            if left is not None:
                data = data[:left]
                left -= len(data)
            await self._send(client, data, fault)
            if left == 0:
                break
        await self._end(client, fault.end if left == 0 else "fin")

    async def _give(self, client: trio.SocketStream, fault: Fault, answer: bytes) -> None:
        await self._send(client, answer, fault)
        while fault.endless:
            await client.send_all(fault.endless)
            self.given += len(fault.endless)
        await self._end(client, fault.end)

    async def _send(self, client: trio.SocketStream, data: bytes, fault: Fault) -> None:
        size = fault.piece or max(1, len(data))
        for at in range(0, len(data), size):
            await client.send_all(data[at : at + size])
            if fault.piece:
                await trio.lowlevel.checkpoint()

    async def _end(self, client: trio.SocketStream, end: End) -> None:
        if end == "stall":
            await trio.sleep_forever()
        if end == "rst":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _request(client: trio.SocketStream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = await client.receive_some()
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        more = await client.receive_some()
        if not more:
            return b""
        body += more
    return head + b"\r\n\r\n" + body


@contextmanager
def between(url: str) -> Iterator[FaultProxy]:
    """A proxy to the server at this address, in a thread."""
    proxy = FaultProxy(urlsplit(url).port or 80)
    ready = threading.Event()
    scopes: list[tuple[trio.lowlevel.TrioToken, trio.CancelScope]] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(proxy.serve)
            scopes.append((trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            ready.set()

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    try:
        assert ready.wait(10)
        yield proxy
    finally:
        token, scope = scopes[0]
        token.run_sync_soon(scope.cancel)
        thread.join(10)
        assert not thread.is_alive()


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def events(body: bytes, **headers: str) -> bytes:
    """The answer that a stream of events is, in its beginning."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


RETRY_AFTERS = ("0", "Thu, 01 Jan 1970 00:00:00 GMT")


def some_fault(pick: random.Random, length: int = 6000) -> Fault:
    """A fault that a patient client overcomes, as soon as it may."""
    end: End = pick.choice(("fin", "rst", "stall"))
    match pick.randrange(6):
        case 0 | 1:
            return Fault(cut=pick.choice((0, pick.randrange(300), pick.randrange(length))), end=end)
        case 2:
            return Fault(sent=pick.choice((0, pick.randrange(300))), end=end)
        case 3:
            status = pick.choice(("429 Later", "502 Bad", "503 Later", "504 Late"))
            more = {"Retry_After": pick.choice(RETRY_AFTERS)} if pick.random() < 0.7 else {}
            return Fault(answer=answer(status, b"<p>no</p>", Content_Type="text/html", **more))
        case 4:
            return Fault(unheard=True, answer=b"", end=end)
        case _:
            return Fault(piece=pick.randrange(1, 8), cut=pick.randrange(length), end=end)
