"""A run in the terminal, and the signals that end it."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Final, NoReturn

import attrs
import trio

from wingman.cli.asking import Asking
from wingman.cli.console import Console
from wingman.cli.output import flush
from wingman.events import Event
from wingman.face import AnyRun, AnyRunStream
from wingman.telemetry import flush_logs

__all__ = ["follow_run"]

# How long the second signal waits for what the first has asked for: a process that ignores
# SIGTERM is killed in less, and nothing of the run shall outlive it.
_LAST_SECONDS: Final = 1.0
_LAST_WORDS_SECONDS: Final = 0.05


async def follow_run(
    stream: AnyRunStream,
    console: Console,
    show: Callable[[Event], None],
    asking: Asking | None = None,
) -> int:
    """Show a run to its end, which a signal may bring about; return the exit code.

    The first signal cancels the run and says what has stopped; the next leaves at once. With
    `asking`, a person is asked about the calls that need it.
    """
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        interrupt = _Interrupt(signals, stream.run, console, asking)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interrupt.listen)
            if asking is not None:
                nursery.start_soon(asking.work)
            async for event in stream:
                show(event)
            if asking is not None:
                asking.end()
            if interrupt.number is None:
                nursery.cancel_scope.cancel()
    return interrupt.exit_code


@attrs.define
class _Interrupt:
    """The first signal cancels the run and says what has stopped; the next leaves at once."""

    _signals: AsyncIterator[int]
    _run: AnyRun
    _console: Console
    _asking: Asking | None
    number: int | None = attrs.field(default=None, init=False)

    @property
    def exit_code(self) -> int:
        """0, or what a shell makes of the signal."""
        return 0 if self.number is None else 128 + self.number

    async def listen(self) -> None:
        """Wait for the first signal; return when the run has stopped."""
        self.number = await self._signal()
        if self._asking is not None:
            self._asking.end()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._leave_at_the_next)
            receipt = await self._run.cancel()
            nursery.cancel_scope.cancel()
        self._console.cancelled(receipt)
        if not self._run.ended:
            self._leave()

    async def _signal(self) -> int:
        """Wait for a signal that is meant for the run. Ctrl-C in an editor is the editor's."""
        while True:
            number = await anext(self._signals)
            if self._asking is None or not self._asking.editing or number != signal.SIGINT:
                return number

    async def _leave_at_the_next(self) -> None:
        await anext(self._signals)
        with trio.move_on_after(_LAST_SECONDS):
            await self._run.wait()
        if not self._run.ended:
            self._console.note("Left before all had stopped.", "red")
            self._leave()

    def _leave(self) -> NoReturn:
        """End the process: what has not stopped would hold an orderly end for as long again."""
        flush_logs(_LAST_WORDS_SECONDS)
        flush()
        os._exit(self.exit_code)
