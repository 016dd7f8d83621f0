"""The servers that are measured, each a process of its own, as `wingman serve` would have it."""

import gc
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import hypercorn.trio
import trio
from hypercorn.config import Config
from quart_trio import QuartTrio

from bench._models import EVENTFUL, TEXT, TOOLS
from wingman import Runtime
from wingman.cli.garbage import collect_seldom
from wingman.server import serve

__all__ = [
    "Server",
    "Started",
    "as_served",
    "free_port",
    "listens",
    "running",
    "started",
    "wingman_serve",
]

_PATIENCE: Final = 300
"""Seconds, for a server that begins with much to do."""


@attrs.frozen
class Server:
    """A server that listens on loopback; `pid` is its process."""

    host: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def running(
    name: str, *arguments: str, module: str = "bench._servers"
) -> AsyncIterator[Server]:
    """Run `python -m module name directory arguments …` until the block ends.

    It says its URL when it listens. The directory is its own, and empty.
    """
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", module, name, directory, *arguments]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            said = (await process.stdout.receive_some()).decode().strip()
            host, _, port = said.removeprefix("http://").partition(":")
            yield Server(host, int(port), process.pid)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


@attrs.frozen
class Started(Server):
    """A server that was started as its users start it; `healthy_after` so many seconds."""

    healthy_after: float


def free_port() -> int:
    """A port on loopback that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@asynccontextmanager
async def started(
    command: Sequence[str],
    port: int,
    *,
    health: str = "/health",
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Started]:
    """Run a server's command until the block ends; it begins when all is well with the server.

    Raises `RuntimeError` if its process ends before.
    """
    begin = time.perf_counter()
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=directory,
        env={**os.environ, **(environment or {})},
    )
    try:
        with trio.fail_after(_PATIENCE):
            while not await _is_well(port, health):
                if process.poll() is not None:
                    raise RuntimeError(f"{command[0]} has ended with {process.returncode}")
                await trio.sleep(0.002)
        yield Started("127.0.0.1", port, process.pid, time.perf_counter() - begin)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def wingman_serve(
    database: Path, *options: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Started]:
    """Run `wingman serve`, until the block ends; it begins when `/health` says that all is well."""
    port = free_port()
    command = [sys.executable, "-m", "wingman", "serve", "--port", str(port), "--db", str(database)]
    async with started([*command, *options], port, environment=environment) as server:
        yield server


async def _is_well(port: int, health: str) -> bool:
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            asked = f"GET {health} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            await stream.send_all(asked.encode())
            return b" 200 " in await stream.receive_some(1024)
    except OSError:
        return False


@contextmanager
def as_served() -> Iterator[None]:
    """This process as `wingman serve` sets one: its garbage collector looks seldom."""
    usual = gc.get_threshold()
    collect_seldom()
    gc.freeze()
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


async def hello(_directory: Path) -> None:
    """The least that Quart-Trio on Hypercorn can do."""
    app = QuartTrio("hello")

    @app.get("/")
    async def greet() -> dict[str, str]:
        return {"hello": "world"}

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    async with trio.open_nursery() as nursery:
        url = (await nursery.start(partial(hypercorn.trio.serve, app, config)))[0]
        listens(url)


async def wingman(directory: Path) -> None:
    """Wingman's server over SQLite, with agents whose models cost nothing."""
    agents = [TEXT, EVENTFUL, TOOLS]
    async with (
        Runtime(directory / "bench.db", agents=agents) as runtime,
        trio.open_nursery() as nursery,
    ):
        listens(await nursery.start(partial(serve, runtime, port=0)))


def listens(url: str) -> None:
    """Say that this server is there."""
    gc.freeze()
    print(url, flush=True)


if __name__ == "__main__":
    collect_seldom()
    trio.run({"hello": hello, "wingman": wingman}[sys.argv[1]], Path(sys.argv[2]))
