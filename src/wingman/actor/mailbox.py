"""Mailbox: a bounded queue with one reader.

A deque and two kinds of sleepers: the reader, when it is empty, and senders, when it is full.
Senders are served in the order they came, and their messages keep that order. The reader takes
from `items` itself, and calls `admit_sender` where there are `senders`: it is the hottest path.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    cancel_shielded_checkpoint,
    checkpoint_if_cancelled,
    current_task,
    reschedule,
    wait_task_rescheduled,
)

from wingman.actor.errors import MailboxFull

__all__ = ["Mailbox"]

_CLOSED = -1


class _Sender:
    """A task that waits for room, with what it wants to send."""

    __slots__ = ("item", "refusal", "task")

    def __init__(self, item: object, task: Task) -> None:
        self.item = item
        self.task = task
        self.refusal: Exception | None = None


class Mailbox:
    """At most `capacity` items wait in it; who would add one more waits, or is refused."""

    __slots__ = ("_capacity", "_reader", "_refusal", "items", "senders")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox needs room for at least one message, not {capacity}")
        self.items: deque[Any] = deque()
        self._capacity = capacity
        self._reader: Task | None = None
        # A list: there are rarely any, and an empty deque is ten times as big.
        self.senders: list[_Sender] = []
        self._refusal: Callable[[], Exception] | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def room(self) -> int:
        """How many more items it takes at once; 0 also when it is closed."""
        return max(0, self._capacity - len(self.items))

    @property
    def full(self) -> bool:
        """Whether one has to wait for room. A closed one is not full: it refuses."""
        return 0 < self._capacity <= len(self.items)

    @property
    def awaited(self) -> bool:
        """Whether the reader sleeps in front of it: it is empty, and nobody was woken."""
        return self._reader is not None

    def put_nowait(self, item: object) -> None:
        """Add an item, or raise `MailboxFull` (or the refusal of a closed mailbox)."""
        items = self.items
        if len(items) >= self._capacity:
            self._refuse()
        items.append(item)
        reader = self._reader
        if reader is not None:
            self._reader = None
            reschedule(reader)

    async def put(self, item: object) -> None:
        """Add an item, waiting for room; a checkpoint. When cancelled, the item is not added."""
        await checkpoint_if_cancelled()
        if self.full:
            await self.wait_for_room(item)
        else:
            self.put_nowait(item)
            await cancel_shielded_checkpoint()

    async def wait_for_room(self, item: object) -> None:
        """Queue up behind the other senders until the item has been added."""
        sender = _Sender(item, current_task())
        self.senders.append(sender)

        def abort(_: RaiseCancelT) -> Abort:
            self.senders.remove(sender)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)
        if sender.refusal is not None:
            raise sender.refusal

    def remove(self, item: object) -> None:
        """Take out one item, by identity, wherever it stands; its absence is no error."""
        for index, candidate in enumerate(self.items):
            if candidate is item:
                del self.items[index]
                if self.senders:
                    self.admit_sender()
                return

    async def wait(self) -> None:
        """Sleep until there is an item, or until `wake`. For the one reader."""
        self._reader = current_task()
        await wait_task_rescheduled(self._abort_wait)

    def _abort_wait(self, _: RaiseCancelT) -> Abort:
        self._reader = None
        return Abort.SUCCEEDED

    def wake(self) -> None:
        """Let the reader look up, item or not."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reschedule(reader)

    def close(self, refusal: Callable[[], Exception]) -> list[Any]:
        """Refuse everything from now on, with what `refusal` makes; return what was left."""
        left = list(self.items)
        self.items.clear()
        self._capacity = _CLOSED
        self._refusal = refusal
        for sender in self.senders:
            sender.refusal = refusal()
            reschedule(sender.task)
        self.senders.clear()
        return left

    def admit_sender(self) -> None:
        """Give the room that was made to the sender that has waited longest."""
        sender = self.senders.pop(0)
        self.items.append(sender.item)
        reschedule(sender.task)

    def _refuse(self) -> None:
        if self._refusal is not None:
            raise self._refusal()
        raise MailboxFull(f"the mailbox is full ({self._capacity} messages)")
