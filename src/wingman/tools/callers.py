"""Who waits for a command: told to the command, and found again when it calls this very process.

A tool's command may send a message to the session that called it, and wait for the answer: neither
would ever end. Each command has the ids of the sessions that wait for it in its environment, as
`WINGMAN_CALLERS`; who is asked over a socket by one of its own descendants looks there.

It works on Linux, for clients on the same machine that are this process's descendants. Elsewhere
nothing is found, and time limits end what waits for itself.
"""

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["Address", "Commands", "commands", "environment_of"]

Address: TypeAlias = tuple[str, int]
"""A host and a port."""

_VARIABLE: Final = "WINGMAN_CALLERS"
_SOCKETS: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def environment_of(callers: Collection[str]) -> dict[str, str]:
    """What a command is told of the sessions that wait for it."""
    return {_VARIABLE: ",".join(sorted(callers))} if callers else {}


class Commands:
    """The commands that run now, as far as it takes to know whether one may be calling.

    To look for a caller costs about a millisecond: where no command runs, nobody looks.
    """

    def __init__(self) -> None:
        self._running = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """A command runs within this block."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def callers(self, client: Address, server: Address) -> frozenset[str]:
        """The sessions that wait for the process at the other end of a connection to `server`."""
        if not self._running:
            return frozenset()
        with contextlib.suppress(OSError, ValueError):  # it has ended, or this is no Linux
            inode = _socket_of(client[1], server[1])
            if inode is not None:
                return _callers_of(f"socket:[{inode}]")
        return frozenset()


commands: Final = Commands()
"""Those of this process: its descendants are one tree, whoever started them."""


def _socket_of(port: int, peer: int) -> str | None:
    """The inode of the socket whose own port is `port`, connected to port `peer`.

    The columns are those of https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html.
    """
    own, other = f":{port:04X}", f":{peer:04X}"
    for table in _SOCKETS:
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(own) and fields[2].endswith(other):
                return fields[9]
    return None


def _callers_of(socket: str) -> frozenset[str]:
    for process in _descendants():
        with contextlib.suppress(OSError):  # it ended while it was looked at
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) == socket:
                    return _told(process)
    return frozenset()


def _descendants() -> Iterator[Path]:
    """The directories in /proc of all processes below this one, parents first."""
    waiting = [os.getpid()]
    for pid in waiting:
        process = Path("/proc", str(pid))
        with contextlib.suppress(OSError):
            for thread in (process / "task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        if pid != waiting[0]:
            yield process


def _told(process: Path) -> frozenset[str]:
    for variable in (process / "environ").read_bytes().split(b"\0"):
        name, _, value = variable.partition(b"=")
        if name == _VARIABLE.encode():
            return frozenset(value.decode().split(","))
    return frozenset()
