"""Patience: how often, and for how long, something is tried again."""

import math
import random
from collections.abc import Callable
from typing import Final

import anyio
import attrs

from wingman.errors import BadAnswer, Unavailable, WingmanError

__all__ = ["OnRetry", "Patience", "Retrying", "Waiting"]

_LONGEST_PAUSE: Final = 2.0
_SHORTEST_PAUSE: Final = 0.1
_HOLDS_SECONDS: Final = 10.0
"""A connection that lasts this long, and has signs of life, is a success, whatever comes of it."""


@attrs.frozen
class Patience:
    """How long the client tries again before it gives up, from one success to the next.

    `seconds` and `tries` bound what is tried again in a row. A server that has not answered this
    client once is tried for `first_seconds` only: its address may be wrong.
    """

    seconds: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))
    tries: int = attrs.field(default=30, validator=attrs.validators.ge(0))
    first_seconds: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))


@attrs.frozen
class Retrying:
    """What is tried again: the request, why, how often it has failed in a row, and when it is sent
    again, in seconds from now."""

    request: str
    error: WingmanError
    failures: int
    delay: float


OnRetry = Callable[[Retrying], None]


@attrs.define
class Waiting:
    """What is left of a patience for one thing. `met` says whether the server ever answered."""

    patience: Patience
    request: str
    on_retry: OnRetry | None
    met: Callable[[], bool]
    _failures: int = attrs.field(default=0, init=False)
    _since: float | None = attrs.field(default=None, init=False)
    _connected: float = attrs.field(default=math.inf, init=False)

    def progress(self) -> None:
        """It went on: the patience is whole again."""
        self._failures, self._since = 0, None

    def connected(self) -> None:
        """A connection is made: whether it holds is to be seen."""
        self._connected = anyio.current_time()

    def alive(self) -> None:
        """The connection has a sign of life."""
        if anyio.current_time() - self._connected >= _HOLDS_SECONDS:
            self.progress()

    async def again(self, error: WingmanError) -> None:
        """Wait until it is time to try again, or raise the error where that is of no use."""
        now = anyio.current_time()
        if self._since is None:
            self._since = now
        self._failures += 1
        delay = self._pause(error)
        seconds = self.patience.seconds
        if not self.met():
            seconds = min(seconds, self.patience.first_seconds)
        if self._failures > self.patience.tries or now + delay - self._since > seconds:
            raise error
        if self.on_retry is not None:
            self.on_retry(Retrying(self.request, error, self._failures, delay))
        await anyio.sleep(delay)

    def _pause(self, error: WingmanError) -> float:
        """As long as the server asks for; else a little, and more each time."""
        pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** min(self._failures - 1, 10))
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 no secret: clients shall not come all at once
        asked = error.retry_after if isinstance(error, Unavailable | BadAnswer) else 0.0
        return max(pause, asked)
