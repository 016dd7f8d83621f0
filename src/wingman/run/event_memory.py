"""EventMemory: what the readers of all sessions of a process make it hold, and its bound.

A session's channel holds events for readers that come back, and a reader the piece that its
connection is sending. Each is bounded; so is the sum of all. Beyond the bound, channels let go of
events that the store has as well, those of the session that has stored least recently first: who
needed them is told to `resync`. Readers are given smaller pieces. A reader that has sent a part of
a large event which its channel has let go of is cut off, and comes back. Nobody ever waits for
memory: a run goes on whatever its readers do.
"""

from typing import Final, Protocol
from weakref import WeakKeyDictionary

from wingman.run.published import Published

__all__ = ["EventMemory"]

_PIECE: Final = 32 * 1024
_SMALL_PIECE: Final = 4 * 1024


class Holder(Protocol):
    """A channel, which can let go of events."""

    def let_go_of_stored(self) -> None:
        """Let go of all events that the store has as well, and of what can be made again."""


class EventMemory:
    """At most about `most` bytes for the readers of one process, `held` of them now."""

    def __init__(self, most: int = 64 * 1024 * 1024) -> None:
        self.most = most
        self.held = 0
        self._tried = 0
        # Those that hold what is stored as well, in the order in which they last stored some.
        self._holders: WeakKeyDictionary[Holder, None] = WeakKeyDictionary()
        # What no channel holds any more, and some reader has sent a part of; oldest first.
        self._lingering: dict[Published, None] = {}

    @property
    def piece(self) -> int:
        """How many bytes a reader's connection is given at once."""
        return _PIECE if self.held <= self.most else _SMALL_PIECE

    def take(self, size: int) -> None:
        """Count bytes that are held from now on, and let others go where that is too much."""
        self.held += size
        if self.held > self.most and abs(self.held - self._tried) > self.most // 64:
            self.make_room()

    def give_back(self, size: int) -> None:
        """Count bytes no more."""
        self.held -= size

    def may_shrink(self, holder: Holder) -> None:
        """A channel holds events that the store has as well, since just now."""
        self._holders.pop(holder, None)
        self._holders[holder] = None

    def let_go(self, published: Published) -> None:
        """A channel has let go of an event. It is held as long as a reader is at it."""
        if published.pins:
            self._lingering[published] = None
        else:
            self.held -= published.held

    def unpin(self, published: Published) -> None:
        """A reader has sent the rest of an event's frame, or has left."""
        published.pins -= 1
        if not published.pins and published in self._lingering:
            del self._lingering[published]
            self.held -= published.held

    def make_room(self) -> None:
        """Let go of what can be, if more is held than may be."""
        if self.held <= self.most:
            self._tried = 0
            return
        for _ in range(len(self._holders)):  # one that is asked may come again
            holder = next(self._holders.keys(), None)
            if holder is None or self.held <= self.most:
                break
            del self._holders[holder]
            holder.let_go_of_stored()
        while self.held > self.most and self._lingering:
            published = next(iter(self._lingering))
            del self._lingering[published]
            self.held -= published.held
            published.revoke()
        # Where that was not enough, it is of no use to look again before something has changed.
        self._tried = self.held if self.held > self.most else 0
