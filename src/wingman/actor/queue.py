"""Queue: the messages in a mailbox, and who sleeps in front of it.

A deque and two kinds of sleepers: the reader, when it is empty, and senders, when it is full.
Senders are served in the order they came, and their messages keep that order. The reader takes
from `items` itself, and calls `admit_sender` where there are `senders`: it is the hottest path.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

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

from wingman.actor.delivery import Delivery
from wingman.actor.errors import MailboxFull
from wingman.actor.mailbox import Mailbox

__all__ = ["Notice", "Queue", "plain"]

_CLOSED = -1


class Source(Protocol):
    """What has put a notice into a mailbox: a timer, a watch, a subscription."""

    def take(self) -> Any:
        """The message, now that it is the notice's turn; `Notice.NOTHING` if there is none now."""


class Notice:
    """An item that needs no room: its source puts a bounded number of them into a mailbox."""

    NOTHING: Any = object()

    __slots__ = ("source",)

    def __init__(self, source: Source) -> None:
        self.source = source


def plain(item: Any) -> Any:
    """The message in a mailbox's item, which is itself or in a delivery."""
    return item.message if type(item) is Delivery else item


class _Sender:
    """A task that waits for room, with what it wants to send."""

    __slots__ = ("item", "refusal", "task")

    def __init__(self, item: object, task: Task) -> None:
        self.item = item
        self.task = task
        self.refusal: Exception | None = None


class _Lanes:
    """The items of a queue with urgent messages, which go first. Used as a deque is."""

    __slots__ = ("first", "rest")

    def __init__(self) -> None:
        self.first: deque[Any] = deque()
        self.rest: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self.rest) + len(self.first)

    def __iter__(self) -> Iterator[Any]:
        yield from self.first
        yield from self.rest

    def __delitem__(self, index: int) -> None:
        urgent = len(self.first)
        if index < urgent:
            del self.first[index]
        else:
            del self.rest[index - urgent]

    def append(self, item: Any) -> None:
        self.rest.append(item)

    def popleft(self) -> Any:
        return self.first.popleft() if self.first else self.rest.popleft()

    def extendleft(self, items: Iterable[Any]) -> None:
        self.rest.extendleft(items)

    def clear(self) -> None:
        self.first.clear()
        self.rest.clear()


class Queue:
    """The queue of one mailbox. `dropped` is told what gives way in it.

    `stashed` are the messages that the actor has put aside; None if there was never one.
    """

    __slots__ = (
        "_dropped",
        "_lanes",
        "_mailbox",
        "_reader",
        "_refusal",
        "_waits",
        "capacity",
        "items",
        "senders",
        "stashed",
    )

    def __init__(self, mailbox: Mailbox, dropped: Callable[[Any], None]) -> None:
        self._lanes = _Lanes() if mailbox.urgent else None
        self.items: Any = deque() if self._lanes is None else self._lanes
        self._mailbox = mailbox
        self.capacity = mailbox.capacity
        self._waits = mailbox.when_full == "wait"
        self._dropped = dropped
        self._reader: Task | None = None
        # A list: there are rarely any, and an empty deque is ten times as big.
        self.senders: list[_Sender] = []
        self.stashed: deque[Any] | None = None
        self._refusal: Callable[[], Exception] | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def room(self) -> int:
        """How many more items it takes at once; 0 also when it is closed."""
        return max(0, self.capacity - len(self.items))

    @property
    def full(self) -> bool:
        """Whether one has to wait for room. A closed one is not full: it refuses."""
        return self._waits and 0 < self.capacity <= len(self.items)

    @property
    def awaited(self) -> bool:
        """Whether the reader sleeps in front of it: it is empty, and nobody was woken."""
        return self._reader is not None and not self.stashed

    # --- putting in ----------------------------------------------------------------------------

    def put_nowait(self, item: object) -> None:
        """Add an item, or raise `MailboxFull` (or the refusal of a closed mailbox)."""
        items = self.items
        if self._lanes is not None and self._is_urgent(item):
            self._put_urgent(self._lanes, item)
        elif len(items) < self.capacity or self._make_room(item):
            items.append(item)
        reader = self._reader
        if reader is not None:
            self._reader = None
            reschedule(reader)

    def must_wait(self, item: object) -> bool:
        """Whether there is no room for this item, and its sender is to wait for some."""
        return self.full and not self._is_urgent(item)

    def _is_urgent(self, item: object) -> bool:
        return isinstance(plain(item), self._mailbox.urgent)

    def put_notice(self, notice: Notice) -> None:
        """Add what needs no room; nothing happens if the mailbox is closed."""
        if self.capacity != _CLOSED:
            self.items.append(notice)
            self.wake()

    async def put(self, item: object) -> None:
        """Add an item, waiting for room; a checkpoint. When cancelled, the item is not added."""
        await checkpoint_if_cancelled()
        if self.must_wait(item):
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

    def admit_sender(self) -> None:
        """Give the room that was made, if any, to the sender that has waited longest."""
        if len(self.items) < self.capacity:
            sender = self.senders.pop(0)
            self.items.append(sender.item)
            reschedule(sender.task)

    def _put_urgent(self, lanes: _Lanes, item: object) -> None:
        if self.capacity == _CLOSED:
            self._refuse()
        if len(lanes.first) >= self.capacity:
            raise MailboxFull(f"{self.capacity} urgent messages wait already")
        lanes.first.append(item)

    def _make_room(self, item: object) -> bool:
        """Whether the item may be added all the same; raises `MailboxFull` where it is refused."""
        when_full = self._mailbox.when_full
        if self.capacity == _CLOSED or when_full in ("wait", "refuse"):
            self._refuse()
        if when_full == "drop_newest":
            if type(item) is Delivery:
                self._refuse()
            self._dropped(item)
            return False
        rest = self.items if self._lanes is None else self._lanes.rest
        for index, oldest in enumerate(rest):
            if type(oldest) is not Notice:
                del rest[index]
                self._dropped(oldest)
                break
        return True

    def _refuse(self) -> None:
        if self._refusal is not None:
            raise self._refusal()
        raise MailboxFull(f"the mailbox is full ({self.capacity} messages)")

    # --- taking out ----------------------------------------------------------------------------

    def remove(self, item: object) -> bool:
        """Take out one item, by identity, wherever it stands; False if it is not there."""
        for items in (self.items, self.stashed or deque()):
            for index, candidate in enumerate(items):
                if candidate is item:
                    del items[index]
                    if self.senders:
                        self.admit_sender()
                    return True
        return False

    async def wait(self) -> None:
        """Sleep until there is an item, or until `wake`. For the one reader."""
        self._reader = current_task()
        await wait_task_rescheduled(self._abort_wait)

    def wake(self) -> None:
        """Let the reader look up, item or not."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reschedule(reader)

    def stash(self, item: object) -> None:
        """Put an item aside until `unstash`; for the reader, which has taken it out."""
        if self.stashed is None:
            self.stashed = deque()
        self.stashed.append(item)

    @property
    def stash_full(self) -> bool:
        """Whether as many messages are put aside as there may be waiting."""
        return self.stashed is not None and len(self.stashed) >= self.capacity

    def unstash(self) -> None:
        """Put all that was put aside in front of what waits, in the order it came."""
        if self.stashed:
            self.items.extendleft(reversed(self.stashed))
            self.stashed.clear()

    def forget_notices(self) -> None:
        """Take out all notices: they were for a life that is over."""
        items = self.items if self._lanes is None else self._lanes.rest
        if any(type(item) is Notice for item in items):
            kept = [item for item in items if type(item) is not Notice]
            items.clear()
            items.extend(kept)
            while self.senders and len(self.items) < self.capacity:
                self.admit_sender()

    def close(self, refusal: Callable[[], Exception]) -> list[Any]:
        """Refuse everything from now on, with what `refusal` makes; return what was left."""
        self.unstash()
        left = [item for item in self.items if type(item) is not Notice]
        self.items.clear()
        self.refuse_with(refusal)
        for sender in self.senders:
            sender.refusal = refusal()
            reschedule(sender.task)
        self.senders.clear()
        return left

    def refuse_with(self, refusal: Callable[[], Exception]) -> None:
        """Take nothing more."""
        self.capacity = _CLOSED
        self._refusal = refusal
        self._dropped = _ignore  # it holds the cell, which holds this

    def reader_left(self) -> None:
        """The reader takes no more in this life. Of interest where there are several."""

    def _abort_wait(self, _: RaiseCancelT) -> Abort:
        self._reader = None
        return Abort.SUCCEEDED


def _ignore(_: Any) -> None:
    """Nothing gives way in a closed mailbox."""
