"""A server made with the official SDK: over stdio, or over HTTP on Hypercorn with Trio.

python sdk_server.py
python sdk_server.py http [SECRET]     it prints its port; with a secret it wants that in `x-key`
"""

import sys
from typing import Any

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from pydantic import BaseModel

server = MCPServer("sdk")
PIXEL = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9c"
    b"c\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
)
cancelled = anyio.Event()


class Weather(BaseModel):
    degrees: float


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def weather(place: str) -> Weather:
    """The weather there."""
    return Weather(degrees=21.5)


@server.tool()
def picture() -> Image:
    """A pixel."""
    return Image(data=PIXEL, format="png")


@server.tool()
def fail() -> str:
    """It fails."""
    raise ValueError("on purpose")


@server.tool()
async def slow(ctx: Context) -> str:
    """It takes long."""
    await ctx.report_progress(1, 2, "half of it")
    try:
        await anyio.sleep(1000)
    except anyio.get_cancelled_exc_class():
        cancelled.set()
        raise
    return "never"


@server.tool()
def was_cancelled() -> bool:
    """Whether `slow` was."""
    return cancelled.is_set()


@server.tool()
async def grow(ctx: Context) -> str:
    """One more tool."""
    server.add_tool(lambda: "new", name="grown", description="A new one.")
    await ctx.notify_tools_changed()
    return "grown"


async def serve_http(secret: str) -> None:
    import trio
    from hypercorn.config import Config
    from hypercorn.trio import serve

    app: Any = server.streamable_http_app()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            keys = [value for name, value in scope["headers"] if name == b"x-key"]
            if scope["path"] == "/moved":
                there = [(b"location", b"http://127.0.0.2:1/mcp")]
                await send({"type": "http.response.start", "status": 307, "headers": there})
                await send({"type": "http.response.body", "body": b""})
                return
            if keys != [secret.encode()]:
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b"no"})
                return
        await app(scope, receive, send)

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = config.accesslog = None
    async with trio.open_nursery() as nursery:
        binds = await nursery.start(serve, guarded, config)
        print(binds[0].rpartition(":")[2], flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        anyio.run(serve_http, sys.argv[2], backend="trio")
    else:
        anyio.run(server.run_stdio_async, backend="trio")
