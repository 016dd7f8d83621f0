"""The server as a process of its own: started, killed, or stopped; and what it leaves behind.

All that it starts inherits a mark in the environment, by which its orphans are found in /proc.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import trio

__all__ = ["Victim", "orphans"]

_LISTENS: Final = re.compile(r"Wingman listens on (\S+)")
_MARK: Final = "CRASH_HARNESS"


@attrs.define(eq=False)
class Victim:
    """One life of the server. `url` is there once it `listens`; all it says goes to `log`."""

    process: trio.Process
    log: Path
    listens: trio.Event = attrs.field(factory=trio.Event)
    url: str = ""

    @classmethod
    async def start(
        cls,
        nursery: trio.Nursery,
        database: Path | str,
        log: Path,
        mark: str,
        options: Sequence[str],
    ) -> "Victim":
        """Start it, with a path or a URL; it listens some time later, if it is left alone."""
        command = [sys.executable, "-m", "wingman", "serve", "--port", "0", "--db", str(database)]
        process = await trio.lowlevel.open_process(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, _MARK: mark},
        )
        victim = cls(process, log)
        nursery.start_soon(victim._hear)
        return victim

    async def _hear(self) -> None:
        stream = self.process.stderr
        assert stream is not None
        said = ""
        async with stream:
            with self.log.open("a") as log:
                async for data in stream:
                    text = data.decode(errors="replace")
                    log.write(text)
                    log.flush()
                    if not self.listens.is_set():
                        said += text
                        if found := _LISTENS.search(said):
                            self.url = found[1]
                            self.listens.set()

    def kill(self) -> None:
        """SIGKILL, unless it is dead."""
        if self.process.returncode is None:
            self.process.kill()

    def terminate(self) -> None:
        """SIGTERM: what runs has its grace."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)


def orphans(mark: str) -> dict[int, str]:
    """The living processes that bear this mark, by id, with their command lines."""
    wanted = f"{_MARK}={mark}".encode()
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if wanted not in (directory / "environ").read_bytes().split(b"\0"):
                continue
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue  # it ended while being looked at, or is another user's
        if command:  # a zombie has none
            found[int(directory.name)] = command
    return found
