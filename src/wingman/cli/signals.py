"""Signals of a server: the orderly end, the end at once, and a configuration read again."""

import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final

import attrs
import trio

from wingman.errors import NotReloaded
from wingman.telemetry import flush_logs, notice

__all__ = ["Signals"]

# A second, less what it takes to tell that it is over.
_LEAVE_SECONDS: Final = 0.95
_LAST_WORDS_SECONDS: Final = 0.02

# A shell that ends may send SIGHUP a moment before its terminal goes.
_HANG_UP_SECONDS: Final = 1.0


@attrs.define
class Signals:
    """SIGINT and SIGTERM ask for an orderly end, and the next one interrupts what runs. SIGHUP has
    the configuration read again; where it says that the terminal has gone, it is as SIGTERM.

    An end is obeyed in time: `_LEAVE_SECONDS` after the grace, or after the second signal, the
    process leaves, whatever there is that does not stop.

    A node that a parent has started (`node.py`) has `passed_on`: the signals that its parent got.
    The same signal may reach it twice, since a terminal and a service manager tell both. So each
    way is counted by itself.
    """

    grace: float
    reload: Callable[[], Awaitable[object]]
    passed_on: AsyncIterator[int] | None = None
    slack: float = 0.0
    """Seconds more before this process leaves: a parent waits for its nodes."""
    requested: trio.Event = attrs.field(factory=trio.Event, init=False)
    exit_code: int = attrs.field(default=0, init=False)
    _asked: int = attrs.field(default=0, init=False)
    _last: int = attrs.field(default=0, init=False)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _terminal: bool = attrs.field(init=False)

    @_terminal.default
    def _has_a_terminal(self) -> bool:
        # `nohup` has SIGHUP ignored: then a terminal that goes is nothing to us.
        return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _terminal_is_there()

    async def obey(self, everything: trio.CancelScope) -> None:
        """Wait for signals. A third one meets the system's own handlers, and ends the process."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, signals, nursery)
                if self.passed_on is not None:
                    nursery.start_soon(self._listen, self.passed_on, nursery)
                await self._asked_times(1)
                self._tell()
                _leave_after(self.grace + _LEAVE_SECONDS + self.slack)
                self.requested.set()
                await self._asked_times(2)
                nursery.cancel_scope.cancel()
        _leave_after(_LEAVE_SECONDS + self.slack)
        self.exit_code = 128 + self._last
        everything.cancel()

    def _tell(self) -> None:
        if self.passed_on is None:
            notice(f"Wingman stops: what runs has {self.grace:g} s. A second signal interrupts it.")

    async def _asked_times(self, times: int) -> None:
        while self._asked < times:
            await self._news.park()

    async def _listen(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        """Count the signals of one way that ask for an end; obey the others."""
        asked = 0
        async for number in signals:
            if number != signal.SIGHUP or (self._terminal and not _terminal_is_there()):
                asked += 1
                if asked > self._asked:
                    self._asked, self._last = asked, number
                    self._news.unpark_all()
                continue
            if not self.requested.is_set():
                nursery.start_soon(self._reload)
            if self._terminal:
                nursery.start_soon(self._look_again)

    async def _reload(self) -> None:
        with suppress(NotReloaded):  # it is logged
            await self.reload()

    async def _look_again(self) -> None:
        with trio.move_on_after(_HANG_UP_SECONDS):
            while _terminal_is_there():  # noqa: ASYNC110 the system tells nobody
                await trio.sleep(_HANG_UP_SECONDS / 10)
            os.kill(os.getpid(), signal.SIGHUP)


def _terminal_is_there() -> bool:
    """Whether this process has a terminal that it could be ended from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _leave_after(seconds: float) -> None:
    """End the process then, if it is still there: a thread, as nothing in Trio may be able to."""
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    """Leave as in a crash: what is committed stays, tools die with us, and the next start settles
    the runs that had not ended."""
    try:
        notice("Wingman leaves; what has not stopped ends with it, interrupted.")
        flush_logs(_LAST_WORDS_SECONDS)
    finally:
        os._exit(1)
