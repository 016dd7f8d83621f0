"""One node of `wingman serve --nodes N`, as the process that the parent has started sees it.

The parent (`nodes.py`) starts the program once more, as it was started itself, and tells it in the
environment what it inherits: the sockets that listen, a board of who runs commands, and one end of
a line to the parent. By this line the node hears of the signals that the parent got, and of the
parent's end; and says that it serves, or that it has read the configuration again.
"""

import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Final, Self

import attrs
import msgspec
import trio

from wingman.processes import Board, commands
from wingman.telemetry import notice

__all__ = ["READY", "RELOADED", "VARIABLE", "Inheritance", "Node"]

VARIABLE: Final = "WINGMAN_INHERITED"

READY: Final = b"s"
"""A node says: it serves."""
RELOADED: Final = b"c"
"""A node says: it was asked over HTTP to read the configuration again, and the others are to."""


class Inheritance(msgspec.Struct, frozen=True):
    """What a node inherits, by the numbers of its descriptors, and which one it is."""

    place: int
    listeners: tuple[int, ...]
    board: int
    line: int
    tells: bool
    """Whether it is to say where the server listens: one does."""


@attrs.define(eq=False)
class Node:
    """This process, one of several nodes on one port."""

    inherited: Inheritance
    _line: socket.socket
    listeners: Sequence[trio.SocketListener]

    @classmethod
    def found(cls) -> Self | None:
        """This process as a node, if it was started as one."""
        said = os.environ.pop(VARIABLE, None)
        if said is None:
            return None
        inherited = msgspec.json.decode(said, type=Inheritance)
        for descriptor in (*inherited.listeners, inherited.board, inherited.line):
            os.set_inheritable(descriptor, False)
        commands.share(Board.of(inherited.board, inherited.place))
        listeners = [
            trio.SocketListener(trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor)))
            for descriptor in inherited.listeners
        ]
        return cls(inherited, socket.socket(fileno=inherited.line), listeners)

    def say(self, what: bytes) -> None:
        """Tell the parent. One that is gone needs to be told nothing."""
        try:
            self._line.send(what, socket.MSG_DONTWAIT)
        except OSError:
            return

    async def signals(self) -> AsyncIterator[int]:
        """The signals that the parent got, and passes on. Its end is as SIGTERM."""
        line = trio.socket.from_stdlib_socket(self._line)
        while numbers := await _heard(line):
            for number in numbers:
                yield number
        notice("The process that started this node has ended: the node stops.")
        yield signal.SIGTERM


async def _heard(line: trio.socket.SocketType) -> bytes:
    try:
        return await line.recv(64)
    except OSError:
        return b""
