"""A command under a keeper: how Wingman asks for one, hears its end, and ends it. Linux.

The program is in `keeping`: one spawner process beside this one, started by the first command and
there until this process ends, however it does. Each call makes a pair of sockets and its pipes,
hands one end of each to the spawner, and speaks with its own keeper from then on, in its own task.
So nothing runs in the background, and Trio runs and threads may share the spawner.
"""

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import trio

from wingman.processes.descriptors import limit_of_commands

__all__ = ["KeptChild", "spawner_pid", "start"]

_PROGRAM = Path(__file__).with_name("keeping") / "__main__.py"
_TERM_GRACE = 0.5  # seconds between SIGTERM and SIGKILL
_KILL_GRACE = 2.0  # seconds until what SIGKILL did not end is given up
_ANSWER_GRACE = 0.5  # seconds that its keeper may need for it, beyond those, on a busy machine
_LAST_GRACE = 1.25  # seconds for the spawner to end a keeper that does not answer, and all it had
_BUSY_PAUSE = 0.005  # seconds; hundreds of calls wait for the spawner to take them
_LOST = "The command was lost: the process that kept it was ended."


@attrs.define(eq=False)
class _Spawner:
    """This process's spawner, or none yet."""

    _lock: threading.Lock = attrs.field(factory=threading.Lock)
    _control: socket.socket | None = None
    _pid: int = 0

    def hand_over(self, call: socket.socket, pipes: Sequence[int]) -> bool:
        """Give the spawner the ends of a new call; False if it has its hands full now.

        Raises OSError if it cannot be started.
        """
        with self._lock:
            for _ in range(2):
                control = self._control or self._start()
                try:
                    ends = [call.fileno(), *pipes]
                    socket.send_fds(control, [b"%d" % len(ends)], ends)
                except BlockingIOError:
                    return False
                except (BrokenPipeError, ConnectionResetError):  # it is dead: let another be born
                    self.close()
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(self._pid, 0)
                else:
                    return True
        raise BrokenPipeError("the process that starts commands ends at once")

    def _start(self) -> socket.socket:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._pid = os.posix_spawn(
                    sys.executable,
                    # -I -S: nothing of the environment or of site-packages; it starts in 30 ms.
                    [sys.executable, "-I", "-S", "-X", "utf8", os.fspath(_PROGRAM), *_files()],
                    # A command can read its ancestors' environments: no keys in there.
                    {n: v for n, v in os.environ.items() if n == "LD_LIBRARY_PATH"},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    ],
                    setsid=True,  # Ctrl-C in Wingman's terminal is not for it
                    setsigmask=(),
                    setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
                )
            except BaseException:
                control.close()
                raise
        control.setblocking(False)
        self._control = control
        return control

    @property
    def pid(self) -> int:
        """Its number, or 0: there is none."""
        return self._pid if self._control is not None else 0

    def close(self) -> None:
        """Let go of it: it ends itself, if it has not yet."""
        if self._control is not None:
            self._control.close()
            self._control = None

    def forget(self) -> None:
        """This process is a child that a fork has made: the spawner is the parent's."""
        self._lock = threading.Lock()
        if self._control is not None:
            self._control.close()
            self._control = None


def _files() -> list[str]:
    """The limit of descriptors of its commands as an argument, where it is not its own."""
    limit = limit_of_commands()
    return [] if limit is None else [str(limit)]


_spawner = _Spawner()
os.register_at_fork(after_in_child=_spawner.forget)
atexit.register(_spawner.close)


def spawner_pid() -> int:
    """The process from which all commands descend, or 0: none has been started."""
    return _spawner.pid


@attrs.define(eq=False)
class KeptChild:
    """A command and its keeper. `failure`: why it could not be started, or how it was lost. `pid`:
    its process, once it is known, where the command is piped."""

    stdin: trio.lowlevel.FdStream | None
    stdout: trio.lowlevel.FdStream
    stderr: trio.lowlevel.FdStream | None
    _call: trio.SocketStream
    _request: bytes
    failure: str | None = None
    pid: int | None = None
    _asked: bool = False
    _exit_code: int | None = None
    _heard: bytes = b""
    _left: str | None = None  # what is left at the end, known when it has come: "" is nothing
    _silent: bool = False

    async def wait(self) -> int | None:
        """Have it started, and wait for its end: its exit code, negative for a signal.

        None if there is none: then `failure` says why.
        """
        try:
            await self._call.send_all(self._request)
        except trio.BrokenResourceError:
            self.failure = _LOST
            return None
        self._asked = True
        while self._exit_code is None and self.failure is None:
            await self._hear()
            if self._exit_code is None and (self._silent or self._left is not None):
                self.failure = self.failure or _LOST
        return self._exit_code

    async def end(self) -> str | None:
        """End the command and all that descends from it; what is left of it, None for nothing.

        Milliseconds as a rule, and never more than 4.25 s. It does not shield itself: the `finally`
        that calls it does.
        """
        async with self._call:
            # What was not asked for in full was not started.
            if self._asked and self._left is None:
                with trio.move_on_after(_TERM_GRACE + _KILL_GRACE + _ANSWER_GRACE):
                    with contextlib.suppress(trio.BrokenResourceError):
                        await self._call.send_all(b"end %g %g\n" % (_TERM_GRACE, _KILL_GRACE))
                    await self._hear_the_end()
            if self._asked and self._left is None and not self._silent:
                # The keeper was stopped, or starves. The spawner sees this, and ends it.
                with contextlib.suppress(trio.BrokenResourceError):
                    await self._call.send_eof()
                with trio.move_on_after(_LAST_GRACE):
                    await self._hear_the_end()
        if self._asked and self._left is None:
            return "the command's processes, if there are any: the one that kept them is gone"
        return f"the processes {self._left}" if self._left else None

    async def _hear_the_end(self) -> None:
        while self._left is None and not self._silent:
            await self._hear()

    async def _hear(self) -> None:
        """Take in what the keeper says next, or the spawner for it."""
        data = b""
        with contextlib.suppress(trio.BrokenResourceError):
            data = await self._call.receive_some(4096)
        self._silent = not data
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            match line.decode(errors="replace").partition(" "):
                case "started", _, pid:
                    self.pid = int(pid)
                case "exit", _, code:
                    self._exit_code = int(code)
                case "error", _, text:
                    self.failure = f"The command could not be started: {text}"
                case "gone" | "left", _, text:
                    self._left = text


async def start(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], *, piped: bool = False
) -> KeptChild:
    """Have a keeper for a command: `wait` has it started, and `end` must follow in any case.

    `piped`: stdin, stdout and stderr are a pipe each; otherwise stdin is empty, and both outputs
    share one. Raises OSError if there can be none, and ValueError for what no command can be given.
    """
    request = _request(argv, cwd, environment)
    await trio.lowlevel.checkpoint()
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        call, their_call = socket.socketpair()
        ours.enter_context(call)
        theirs.enter_context(their_call)
        ends = [_pipe(ours, theirs, written=False)]
        if piped:
            ends = [_pipe(ours, theirs, written=True), *ends, _pipe(ours, theirs, written=False)]
        pipes = [their_end for _, their_end in ends]
        while not _spawner.hand_over(their_call, pipes):  # noqa: ASYNC110
            await trio.sleep(_BUSY_PAUSE)  # its queue is in another process: there is no event
        ours.pop_all()
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(call))
    streams = [trio.lowlevel.FdStream(own_end) for own_end, _ in ends]
    if piped:
        stdin, stdout, stderr = streams
        return KeptChild(stdin, stdout, stderr, stream, request)
    return KeptChild(None, streams[0], None, stream, request)


def _pipe(
    ours: contextlib.ExitStack, theirs: contextlib.ExitStack, *, written: bool
) -> tuple[int, int]:
    """A new pipe, our end of it first; `written`: we write to it."""
    reader, writer = os.pipe()
    own_end, their_end = (writer, reader) if written else (reader, writer)
    ours.callback(os.close, own_end)
    theirs.callback(os.close, their_end)
    return own_end, their_end


def _request(argv: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> bytes:
    """The request as the keeper reads it."""
    settings = [f"{name}={value}" for name, value in environment.items()]
    parts = [os.fsencode(part) for part in (str(cwd), str(len(argv)), *argv, *settings)]
    if any(b"\0" in part for part in parts):
        raise ValueError("embedded null byte")
    request = b"\0".join(parts)
    return b"%d\n%b" % (len(request), request)
