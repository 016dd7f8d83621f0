"""Dial: a new connection where one was lost, with a pause between attempts that grows."""

import time
from collections.abc import Callable
from typing import Final

import attrs

from wingman.errors import StoreError, StoreUnavailable
from wingman.foreign import copy_of
from wingman.store.postgres.connection import Connection

__all__ = ["Dial"]

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 2.0
"""Seconds from one attempt to the next: twice as many after each."""


@attrs.define(eq=False)
class Dial:
    """Connects, by `connect`; not more often than the server bears. For one thread."""

    connect: Callable[[], Connection]
    _pause: float = attrs.field(default=0, init=False)
    _not_before: float = attrs.field(default=0, init=False)
    _failure: StoreUnavailable | None = attrs.field(default=None, init=False)

    def __call__(self) -> Connection:
        """A new connection. Raises `StoreUnavailable`, at once while it is not time to try."""
        if self._failure is not None and time.monotonic() < self._not_before:
            raise copy_of(self._failure)
        try:
            connection = self.connect()
        except StoreError as error:
            unavailable = (
                error if isinstance(error, StoreUnavailable) else StoreUnavailable(str(error))
            )
            self._failure = copy_of(unavailable)
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._not_before = time.monotonic() + self._pause
            raise unavailable from error.__cause__
        self._failure, self._pause = None, 0
        return connection
