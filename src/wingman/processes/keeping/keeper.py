"""One call's process: it starts the command, waits, and ends what the call leaves.

On the call's socket, to the keeper: the request (see `read_request`), then maybe `end TERM KILL`,
the seconds to wait after each of the two signals. From the keeper, one line each: `started PID`
(where the command has a pipe for each of its streams), `exit CODE` (negative: a signal), `error
TEXT` (it could not be started), and last `gone`, or `left TEXT`.
"""

import contextlib
import errno
import os
import resource
import select
import signal
import socket
import time

from wingman.processes.keeping.descent import descendants, drain, named, reap, signal_all, wakeup

DEFAULTED = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
PAUSE_FIRST, PAUSE_LAST = 0.002, 0.05  # seconds between two looks for what is to be signalled
NAMED = 20  # processes at most; more than that is one story
LAST_EFFORT = 2.0  # seconds until what SIGKILL does not end is left to the spawner


class Keeper:
    """One call's process: it starts the command, waits, and ends what the call leaves."""

    def __init__(self, call: socket.socket, server: int | None, files: int | None = None) -> None:
        self.call = call
        self.files = files
        self.inbox = b""
        self.outbox = b""
        self.abandoned = False  # nobody is there any more who could want anything
        self.leader = 0
        self.wakeup = wakeup()
        self.poll = select.poll()
        for fd in (call.fileno(), self.wakeup, server):
            if fd is not None:
                self.poll.register(fd, select.POLLIN)

    def run(self, pipes: list[int]) -> bool:
        """The whole call; True when nothing is left of it."""
        request = self.read_request()
        self.listen(0)
        if request is None or self.abandoned or self.inbox:
            self.say("gone")  # it is to end before it has begun
            self.flush()
            return True
        if self.files is not None:
            limit_files(self.files)
        try:
            self.leader = spawn(*request, pipes)
            if len(pipes) > 1:
                self.say(f"started {self.leader}")
        except (OSError, ValueError) as error:
            self.say(f"error {error}")
        for pipe in pipes:
            os.close(pipe)
        os.chdir("/")  # the command's directory is not ours to hold: it may be removed or unmounted
        while self.reap() and not self.abandoned and b"\n" not in self.inbox:
            self.listen()
        seconds = [0.0, LAST_EFFORT]
        if not self.abandoned:
            seconds = [float(word) for word in self.inbox.split()[1:3]] or seconds
        gone = self.end(signal.SIGTERM, seconds[0]) or self.end(signal.SIGKILL, seconds[1])
        self.say("gone" if gone else f"left {', '.join(map(named, list(descendants())[:NAMED]))}")
        self.flush()
        return gone

    def read_request(self) -> tuple[bytes, list[bytes], dict[bytes, bytes]] | None:
        """Directory, argv and environment; None if the caller left before it had said all.

        Its length and a newline, then, each with a NUL between: directory, the number of arguments,
        the arguments, and the environment as `NAME=value`.
        """
        while b"\n" not in self.inbox:
            if self.abandoned:
                return None
            self.listen()
        head, _, self.inbox = self.inbox.partition(b"\n")
        length = int(head)
        while len(self.inbox) < length:
            if self.abandoned:
                return None
            self.listen()
        request, self.inbox = self.inbox[:length], self.inbox[length:]
        directory, count, *rest = request.split(b"\0")
        argv, settings = rest[: int(count)], rest[int(count) :]
        pairs = (setting.partition(b"=") for setting in settings)
        return directory, argv, {name: value for name, _, value in pairs}

    def end(self, number: int, seconds: float) -> bool:
        """Signal all descendants until none is left; False if some are when the time is up.

        SIGTERM reaches a group once, SIGKILL again and again, in case that it forks while it ends.
        """
        until = time.monotonic() + seconds
        pause = PAUSE_FIRST
        told: set[int] = set()
        while self.reap():
            now = time.monotonic()
            if now >= until or (self.abandoned and number != signal.SIGKILL):
                return False
            signal_all(number, told if number != signal.SIGKILL else set())
            again = min(now + pause, until)
            pause = min(2 * pause, PAUSE_LAST)
            while self.reap() and (left := again - time.monotonic()) > 0:
                self.listen(left)
        return True

    def reap(self) -> bool:
        """Take leave of the children that have ended; whether there are others."""
        return reap(self.ended)

    def ended(self, pid: int, status: int) -> None:
        """A child has ended; what is said is the end of the command."""
        if pid == self.leader:
            self.say(f"exit {os.waitstatus_to_exitcode(status)}")

    def listen(self, seconds: float | None = None) -> None:
        """Wait until something happens: a child ends, the caller speaks, or nobody is there."""
        self.flush()
        for fd, _ in self.poll.poll(None if seconds is None else seconds * 1000 + 0.5):
            if fd == self.wakeup:
                drain(fd)
                continue
            data = b""
            if fd == self.call.fileno():
                with contextlib.suppress(OSError):  # reset: it left without having heard all
                    data = self.call.recv(65_536)
            self.inbox += data
            if not data:
                self.abandoned = True
                self.poll.unregister(fd)

    def say(self, line: str) -> None:
        self.outbox += line.replace("\n", " ").encode(errors="replace") + b"\n"

    def flush(self) -> None:
        """What is said between two waits goes out as one, and wakes the caller once."""
        if self.outbox:
            with contextlib.suppress(OSError):
                self.call.sendall(self.outbox)
            self.outbox = b""


def limit_files(soft: int) -> None:
    """Lower the soft limit of descriptors, which the command inherits: it may raise it again."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def spawn(
    directory: bytes, argv: list[bytes], environment: dict[bytes, bytes], pipes: list[int]
) -> int:
    """Start a command as the leader of a session, with nothing of this process's but `pipes`.

    These are stdin, stdout and stderr, or one for both outputs: then stdin is empty.
    """
    os.chdir(directory)
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]]
    if len(pipes) == 1:
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
        pipes = pipes * 2
    else:
        actions = [(os.POSIX_SPAWN_DUP2, pipes[0], 0)]
    stdout, stderr = pipes[-2:]
    actions += [(os.POSIX_SPAWN_DUP2, stdout, 1), (os.POSIX_SPAWN_DUP2, stderr, 2)]
    path = os.fsdecode(environment.get(b"PATH", os.defpath.encode()))
    places = [""] if b"/" in argv[0] else path.split(os.pathsep)
    for place in places:
        try:
            return os.posix_spawn(
                os.path.join(os.fsencode(place), argv[0]),  # noqa: PTH118 - pathlib is not imported
                argv,
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=DEFAULTED,
            )
        except (FileNotFoundError, NotADirectoryError):
            continue
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(argv[0]))
