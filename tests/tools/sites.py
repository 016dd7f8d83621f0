"""A server of the web on this machine, for tests of what is fetched from one."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

Answer = bytes | Callable[[trio.abc.Stream], Awaitable[None]]


def answer(body: bytes, kind: str = "text/plain", status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def redirect(location: str) -> bytes:
    return answer(b"", status=302, Location=location)


@attrs.frozen
class Site:
    """A server on this machine, and the requests that it was asked."""

    port: int
    asked: list[str]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def site(pages: dict[str, Answer], tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    asked: list[str] = []

    async def serve(stream: trio.abc.Stream) -> None:
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = await stream.receive_some()
                if not piece:
                    return
                request += piece
            asked.append(request.decode())
            page = pages[request.split()[1].decode()]
            await (stream.send_all(page) if isinstance(page, bytes) else page(stream))
        except trio.BrokenResourceError:
            pass

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield Site(listener.socket.getsockname()[1], asked)
        nursery.cancel_scope.cancel()
