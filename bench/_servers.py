"""The servers that are measured, each a process of its own, as `wingman serve` would have it."""

import gc
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import attrs
import hypercorn.trio
import trio
from hypercorn.config import Config
from quart_trio import QuartTrio

from bench._models import EVENTFUL, TEXT, TOOLS
from wingman import Runtime
from wingman.cli.serve import collect_seldom
from wingman.server import serve

__all__ = ["Server", "as_served", "listens", "running"]


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
