"""The processes that run local models: at most two, started when needed, each for one file.

A process serves all runs that want its model, of whatever session, one after the other, and stays
loaded when they are over. A third model takes the place of the one that has not been used for the
longest time. All of them end when this process does, however it does: the kernel sees to it (see
`llama_program.py`).
"""

import atexit
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs
import trio

from wingman.errors import ProviderError, ProviderTimeout
from wingman.providers.transport import Endpoint, scrub

__all__ = ["LlamaServer", "LlamaServers", "servers"]

ID: Final = "local"
MOST: Final = 2
LOADING_SECONDS: Final = 300.0
"""A model of some tens of gigabytes, from a slow disk."""

_PROGRAM: Final = Path(__file__).with_name("llama_program.py")
_PASSED_ON: Final = (
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "TMPDIR",
    "VIRTUAL_ENV",
)
_PASSED_ON_PREFIXES: Final = ("CUDA_", "GGML_", "HIP_", "OMP_")
_LOOK_SECONDS: Final = 0.02
_TELL_SECONDS: Final = 5.0
_END_SECONDS: Final = 5.0

_log = logging.getLogger("wingman.providers")


class LlamaServer:
    """One model's process, from its start on. `users` counts the inferences that go on in it.

    Raises `ProviderError` where no process or no thread can be started.
    """

    def __init__(self, path: Path, context: int) -> None:
        self.path = path
        self.users = 0
        self._token = secrets.token_urlsafe(32)
        self._address: str | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._started = time.monotonic()
        _log.info("local: loading %s, %.0f MB", path.name, path.stat().st_size / 1e6)
        self._process = self._begun()
        self._give({"path": str(path), "context": context, "token": self._token})
        self._listener = threading.Thread(target=self._listen, daemon=True, name=f"local {path}")
        try:
            self._listener.start()
        except RuntimeError as error:
            self._abandon()
            raise self._not_started(error) from error

    @property
    def ended(self) -> bool:
        """Whether its process is gone."""
        return self._process.poll() is not None

    async def endpoint(self) -> Endpoint:
        """Where it answers, and its token, as soon as the model is loaded.

        Raises `ProviderError` if it cannot be loaded, `ProviderTimeout` if that takes too long.
        """
        tell = _TELL_SECONDS
        while self._address is None:
            seconds = time.monotonic() - self._started
            if self.ended:
                raise self._failure()
            if seconds > LOADING_SECONDS:
                self.end()
                raise ProviderTimeout(f"{self.path.name} is not loaded in time", provider=ID)
            if seconds > tell:
                _log.warning("local: %s has been loading for %.0f s", self.path.name, seconds)
                tell += _TELL_SECONDS
            # The news comes in a thread that belongs to no run of Trio's: there is no event.
            await trio.sleep(_LOOK_SECONDS)  # noqa: ASYNC110
        return Endpoint(f"{self._address}/v1", self._token)

    def end(self) -> None:
        """End its process, in milliseconds; waits until it is gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END_SECONDS)
        self._listener.join(_END_SECONDS)

    def _begun(self) -> subprocess.Popen[bytes]:
        try:
            # It takes milliseconds, and must not be cut off in the middle: hence no other thread.
            return subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-P", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(),
                cwd="/",
                start_new_session=True,  # a terminal's Ctrl-C is for Wingman
            )
        except OSError as error:
            raise self._not_started(error) from error

    def _abandon(self) -> None:
        """End a process that nobody listens to."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(_END_SECONDS)

    def _not_started(self, error: Exception) -> ProviderError:
        said = f"the process for {self.path.name} could not be started: {error}"
        return ProviderError(said, provider=ID)

    def _give(self, order: dict[str, object]) -> None:
        assert self._process.stdin is not None  # noqa: S101  it was asked for
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: whoever waits for it will be told why

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  it was asked for
        with self._process.stdout as lines:
            for raw in lines:
                line = scrub(raw.decode(errors="replace").strip(), (self._token,))
                if line.startswith("ready "):
                    self._address = line.removeprefix("ready ")
                    seconds = time.monotonic() - self._started
                    _log.info("local: %s is loaded, after %.1f s", self.path.name, seconds)
                elif line:
                    self._said.append(line)
                    _log.debug("local: %s", line)

    def _failure(self) -> ProviderError:
        self._listener.join(_END_SECONDS)
        # llama.cpp's first error is the cause, `0.00.012.115 E …`; what follows is its echo.
        errors = [line.partition(" E ")[2].strip() for line in self._said if " E " in line]
        said = [*errors[:1], *list(self._said)[-1:], f"it ended with {self._process.returncode}"]
        return ProviderError(f"{self.path} cannot be loaded: {said[0]}", provider=ID)


@attrs.define(eq=False)
class LlamaServers:
    """The processes of this process, by file and context, the one last used at the end."""

    _start: Callable[[Path, int], LlamaServer] = LlamaServer
    _running: dict[tuple[Path, int], LlamaServer] = attrs.field(factory=dict, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def take(self, path: Path, context: int) -> LlamaServer:
        """The process for a model, started if there is none; `give_back` must follow.

        Raises `ProviderError` if as many as may be are in use.
        """
        with self._lock:
            server = self._running.pop((path, context), None)
            if server is not None and server.ended:
                server.end()
                server = None
            if server is None:
                self._make_room()
                server = self._start(path, context)
            self._running[path, context] = server
            server.users += 1
            return server

    def give_back(self, server: LlamaServer) -> None:
        """Say that an inference is over."""
        with self._lock:
            server.users -= 1

    def end_all(self) -> None:
        """End them all."""
        with self._lock:
            while self._running:
                self._running.popitem()[1].end()

    def forget(self) -> None:
        """This process is a child that a fork has made: they are its parent's."""
        self._lock = threading.Lock()
        self._running = {}

    def _make_room(self) -> None:
        for key, server in list(self._running.items()):
            if len(self._running) < MOST:
                return
            if not server.users or server.ended:
                self._running.pop(key).end()
        if len(self._running) >= MOST:
            names = ", ".join(server.path.name for server in self._running.values())
            raise ProviderError(f"as many models as may be are in use: {names}", provider=ID)


def _environment() -> dict[str, str]:
    """What llama.cpp may look at; no key is among it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }


servers: Final = LlamaServers()
os.register_at_fork(after_in_child=servers.forget)
atexit.register(servers.end_all)
