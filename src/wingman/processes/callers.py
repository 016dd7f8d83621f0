"""Who waits for a command: told to the command, and found again when it calls this very process.

A tool's command may send a message to the session that called it, and wait for the answer: neither
would ever end. Each command has the ids of the sessions that wait for it in its environment, as
`WINGMAN_CALLERS`; who is asked over a socket by one of its own descendants looks there.

It works on Linux, for clients on the same machine that are this process's descendants, or those of
a process that shares its port (`board.py`). Elsewhere nothing is found, and time limits end what
waits for itself.
"""

import contextlib
import ipaddress
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from wingman.processes.board import Board
from wingman.processes.kept import spawner_pid

__all__ = ["Address", "Commands", "commands", "environment_of"]

Address: TypeAlias = tuple[str, int]
"""A host and a port."""

_VARIABLE: Final = "WINGMAN_CALLERS"
_MAPPED: Final = ("0000000000000000FFFF0000", "00000000000000000000FFFF")
_ORPHANED: Final = "0"  # the inode of a socket that no process has any more
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
        self._board: Board | None = None

    def share(self, board: Board) -> None:
        """This process shares its port with those on the board: their commands may call, too."""
        self._board = board
        board.runs(self._running)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """A command runs within this block."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._running += change
        if self._board is not None:
            self._board.runs(self._running)

    def callers(self, client: Address, server: Address) -> frozenset[str]:
        """The sessions that wait for the process at the other end of a connection to `server`."""
        if not self._running and not (self._board is not None and self._board.commands_run):
            return frozenset()
        with contextlib.suppress(OSError, ValueError):  # it has ended, or this is no Linux
            inode = _socket_of(client, server)
            if inode is not None:
                return _callers_of(f"socket:[{inode}]", self._processes)
        return frozenset()

    def is_command(self, client: Address, server: Address) -> bool:
        """Whether a command, or a process that one has started, is at the other end of a connection
        to `server`: whatever environment it has, and whoever its parent is. A process of this
        machine that is gone already counts as one: it waits for no answer."""
        ancestors = self._ancestors
        if not ancestors:
            return False
        with contextlib.suppress(OSError, ValueError):  # this is no Linux
            inode = _socket_of(client, server)
            if inode is not None and inode != _ORPHANED:
                if _holder(f"socket:[{inode}]", _descendants(*ancestors)) is not None:
                    return True
                inode = _socket_of(client, server)  # it may have been about to end
            return inode == _ORPHANED or (inode is None and _is_loopback(client))
        return False

    @property
    def _processes(self) -> Collection[int]:
        return (os.getpid(),) if self._board is None else self._board.processes

    @property
    def _ancestors(self) -> Collection[int]:
        """The processes from which all commands descend. None is a command itself."""
        spawner = spawner_pid()
        others = [pid for pid in self._processes if pid != os.getpid()]
        return [*others, spawner] if spawner else others


commands: Final = Commands()
"""Those of this process: its descendants are one tree, whoever started them."""


def _socket_of(own: Address, peer: Address) -> str | None:
    """The inode of the socket at `own` that is connected to `peer`.

    The columns are those of https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html.
    """
    wanted = [_as_listed(own), _as_listed(peer)]
    for table in _SOCKETS:
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if [_without_mapping(field) for field in fields[1:3]] == wanted:
                return fields[9]
    return None


def _is_loopback(address: Address) -> bool:
    host = ipaddress.ip_address(address[0].partition("%")[0])
    return (getattr(host, "ipv4_mapped", None) or host).is_loopback


def _as_listed(address: Address) -> str:
    """An address as the kernel lists it: 32-bit words in the machine's own order, in hex."""
    host = ipaddress.ip_address(address[0].partition("%")[0])
    packed = host.packed
    words = (packed[i : i + 4] for i in range(0, len(packed), 4))
    listed = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return _without_mapping(f"{listed}:{address[1]:04X}")


def _without_mapping(listed: str) -> str:
    """An IPv4 address that is listed among IPv6 ones, as IPv4."""
    return listed[-13:] if listed[:-13] in _MAPPED else listed


def _callers_of(socket: str, ancestors: Collection[int]) -> frozenset[str]:
    parents: dict[Path, Path | None] = {}
    looked_at = _remembered(_descendants(*ancestors), parents)
    process = _holder(socket, looked_at)
    return frozenset() if process is None else _told(process, parents)


def _remembered(
    processes: Iterator[tuple[Path, Path | None]], parents: dict[Path, Path | None]
) -> Iterator[tuple[Path, Path | None]]:
    for process, parent in processes:
        parents[process] = parent
        yield process, parent


def _holder(socket: str, processes: Iterator[tuple[Path, Path | None]]) -> Path | None:
    """Which of these processes has a socket open."""
    for process, _ in processes:
        with contextlib.suppress(OSError):  # it ended while it was looked at
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) == socket:
                    return process
    return None


def _descendants(*ancestors: int) -> Iterator[tuple[Path, Path | None]]:
    """All processes below these, parents first: each directory in /proc, and its parent's."""
    waiting: list[tuple[int, Path | None]] = [(ancestor, None) for ancestor in ancestors]
    for number, (pid, parent) in enumerate(waiting):
        process = Path("/proc", str(pid))
        with contextlib.suppress(OSError):
            for thread in (process / "task").iterdir():
                children = map(int, (thread / "children").read_text().split())
                waiting += [(child, process) for child in children]
        if number >= len(ancestors):
            yield process, parent


def _told(process: Path, parents: Mapping[Path, Path | None]) -> frozenset[str]:
    """The callers in a process's environment, or in that of the next above it that has them.

    A command may have started the process with an environment of its own.
    """
    at: Path | None = process
    while at is not None:
        with contextlib.suppress(OSError):
            for variable in (at / "environ").read_bytes().split(b"\0"):
                name, _, value = variable.partition(b"=")
                if name == _VARIABLE.encode():
                    return frozenset(value.decode().split(","))
        at = parents.get(at)
    return frozenset()
