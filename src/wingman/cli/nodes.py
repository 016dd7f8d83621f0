"""`wingman serve --nodes N`: the process that starts N nodes, which share its listening sockets.

It binds, so that a port in use is told before anything else is done; starts the nodes, the first
one alone, since that one may have to bring the database's tables up to date; passes on the signals
that it gets; starts a node again that has died; and ends when all of them have. It serves nothing
itself, and opens no database. If it is killed, the nodes see it, and stop in order (`node.py`).
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import attrs
import msgspec
import trio

from wingman.cli.node import READY, RELOADED, VARIABLE, Inheritance
from wingman.cli.signals import Signals
from wingman.processes import Board
from wingman.telemetry import log_event

__all__ = ["Nodes"]

logger = logging.getLogger("wingman.cli")

# Seconds between the death of a node and its next start: at first, and at most where it dies again
# at once. One that has lived for so long is not one of these.
_PAUSE_FIRST: Final = 0.1
_PAUSE_LAST: Final = 10.0
_LIVED: Final = 30.0

# Nodes leave by themselves, within a second of their grace. One that is stopped cannot.
_LEAVE_SECONDS: Final = 1.0
_SLACK: Final = 0.2


@attrs.define(eq=False)
class _Node:
    """One of the nodes: a process, and after its death the next one."""

    place: int
    process: trio.Process | None = None
    line: socket.socket | None = None
    served: bool = False
    settled: trio.Event = attrs.field(factory=trio.Event)
    """It has served once, or never will."""

    def tell(self, number: int) -> None:
        """Tell the process of a signal, if there is one."""
        if self.line is not None:
            with suppress(OSError):  # it is dead, and will be found so
                self.line.send(bytes([number]), socket.MSG_DONTWAIT)


@attrs.define(eq=False)
class Nodes:
    """`count` nodes of this program, on the sockets of these listeners."""

    count: int
    listeners: Sequence[trio.SocketListener]
    grace: float
    _board: Board = attrs.field(init=False)
    _nodes: Sequence[_Node] = attrs.field(init=False)
    _ending: trio.Event = attrs.field(factory=trio.Event, init=False)
    _code: int = attrs.field(default=0, init=False)

    @_board.default
    def _new_board(self) -> Board:
        return Board.make(self.count)

    @_nodes.default
    def _all(self) -> Sequence[_Node]:
        return [_Node(place) for place in range(self.count)]

    async def run(self) -> int:
        """Run the nodes until all have ended; return the exit code of this process."""
        signals = Signals(self.grace, self._reload, slack=_SLACK)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end, signals.requested)
            nursery.start_soon(self._interrupt, signals)
            await self._keep_all()
            nursery.cancel_scope.cancel()
        return signals.exit_code or self._code

    # --- the end ----------------------------------------------------------------------------------

    async def _end(self, requested: trio.Event) -> None:
        """The first signal: the nodes end in order."""
        await requested.wait()
        self._ending.set()
        self._tell_all(signal.SIGTERM)
        await trio.sleep(self.grace + _LEAVE_SECONDS)
        self._kill()

    async def _interrupt(self, signals: Signals) -> None:
        """The second signal: what runs in the nodes is interrupted."""
        await signals.obey(trio.CancelScope())
        self._tell_all(signal.SIGTERM)
        await trio.sleep(_LEAVE_SECONDS)
        self._kill()

    def _kill(self) -> None:
        for node in self._nodes:
            if node.process is not None:
                node.process.kill()

    async def _reload(self) -> None:
        self._tell_all(signal.SIGHUP)

    def _tell_all(self, number: int, but: _Node | None = None) -> None:
        for node in self._nodes:
            if node is not but:
                node.tell(number)

    # --- the nodes --------------------------------------------------------------------------------

    async def _keep_all(self) -> None:
        first, *others = self._nodes
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep, first)
            await first.settled.wait()
            if first.served:
                for node in others:
                    nursery.start_soon(self._keep, node)
                for node in others:
                    await node.settled.wait()
                if all(node.served for node in self._nodes):
                    log_event(logger, logging.INFO, "all nodes serve", nodes=self.count)

    async def _keep(self, node: _Node) -> None:
        """Run a node, and start it again when it has died, until the end.

        The first one may end before it serves, such as where there is no database: that is the end
        of all.
        """
        pause = _PAUSE_FIRST
        while not self._ending.is_set():
            began = trio.current_time()
            code = await self._run(node)
            if self._ending.is_set() or not self._nodes[0].served:
                self._code = self._code or abs(code)
                break
            if trio.current_time() - began > _LIVED:
                pause = _PAUSE_FIRST
            log_event(logger, logging.WARNING, "a node ended", code=code, again_in_seconds=pause)
            with trio.move_on_after(pause):
                await self._ending.wait()
            pause = min(2 * pause, _PAUSE_LAST)
        node.settled.set()

    async def _run(self, node: _Node) -> int:
        """Start a node's process, and return its exit code when it has ended."""
        line, theirs = socket.socketpair()
        with line:
            with theirs:
                try:
                    node.process = await self._start(node, theirs)
                except OSError as error:  # the system lacks processes, or memory
                    logger.error("a node could not be started: %s", error.strerror)
                    return 1
            node.line = line
            if self._ending.is_set():  # the signal came meanwhile
                node.tell(signal.SIGTERM)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, node, line)
                code = await node.process.wait()
                nursery.cancel_scope.cancel()
            node.process = node.line = None
        self._board.clear(node.place)
        return 1 if code < 0 and self._ending.is_set() else code

    async def _start(self, node: _Node, line: socket.socket) -> trio.Process:
        listeners = tuple(listener.socket.fileno() for listener in self.listeners)
        inherited = Inheritance(
            place=node.place,
            listeners=listeners,
            board=self._board.descriptor,
            line=line.fileno(),
            tells=node.place == 0 and not node.served,
        )
        said = {VARIABLE: msgspec.json.encode(inherited).decode()}
        return await trio.lowlevel.open_process(
            [sys.executable, *sys.orig_argv[1:]],
            env={**os.environ, **said},
            pass_fds=(*listeners, self._board.descriptor, line.fileno()),
        )

    async def _listen(self, node: _Node, line: socket.socket) -> None:
        """Hear what a node says, until its end."""
        heard = trio.socket.from_stdlib_socket(line)
        with suppress(OSError):
            while said := await heard.recv(64):
                if READY in said:
                    node.served = True
                    node.settled.set()
                if RELOADED in said:
                    self._tell_all(signal.SIGHUP, but=node)
