"""Foreign data are worked on in a process of their own, which can be killed.

An image, a page, a compressed body: whatever comes from elsewhere may take a parser for ever, take
all the memory there is, or crash it. In this process that would be everybody's end; and neither a
thread nor a deadline helps against code that holds the interpreter's lock. So the work is done by a
program (see `working`) that has limits of time and memory, an empty environment, and may write no
file. It is a command like any other: under a keeper where there are some, ended with the call.

    WorkerError
      WorkerRefused   the data are not what they should be
      WorkerFailed    the work took too long or too much memory, crashed, or could not be started
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
import trio

from wingman.foreign import reason
from wingman.processes.callers import commands
from wingman.processes.command import CannotStart, Child, ending, start_child, with_advice

__all__ = ["WorkerError", "WorkerFailed", "WorkerRefused", "run_worker"]

logger = logging.getLogger("wingman.processes")

_PROGRAM: Final = Path(__file__).with_name("working") / "__main__.py"
_REFUSED, _NO_MEMORY = 3, 4  # exit codes of the program
_LONGEST_REFUSAL = 2_000  # bytes
_LOGGED = 2_000  # bytes of what a worker that failed wrote to stderr
_READ = 65_536  # bytes
_MEGABYTE = 1_000_000
_OUT_OF_MEMORY = ("memory allocation of", "bad_alloc")  # what Rust and C++ say before they abort

_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("wingman_workers")


class WorkerError(Exception):
    """There is no answer; its text is a sentence that says why, and can be shown to anyone."""


class WorkerRefused(WorkerError):
    """The worker will not take the data: they are not what they should be."""


class WorkerFailed(WorkerError):
    """The work took too long or too much memory, crashed, or could not be started."""


async def run_worker(
    program: Path,
    options: Mapping[str, object],
    data: bytes,
    *,
    seconds: float,
    memory: int,
    max_answer: int,
) -> bytes:
    """What the function `work(options, data)` of the module at `program` returns.

    `options` is what JSON can say. `seconds` are its time from the start, `memory` and `max_answer`
    bytes. At most two workers for each processor run at once; the others wait their turn, which is
    not counted. Raises `WorkerError`. When cancelled, the worker is ended first: milliseconds.
    """
    request = {
        # An entry that is relative would be looked up in another directory there.
        "path": [entry for entry in sys.path if os.path.isabs(entry)],  # noqa: PTH117
        "seconds": seconds,
        "memory": memory,
        "options": dict(options),
    }
    head = json.dumps(request).encode() + b"\n"
    async with _workers():
        with commands.running():
            child = await _started(program)
            attempt = _Attempt(child, max_answer)
            await attempt.run(head, data, seconds)
        return attempt.answer(seconds, memory)


def _workers() -> trio.CapacityLimiter:
    """The places for workers, so that their memory is bounded in total."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(2 * (os.cpu_count() or 1))
        _limiter.set(limiter)
        return limiter


async def _started(program: Path) -> Child:
    # -I -S: nothing of the environment or of site-packages' hooks; it starts in 30 ms.
    argv = [sys.executable, "-I", "-S", "-X", "utf8", os.fspath(_PROGRAM), os.fspath(program)]
    environment = {n: v for n, v in os.environ.items() if n == "LD_LIBRARY_PATH"}
    try:
        return await start_child(argv, Path("/"), environment, piped=True)
    except (CannotStart, RuntimeError) as error:  # RuntimeError: there is no thread to start it in
        raise WorkerFailed(f"A worker could not be started: {reason(error)}") from error


@attrs.define
class _Attempt:
    """One worker's life, and what came of it."""

    _child: Child
    _most: int
    _said: bytearray = attrs.field(factory=bytearray)
    _complaint: bytearray = attrs.field(factory=bytearray)
    _exit_code: int | None = None

    async def run(self, head: bytes, data: bytes, seconds: float) -> None:
        """Give it its work and hear what it says, until it ends or must."""
        async with ending(self._child, _warn):
            with trio.move_on_after(seconds):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._feed, head, data)
                    nursery.start_soon(self._hear, nursery.cancel_scope)
                    nursery.start_soon(self._drain_stderr)
                    exit_code = await self._child.wait()
                    if exit_code is None:
                        nursery.cancel_scope.cancel()
                if not self._is_too_large:
                    self._exit_code = exit_code

    def answer(self, seconds: float, memory: int) -> bytes:
        """The answer, or the `WorkerError` that says why there is none."""
        if self._is_too_large:
            raise WorkerFailed(f"The result is larger than {self._most:,} bytes.")
        match self._exit_code:
            case 0:
                return bytes(self._said)
            case code if code == _REFUSED:
                raise WorkerRefused(self._said[:_LONGEST_REFUSAL].decode(errors="replace"))
            case code if code == _NO_MEMORY:
                raise WorkerFailed(f"It took more than {memory / _MEGABYTE:,.0f} MB of memory.")
            case None if self._child.failure is not None:
                raise WorkerFailed(with_advice(self._child.failure))
            case code if code is None or code == -signal.SIGXCPU:
                raise WorkerFailed(f"It took longer than {seconds:g} s.")
            case code:
                complaint = self._complaint.decode(errors="replace").strip()
                if any(words in complaint for words in _OUT_OF_MEMORY):
                    raise WorkerFailed(f"It took more than {memory / _MEGABYTE:,.0f} MB of memory.")
                logger.warning("a worker failed (%s): %s", _ended(code), complaint)
                raise WorkerFailed(f"The worker for it crashed ({_ended(code)}).")

    @property
    def _is_too_large(self) -> bool:
        return len(self._said) > self._most

    async def _feed(self, head: bytes, data: bytes) -> None:
        stdin = self._child.stdin
        if stdin is None:
            raise RuntimeError("a worker has a pipe for stdin")
        async with stdin:
            try:
                await stdin.send_all(head)
                await stdin.send_all(data)
            except trio.BrokenResourceError:
                pass  # it has ended, or read enough

    async def _hear(self, enough: trio.CancelScope) -> None:
        async with self._child.stdout as stdout:
            while piece := await stdout.receive_some(_READ):
                self._said += piece
                if self._is_too_large:
                    enough.cancel()

    async def _drain_stderr(self) -> None:
        stderr = self._child.stderr
        if stderr is None:
            raise RuntimeError("a worker has a pipe for stderr")
        async with stderr:
            while piece := await stderr.receive_some(_READ):
                self._complaint += piece
                del self._complaint[:-_LOGGED]


def _ended(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"


def _warn(left: str) -> None:
    logger.warning("a worker could not be ended: %s", left)
