"""EventChannel: what a session publishes, and its readers, none of which it waits for.

An append-only list with cursors. An event is published once and encoded once; a reader takes what
is there, as much as it can use at once, so that a slow one holds nothing up. The list is bounded. A
reader whose cursor has fallen off its tail gets `StreamLagged`, with the event after which the
session as stored goes on.
"""

from collections.abc import Sequence
from typing import Final
from weakref import WeakSet

from trio.lowlevel import ParkingLot, checkpoint

from wingman.errors import StreamLagged
from wingman.events import Done, Error, Event
from wingman.run.event_memory import EventMemory
from wingman.run.published import Published
from wingman.run.reader import Reader

__all__ = ["EventChannel"]

# What is kept of events that are stored, and that every reader has, for one that comes back.
_KEPT_EVENTS: Final = 1024
_KEPT_BYTES: Final = 256 * 1024


class EventChannel:
    """The events of one session. Ids count up by one from `start`, the last id used before.

    It holds at most `max_events` and about `max_bytes` of memory, except that it never lets go of
    the step under way (whose size the provider and the tools' limits bound). Of events that are
    stored, and that no reader waits for, it keeps a few. `memory` bounds what all channels hold.
    """

    def __init__(
        self,
        start: int,
        memory: EventMemory | None = None,
        *,
        max_events: int = 4096,
        max_bytes: int = 4_000_000,
    ) -> None:
        self.start = start
        self.last_id = start
        self.stored_id = start
        self.readers = 0
        self.closed: str | None = None
        self.memory = EventMemory() if memory is None else memory
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: list[Published] = []
        self._floor = start  # the events up to here are not held any more
        self._bytes = 0
        self._framed = 0  # bytes of frames: they count in the memory, not for the bound here
        self._listed = False  # with the memory, among those that can let go of something
        self._lot: ParkingLot | None = None
        # Also those that have not been entered: the body of a response may not have begun.
        self._cursors: WeakSet[Reader] = WeakSet()

    def __del__(self) -> None:
        self.memory.give_back(self.held)

    def publish(self, run_id: str, event: Event) -> None:
        """Append an event and wake the readers. Never waits."""
        self.last_id += 1
        published = Published(self.last_id, run_id, event)
        self._events.append(published)
        self._bytes += published.size
        self.memory.take(published.size)
        if len(self._events) > self._max_events or self._bytes > self._max_bytes:
            # A good part at a time: each time moves the whole list.
            self._let_go(self._max_events * 3 // 4, self._max_bytes * 3 // 4, self.stored_id)
        if self._lot is not None:
            self._lot.unpark_all()

    @property
    def held(self) -> int:
        """About how many bytes it holds: its events, and their frames."""
        return self._bytes + self._framed

    def mark_stored(self, event_id: int) -> None:
        """The history in the store now contains all that was published up to this event."""
        self.stored_id = event_id
        self.tidy()
        if self._floor < event_id:
            self._listed = True
            self.memory.may_shrink(self)
        self.memory.make_room()

    def made_frame(self, size: int) -> None:
        """Count the frame of an event, which may be let go of and made again."""
        self._framed += size
        self.memory.take(size)
        if not self._listed:
            self._listed = True
            self.memory.may_shrink(self)

    def tidy(self) -> None:
        """Let go of what is stored and every reader has, but for the newest of it."""
        if len(self._events) <= _KEPT_EVENTS and self._bytes <= _KEPT_BYTES:
            return
        until = self.stored_id
        for reader in self._cursors:
            if until <= self._floor:
                return
            until = min(until, reader.cursor)
        self._let_go(_KEPT_EVENTS, _KEPT_BYTES, until)

    def let_go_of_stored(self) -> None:
        """Let go of all events that the store has as well, and of frames that all readers have.

        The end of a run that comes after them is one of them: its run's record says the same.
        """
        self._listed = False
        until = self.stored_id
        for published in self._events[max(0, until - self._floor) :]:
            if not isinstance(published.event, Done | Error):
                break
            until = published.id
        self._let_go(0, 0, until)
        if self._floor < until:  # what is spared now may go later
            self._listed = True
            self.memory.may_shrink(self)
        slowest = min((reader.cursor for reader in self._cursors), default=self.last_id)
        for published in self._events:
            if published.id > slowest:
                break
            if not published.pins:
                freed = published.drop_frames()
                self._framed -= freed
                self.memory.give_back(freed)

    def close(self, reason: str) -> None:
        """Nothing will be published any more; readers get what is left, then the end.

        The first reason counts: who hears of it later is told the same.
        """
        if self.closed is None:
            self.closed = reason
        if self._lot is not None:
            self._lot.unpark_all()

    def reader(self, after: int | None = None, run_id: str | None = None) -> Reader:
        """A reader that begins after the event `after`; None: with what is published next.

        With `run_id` it sees that run's events alone, and its end is the run's.
        """
        reader = Reader(self, self.last_id if after is None else after, run_id)
        self._cursors.add(reader)
        return reader

    def forget(self, reader: Reader) -> None:
        """A reader has left: what it has not read is held for nobody."""
        self._cursors.discard(reader)
        self.tidy()

    def read(self, after: int) -> Sequence[Published]:
        """All events after `after` that there are. Raises `StreamLagged` where some are gone."""
        if after < self._floor or after > self.last_id:
            raise StreamLagged(max(self.stored_id, self._floor))
        skip = after - self._floor
        return self._events[skip:] if skip else self._events[:]

    async def wait(self, after: int) -> None:
        """Return when there is something to say to a reader there: an event after `after`, the
        channel's end, or that there has been no such event."""
        if self.last_id != after or self.closed is not None:
            await checkpoint()
            return
        if self._lot is None:
            self._lot = ParkingLot()
        await self._lot.park()

    def _let_go(self, most_events: int, most_bytes: int, until: int) -> None:
        """Let go of the oldest events, of none after `until`, until no more than that are left.

        What a reader waits for stays: it is about to take it.
        """
        for reader in self._cursors:
            if reader.waiting and reader.cursor < until:
                until = reader.cursor
        count = 0
        for published in self._events:
            few = len(self._events) - count <= most_events and self._bytes <= most_bytes
            if few or published.id > until:
                break
            self._bytes -= published.size
            self._framed -= published.held - published.size
            self.memory.let_go(published)
            count += 1
        del self._events[:count]
        self._floor += count
