"""Who waits for a command: told to the command, and found again when it calls this very process.

A tool's command may send a message to the session that called it, and wait for the answer: neither
would ever end. Each command has the ids of the sessions that wait for it in its environment, as
`WINGMAN_CALLERS`; who is asked over a socket by one of its own descendants looks there.

It works on Linux, for clients on the same machine that are this process's descendants, or those of
a process that shares its port (`board.py`). Elsewhere nothing is found, and time limits end what
waits for itself.
"""

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from wingman.processes.board import Board
from wingman.processes.kept import spawner_pid
from wingman.processes.sockets import ORPHANED, Address, inode_of, is_loopback

__all__ = ["Address", "Commands", "commands", "environment_of"]

_VARIABLE: Final = "WINGMAN_CALLERS"


def environment_of(callers: Collection[str]) -> dict[str, str]:
    """What a command is told of the sessions that wait for it."""
    return {_VARIABLE: ",".join(sorted(callers))} if callers else {}


class Commands:
    """The commands that run now, as far as it takes to know whether one may be calling.

    To look for a caller costs a part of a millisecond, and more where many processes run: where no
    command runs, nobody looks.
    """

    def __init__(self) -> None:
        self._running = 0
        self._board: Board | None = None

    def share(self, board: Board) -> None:
        """This process shares its port with those on the board: their commands may call, too."""
        self._board = board
        board.runs(self._running)
        if spawner_pid():
            board.starts_commands()

    def started(self) -> None:
        """A command is started, or is about to be."""
        if self._board is not None:
            self._board.starts_commands()

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
            inode = inode_of(client, server)
            if inode:  # it is there, and somebody has it
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
            inode = inode_of(client, server)
            if inode is not None and inode != ORPHANED:
                if _holder(f"socket:[{inode}]", _descendants(*ancestors)) is not None:
                    return True
                inode = inode_of(client, server)  # it may have been about to end
            return inode == ORPHANED or (inode is None and is_loopback(client))
        return False

    @property
    def _processes(self) -> Collection[int]:
        return (os.getpid(),) if self._board is None else self._board.processes

    @property
    def _ancestors(self) -> Collection[int]:
        """The processes from which all commands descend. None is a command itself."""
        spawner = spawner_pid()
        others = () if self._board is None else self._board.others_with_commands
        return [*others, spawner] if spawner else others


commands: Final = Commands()
"""Those of this process: its descendants are one tree, whoever started them."""


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
