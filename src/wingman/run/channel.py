"""EventChannel: what a session publishes, and its readers, none of which it waits for.

An append-only list with cursors. An event is published once and encoded once; a reader takes all
there is in one go, so that a slow one catches up in larger pieces instead of holding anything up.
The list is bounded; a reader whose cursor has fallen off its tail gets `StreamLagged`, with the
event after which the session as stored goes on.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec
from trio.lowlevel import ParkingLot, checkpoint

from wingman.errors import StreamLagged
from wingman.events import Done, Error, Event, Text, Thinking, ToolProgress, ToolResult
from wingman.under_trio import require_trio

__all__ = ["EventChannel", "Published", "Reader", "encode_event"]

_encode = msgspec.json.Encoder().encode


def encode_event(event: Event) -> bytes:
    """An event's JSON, one line: for `Done`, its result."""
    return _encode(event.result if type(event) is Done else event)


class Published:
    """One event of the channel: its id, its run, and, once somebody asked, its JSON."""

    __slots__ = ("_data", "event", "id", "run_id")

    def __init__(self, id: int, run_id: str, event: Event) -> None:
        self.id = id
        self.run_id = run_id
        self.event = event
        self._data: bytes | None = None

    @property
    def data(self) -> bytes:
        """The event's JSON, one line; encoded at the first asking and shared from then on."""
        if self._data is None:
            self._data = encode_event(self.event)
        return self._data


class EventChannel:
    """The events of one session. Ids count up by one from `start`, the last id used before.

    It holds at most `max_events` and about `max_chars` characters of content, except that it never
    lets go of the step under way (whose size the provider and the tools' limits bound).
    """

    def __init__(self, start: int, *, max_events: int = 4096, max_chars: int = 4_000_000) -> None:
        self.start = start
        self.last_id = start
        self.stored_id = start
        self.readers = 0
        self.closed: str | None = None
        self._max_events = max_events
        self._max_chars = max_chars
        self._events: list[Published] = []
        self._floor = start  # the events up to here are not held any more
        self._chars = 0
        self._lot: ParkingLot | None = None

    def publish(self, run_id: str, event: Event) -> None:
        """Append an event and wake the readers. Never waits."""
        self.last_id += 1
        self._events.append(Published(self.last_id, run_id, event))
        self._chars += _size(event)
        if len(self._events) > self._max_events or self._chars > self._max_chars:
            self._trim()
        if self._lot is not None:
            self._lot.unpark_all()

    def mark_stored(self, event_id: int) -> None:
        """The history in the store now contains all that was published up to this event."""
        self.stored_id = event_id

    def close(self, reason: str) -> None:
        """Nothing will be published any more; readers get what is left, then the end."""
        self.closed = reason
        if self._lot is not None:
            self._lot.unpark_all()

    def reader(self, after: int | None = None, run_id: str | None = None) -> "Reader":
        """A reader that begins after the event `after`; None: with what is published next.

        With `run_id` it sees that run's events alone, and its end is the run's.
        """
        return Reader(self, self.last_id if after is None else after, run_id)

    def read(self, after: int) -> Sequence[Published]:
        """All events after `after` that there are. Raises `StreamLagged` where some are gone."""
        if after < self._floor or after > self.last_id:
            raise StreamLagged(self.stored_id)
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

    def _trim(self) -> None:
        """Let go of the oldest events, a good part at a time: each trim moves the whole list."""
        keep_events, keep_chars = self._max_events * 3 // 4, self._max_chars * 3 // 4
        count = 0
        for published in self._events:
            few = len(self._events) - count <= keep_events and self._chars <= keep_chars
            if few or published.id > self.stored_id:
                break
            self._chars -= _size(published.event)
            count += 1
        del self._events[:count]
        self._floor += count


class Reader:
    """A cursor into a channel; an async context manager, so that the channel knows it is read."""

    __slots__ = ("_channel", "_over", "_run_id", "cursor")

    def __init__(self, channel: EventChannel, cursor: int, run_id: str | None) -> None:
        self._channel = channel
        self._run_id = run_id
        self._over = False
        self.cursor = cursor

    async def __aenter__(self) -> Self:
        require_trio()
        self._channel.readers += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.readers -= 1

    @property
    def closed(self) -> str | None:
        """Why the channel was closed, if it was."""
        return self._channel.closed

    async def receive(self) -> Sequence[Published]:
        """Wait for events and return all there are; none after the last.

        Raises `StreamLagged` if this reader has fallen off the channel's tail.
        """
        require_trio()
        channel = self._channel
        while not self._over:
            await channel.wait(self.cursor)
            batch = channel.read(self.cursor)
            if not batch and channel.closed is not None:
                break
            if batch:
                self.cursor = batch[-1].id
                if self._run_id is not None:
                    batch = self._of_run(batch, self._run_id)
            if batch:
                return batch
        return ()

    def _of_run(self, batch: Sequence[Published], run_id: str) -> Sequence[Published]:
        batch = [published for published in batch if published.run_id == run_id]
        self._over = bool(batch) and isinstance(batch[-1].event, Done | Error)
        return batch


def _size(event: Event) -> int:
    """About how many characters an event keeps in memory; the small ones all count alike."""
    if type(event) in (Text, Thinking, ToolProgress):
        return 64 + len(event.text)  # type: ignore[union-attr]
    if type(event) is ToolResult:
        return 64 + len(event.content)
    return 512
