"""Bodies: what requests send, counted as it comes, and refused where all of it is too much.

A body is bounded by itself, by `MAX_CONTENT_LENGTH`; here is the bound on all of them together. A
body counts from its first byte on until its request is answered, or until its message is admitted:
from then on it is one of those that wait.
"""

from typing import Final

import attrs
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody

from wingman.errors import Overloaded

__all__ = ["DEFAULT_BODY_MEMORY", "BodyRoom", "CountedBody", "CountedRequest"]

DEFAULT_BODY_MEMORY: Final = 256 * 1024 * 1024
"""Bytes of bodies that a server holds at once."""

# So many bytes of each body are free, so that a cancel is taken also where there is no room: the
# number of connections bounds these.
_FREE: Final = 64 * 1024


@attrs.define
class BodyRoom:
    """How many bytes of bodies there may be at once, and how many there are."""

    most: int
    held: int = attrs.field(default=0, init=False)

    def take(self, count: int) -> bool:
        """Count so many bytes more, if there is room for them."""
        if self.held + count > self.most:
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        """These bytes are not held any more."""
        self.held -= count


class CountedBody(TrioBody):
    """One request's body. Its `room` is set before anything of it comes."""

    room: BodyRoom
    _taken = 0

    def append(self, data: bytes) -> None:
        """Take a piece; or fail the whole body, if there is no room for it."""
        beyond = len(self._data) + len(data) - _FREE - self._taken
        if beyond > 0 and self._must_raise is None:
            if not self.room.take(beyond):
                self._must_raise = Overloaded(
                    "The server holds as many bytes of requests' bodies as it may: "
                    "send the request again later."
                )
                self._data.clear()
                self.release()
                self.set_complete()
                return
            self._taken += beyond
        super().append(data)

    @property
    def is_whole(self) -> bool:
        """Whether all of it has come, and it has not failed."""
        return self._must_raise is None and self._complete.is_set()

    def taken(self) -> bytes:
        """What has come, which is not kept here any more."""
        data = bytes(self._data)
        self.clear()
        return data

    def release(self) -> None:
        """What came is not held any more."""
        self.room.give_back(self._taken)
        self._taken = 0


class CountedRequest(TrioRequest):
    """A request whose body is counted."""

    body_class = CountedBody
    body: CountedBody
    keeps = False
    """Whether the body is kept: the request may have to be sent to another node."""
    _kept: bytes | None = None

    async def whole_body(self) -> bytes:
        """The body, which is not kept but where it may be needed again. It is not waited for where
        it is there."""
        if self._kept is not None:
            return self._kept
        data = self.body.taken() if self.body.is_whole else await self.get_data(False, False, False)
        if self.keeps:
            self._kept = data
        return data

    async def kept_body(self) -> bytes:
        """The body, also where it was read before."""
        self.keeps = True
        return await self.whole_body()
