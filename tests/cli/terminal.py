"""A `wingman` process as a terminal sees it: what it says, the signals it gets, how it ends."""

import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

# No command here takes a second by itself; a busy machine may make it several.
PATIENCE = 15.0

_SECRETS = ("_API_KEY", "_BASE_URL")


@attrs.frozen
class Command:
    """A running command. `out` and `err` are what it has said so far."""

    process: trio.Process
    mark: str
    _said: dict[str, str] = attrs.field(factory=lambda: {"out": "", "err": ""}, init=False)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    @property
    def out(self) -> str:
        return self._said["out"]

    @property
    def err(self) -> str:
        return self._said["err"]

    async def says(self, text: str) -> None:
        """Wait until stderr has this text."""
        with trio.fail_after(PATIENCE):
            while text not in self.err:
                await self._news.park()

    async def ended(self) -> int:
        """Wait for the end, and for the last words; return the exit code."""
        with trio.fail_after(PATIENCE):
            await self.process.wait()
            while not self._said.get("over"):
                await self._news.park()
        assert self.process.returncode is not None
        return self.process.returncode

    def survivors(self) -> list[int]:
        """The processes that this command started, itself too, and that still run."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if self.mark.encode() in environment:
                found.append(int(entry.name))
        return found

    async def listen(self) -> None:
        """Take what it says, as it comes."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, self.process.stdout, "out")
            nursery.start_soon(self._pump, self.process.stderr, "err")
        self._said["over"] = "yes"
        self._news.unpark_all()

    async def _pump(self, stream: trio.abc.ReceiveStream, name: str) -> None:
        async with stream:
            async for chunk in stream:
                self._said[name] += chunk.decode()
                self._news.unpark_all()


@asynccontextmanager
async def wingman(
    *arguments: str, home: Path, stdin: bytes = b"", **environment: str
) -> AsyncIterator[Command]:
    """Start `wingman`, at home in a directory, without the keys of whoever runs the tests."""
    program = (sys.executable, "-m", "wingman")
    async with running(*program, *arguments, home=home, stdin=stdin, **environment) as command:
        yield command


@asynccontextmanager
async def running(
    *program: str, home: Path, stdin: bytes = b"", **environment: str
) -> AsyncIterator[Command]:
    """Start a program in the same way."""
    mark = f"{uuid.uuid4()}"
    clean = {name: value for name, value in os.environ.items() if not name.endswith(_SECRETS)}
    process = await trio.lowlevel.open_process(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=home,
        env={**clean, "HOME": str(home), "TEST_MARK": mark, **environment},
    )
    assert process.stdin is not None
    command = Command(process, mark)
    async with trio.open_nursery() as nursery:
        try:
            nursery.start_soon(command.listen)
            await process.stdin.send_all(stdin)
            await process.stdin.aclose()
            yield command
        finally:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
