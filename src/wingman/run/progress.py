"""What a running tool has to say, from whichever thread it says it, and how often it is heard."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs
import trio

__all__ = ["CallProgress", "ProgressMeter"]

_LONGEST: Final = 4_000  # characters of a piece
_MOST_WAITING: Final = 100  # pieces of one call that threads have said and the loop has not taken


@attrs.define(eq=False)
class _Allowance:
    pieces: float
    since: float


class ProgressMeter:
    """Lets a tool's progress through at a bounded rate: so many pieces a second a call.

    So many may also come at once. A command that prints millions of lines is shown by samples; its
    result is not touched.
    """

    def __init__(self, publish: Callable[[str, str], None], per_second: int = 20) -> None:
        self._publish = publish
        self._rate = per_second
        self._allowances: dict[str, _Allowance] = {}

    def __call__(self, tool_use_id: str, text: str) -> None:
        now = trio.current_time()
        allowance = self._allowances.get(tool_use_id)
        if allowance is None:
            allowance = self._allowances[tool_use_id] = _Allowance(self._rate, now)
        earned = (now - allowance.since) * self._rate
        allowance.pieces = min(self._rate, allowance.pieces + earned)
        allowance.since = now
        if allowance.pieces >= 1:
            allowance.pieces -= 1
            self._publish(tool_use_id, text)


class CallProgress:
    """The `progress` of one tool call, which any thread may call, also one that the tool started.

    Made in the call's task. What is said in Trio's thread is published at once; what other threads
    say waits for the loop, in order, the newest pieces where too many wait. Once the call has
    ended, nobody hears it any more.
    """

    def __init__(self, publish: Callable[[str], None]) -> None:
        self._publish = publish
        self._loop = trio.lowlevel.current_trio_token()
        self._loop_thread = threading.get_ident()
        self._waiting: deque[str] = deque(maxlen=_MOST_WAITING)
        self._awaited = False
        self._ended = False

    def __call__(self, text: str) -> None:
        """Say a piece; never blocks. Raises `TypeError` for what is not text."""
        if not isinstance(text, str):
            raise TypeError(f"progress takes text, not {type(text).__name__}: write str(…)")
        if self._ended:
            return
        piece = str.__getitem__(text, slice(_LONGEST)).encode(errors="replace").decode()
        if threading.get_ident() == self._loop_thread:
            self._take()
            self._publish(piece)
            return
        self._waiting.append(piece)
        if not self._awaited:  # two threads may both see this: then the second takes nothing
            self._awaited = True
            with contextlib.suppress(trio.RunFinishedError):
                self._loop.run_sync_soon(self._take)

    def end(self) -> None:
        """The call has ended: publish what its threads had said until now, and nothing after."""
        self._take()
        self._ended = True

    def _take(self) -> None:
        self._awaited = False  # before it looks: what is said from here on is taken once more
        while self._waiting and not self._ended:
            self._publish(self._waiting.popleft())
