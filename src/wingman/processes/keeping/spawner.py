"""The process that forks the keepers, one to each call, and ends what a lost one leaves.

Its stdin is a socket; each message on it is the number of descriptors that it brings: two are a
call's socket and the pipe for its output; four are its socket and pipes for stdin, stdout, stderr.
"""

import array
import contextlib
import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

from wingman.processes.keeping.descent import (
    adopt_orphans,
    descendants,
    drain,
    reap,
    signal_all,
    wakeup,
)
from wingman.processes.keeping.keeper import Keeper

PAUSE_FIRST, PAUSE_LAST = 0.002, 0.05  # seconds between two looks at the orphans
LAST_EFFORT = 5.0  # seconds until what SIGKILL does not end, after Wingman's death, is given up
HANGUP_GRACE = 0.5  # seconds that a keeper which does not answer may outlive its call


class Spawner:
    """The process that forks the keepers. It ends when Wingman does, and everything with it."""

    def __init__(
        self, control: socket.socket, server: int | None, files: int | None = None
    ) -> None:
        self.control = control
        self.server = server
        self.files = files
        self.over = False
        self.calls: dict[int, socket.socket] = {}  # by their keepers' numbers
        self.hung_up: dict[int, float] = {}  # keepers whose call is over, and when they must be
        self.lost: list[socket.socket] = []  # calls whose keepers left something behind
        self.pause = 0.0  # until the next look at the orphans
        self.wakeup = wakeup()
        self.poll = select.poll()
        for fd in (control.fileno(), self.wakeup, server):
            if fd is not None:
                self.poll.register(fd, select.POLLIN)

    def run(self) -> None:
        """Serve until Wingman is gone, then end all that is left below, keepers included."""
        while not self.over:
            self.listen()
            self.reap()
            self.end_overdue()
            self.end_orphans()
        until = time.monotonic() + LAST_EFFORT
        while self.reap() and time.monotonic() < until:
            signal_all(signal.SIGKILL, set())
            select.select([self.wakeup], [], [], PAUSE_FIRST)
            drain(self.wakeup)

    def listen(self) -> None:
        """Wait for a call, for Wingman's end, for a keeper's, or for when there is to be a look."""
        now = time.monotonic()
        waits = [when - now for when in self.hung_up.values()]
        waits += [self.pause] if self.lost else []
        timeout = max(min(waits), 0) * 1000 + 0.5 if waits else None
        for fd, _ in self.poll.poll(timeout):
            if fd == self.control.fileno():
                self.accept()
            elif fd == self.server:
                self.over = True
            elif fd == self.wakeup:
                drain(fd)
            else:
                self.poll.unregister(fd)
                for keeper, call in self.calls.items():
                    if call.fileno() == fd:
                        self.hung_up[keeper] = time.monotonic() + HANGUP_GRACE

    def accept(self) -> None:
        """Take a call, and fork its keeper. Its socket stays open here as long as that lives."""
        message, fds = receive(self.control)
        self.over = not message
        # The end, or too many open files: the caller finds its socket closed.
        if not message or len(fds) != int(message):
            for fd in fds:
                os.close(fd)
            return
        call, pipes = socket.socket(fileno=fds[0]), fds[1:]
        try:
            keeper = os.fork()
        except OSError as error:
            with contextlib.suppress(OSError):
                call.sendall(f"error {error}\ngone\n".encode())
            call.close()
        else:
            if keeper == 0:
                self.become_keeper(call, pipes)
            self.calls[keeper] = call
            self.poll.register(call, select.POLLRDHUP)
        for pipe in pipes:
            os.close(pipe)

    def become_keeper(self, call: socket.socket, pipes: list[int]) -> NoReturn:
        """The keeper's life, from its fork to its end. What is the spawner's is closed."""
        gone = False
        try:
            adopt_orphans()
            for other in (self.control, *self.calls.values(), *self.lost):
                other.close()
            os.close(self.wakeup)
            os.close(signal.set_wakeup_fd(-1))
            gone = Keeper(call, self.server, self.files).run(pipes)
        except Exception:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(not gone)

    def reap(self) -> bool:
        """Take leave of the children that have ended; whether there are others."""
        return reap(self.ended)

    def ended(self, pid: int, status: int) -> None:
        """A keeper has ended, and its call with it, or it is lost."""
        self.hung_up.pop(pid, None)
        if call := self.calls.pop(pid, None):
            with contextlib.suppress(KeyError):
                self.poll.unregister(call)
            if status == 0:
                call.close()
            else:
                self.lost.append(call)
                self.pause = 0.0

    def end_overdue(self) -> None:
        """End the keepers that outlive their calls: a command may have stopped its own."""
        now = time.monotonic()
        for keeper in [keeper for keeper, when in self.hung_up.items() if when <= now]:
            del self.hung_up[keeper]
            os.kill(keeper, signal.SIGKILL)

    def end_orphans(self) -> None:
        """End what the lost keepers have left; when nothing is, whoever waits for it is told."""
        if not self.lost:
            return
        signal_all(signal.SIGKILL, set(), self.calls)
        if any(descendants(self.calls)):
            self.pause = min(max(2 * self.pause, PAUSE_FIRST), PAUSE_LAST)
            return
        for call in self.lost:
            with contextlib.suppress(OSError):
                call.sendall(b"gone\n")
            call.close()
        self.lost.clear()


def receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """A message and its descriptors, none of which a command inherits.

    `socket.recv_fds` takes no notice of its flags: https://github.com/python/cpython/issues/107898
    """
    fds = array.array("i")
    room = socket.CMSG_LEN(4 * fds.itemsize)
    message, ancillary, _, _ = control.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
    for _, _, data in ancillary:
        fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return message, list(fds)
