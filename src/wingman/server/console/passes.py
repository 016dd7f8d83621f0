"""Passes: secrets that open something for a time, in memory alone."""

from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

import attrs
import trio

__all__ = ["Passes"]

_BYTES: Final = 24


@attrs.define(eq=False)
class Passes:
    """Random secrets that hold for so many `seconds`, at most `most` at once: a new one takes the
    place of the oldest.

    What is kept of a secret is its hash. It is found by that hash, so the time that the search
    takes says nothing of any secret.
    """

    seconds: float
    most: int
    _ends: dict[bytes, float] = attrs.field(factory=dict, init=False, repr=False)

    def new(self) -> str:
        """A new secret, of characters that a URL and a cookie take."""
        secret = token_urlsafe(_BYTES)
        while len(self._ends) >= self.most:
            del self._ends[next(iter(self._ends))]
        self._ends[_hash(secret)] = trio.current_time() + self.seconds
        return secret

    def left(self, secret: str) -> float:
        """For how many more seconds this secret holds; 0 where it does not."""
        end = self._ends.get(_hash(secret), 0.0)
        return max(0.0, end - trio.current_time())

    def take(self, secret: str) -> bool:
        """Whether this secret holds, for the last time."""
        held = self.left(secret) > 0
        self._ends.pop(_hash(secret), None)
        return held


def _hash(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()
