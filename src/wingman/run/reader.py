"""Reader: a cursor into a session's channel."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from wingman.events import Done, Error, Steered
from wingman.run.published import Published
from wingman.under_trio import require_trio

if TYPE_CHECKING:
    from wingman.run.channel import EventChannel
    from wingman.run.event_memory import EventMemory

__all__ = ["BATCH", "Reader"]

BATCH: Final = 64 * 1024
"""How many bytes of events a program's reader takes at once: it holds them until it goes on."""

_size: Final[Callable[[Published], int]] = attrgetter("size")


class Reader:
    """A cursor into a channel; an async context manager, so that the channel knows it is read.

    Between two `receive` it holds no events: who stops reading keeps nothing in memory but what it
    was given last. `waiting`: it has taken all that there was, and takes what comes. `over`: it was
    given its run's last event. Where another run reads its run's message, it goes on with that one.
    """

    __slots__ = ("__weakref__", "_channel", "_run_id", "cursor", "over", "waiting")

    def __init__(self, channel: "EventChannel", cursor: int, run_id: str | None) -> None:
        self._channel = channel
        self._run_id = run_id
        self.over = False
        self.cursor = cursor
        self.waiting = False

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
        self._channel.forget(self)

    @property
    def closed(self) -> str | None:
        """Why the channel was closed, if it was."""
        return self._channel.closed

    @property
    def memory(self) -> "EventMemory":
        """Where it is counted what readers hold."""
        return self._channel.memory

    async def receive(
        self, most: int | None = None, weigh: Callable[[Published], int] = _size
    ) -> Sequence[Published]:
        """Wait for events and return those there are; none after the last.

        With `most`, no more than weigh so much together, but one at least. What weighs nothing is
        passed over. Raises `StreamLagged` if this reader has fallen off the channel's tail.
        """
        require_trio()
        channel = self._channel
        while not self.over:
            if self.cursor == channel.last_id:
                channel.tidy()  # what it was given before is sent by now
            self.waiting = True
            try:
                await channel.wait(self.cursor)
                batch = channel.read(self.cursor)
                if not batch and channel.closed is not None:
                    break
                taken = self._take(batch, most, weigh)
            finally:
                self.waiting = False
            if taken:
                return taken
        return ()

    def frame(self, published: Published) -> bytes:
        """An event as a Server-Sent Event: for who reads a session, with the run's id.

        It is made once for all readers, and the channel counts it.
        """
        before = published.held
        whole = published.session_frame() if self._run_id is None else published.run_frame()
        if published.held != before:
            self._channel.made_frame(published.held - before)
        return whole

    def _take(
        self, batch: Sequence[Published], most: int | None, weigh: Callable[[Published], int]
    ) -> Sequence[Published]:
        taken: list[Published] = []
        weight = 0
        cursor = self.cursor  # it stays while these are weighed: what it waits for is not let go of
        for published in batch:
            event = published.event
            if isinstance(event, Steered) and event.message_id == self._run_id:
                self._run_id = published.run_id  # what becomes of its message is told of that run
            if self._run_id is None or published.run_id == self._run_id:
                weight += (own := weigh(published))
                if most is not None and taken and weight > most:
                    break
                if own:
                    taken.append(published)
                if self._run_id is not None and isinstance(event, Done | Error):
                    self.over = True
            cursor = published.id
            if self.over:
                break
        self.cursor = cursor
        return taken
