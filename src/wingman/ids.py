"""Ids: ULIDs, of which each is greater than the one before it in this process.

A ULID (https://github.com/ulid/spec) has 26 characters of Crockford's base 32: 48 bits of time in
milliseconds, then 80 that are random. Within a millisecond, or where the clock goes back, the next
id is the last one plus a random number of 32 bits: they sort in the order they were made, and none
can be told from the one before it.

Randomness comes from the system, for some hundred ids at a time: a call to the system costs as much
as all the rest. A child process that is forked begins with randomness of its own.
"""

import os
import threading
import time
from collections.abc import Callable
from io import BytesIO
from typing import Final

__all__ = ["Ids", "new_id"]

_POOL: Final = 4096  # bytes that are asked of the system at a time
_RANDOM_BITS: Final = 80
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _DIGITS for second in _DIGITS)


class Ids:
    """Makes ids, from any thread. `milliseconds` is the clock, `randomness` gives so many bytes."""

    def __init__(
        self,
        milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._milliseconds = milliseconds
        self._randomness = randomness
        self._last = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the randomness at hand, and who was just taking of it: a fork has copied both."""
        self._lock = threading.Lock()
        self._pool = BytesIO()

    def new(self) -> str:
        """The next id."""
        with self._lock:
            moment = self._milliseconds()
            if moment > self._last >> _RANDOM_BITS:
                value = moment << _RANDOM_BITS | self._random(10)
            else:
                value = self._last + 1 + self._random(4)
            self._last = value
        pairs = _PAIRS
        return (
            f"{pairs[value >> 120 & 1023]}{pairs[value >> 110 & 1023]}{pairs[value >> 100 & 1023]}"
            f"{pairs[value >> 90 & 1023]}{pairs[value >> 80 & 1023]}{pairs[value >> 70 & 1023]}"
            f"{pairs[value >> 60 & 1023]}{pairs[value >> 50 & 1023]}{pairs[value >> 40 & 1023]}"
            f"{pairs[value >> 30 & 1023]}{pairs[value >> 20 & 1023]}{pairs[value >> 10 & 1023]}"
            f"{pairs[value & 1023]}"
        )

    def _random(self, size: int) -> int:
        given = self._pool.read(size)
        if len(given) < size:
            self._pool = BytesIO(self._randomness(_POOL))
            given = self._pool.read(size)
        return int.from_bytes(given, "big")


_ids: Final = Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.begin_anew)

new_id: Final = _ids.new
"""The next id of this process: a ULID."""
