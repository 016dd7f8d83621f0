"""Pool: several workers behind one reference.

They share one mailbox: whoever is free takes the next message.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import attrs
from trio.lowlevel import current_task

from wingman.actor.cell import Cell
from wingman.actor.delivery import QUEUED, Delivery
from wingman.actor.errors import ActorError
from wingman.actor.instruments import ActorInfo
from wingman.actor.mailbox import Mailbox
from wingman.actor.queue import Notice, Queue
from wingman.actor.ref import ActorRef
from wingman.actor.supervision import Escalate, Restart, Stop, Supervision, escalates
from wingman.actor.watches import Stopped
from wingman.actor.worker import settle_left

if TYPE_CHECKING:
    from wingman.actor.context import Context
    from wingman.actor.family import Family

__all__ = ["PoolCell", "WorkerCell"]

_OWN = Mailbox(1)


class PoolCell(Cell):
    """The cell of a pool. Its own task waits for the workers' ends; they do the work.

    `make_worker` makes the cell of one, in the pool's family.
    """

    __slots__ = ("_make_worker", "_size", "shared")

    def __init__(
        self,
        make_worker: "Callable[[PoolCell, Family, int], Cell]",
        *,
        name: str,
        family: "Family",
        size: int,
        mailbox: Mailbox,
        supervision: Supervision,
        stop_within: float,
    ) -> None:
        if size < 1:
            raise ValueError(f"a pool has one worker at least, not {size}")
        self.shared = SharedQueue(mailbox, self._drop)
        self._make_worker = make_worker
        self._size = size
        # A crash of the pool, when no worker is left or one escalates, is its end, and the parent's
        # where it escalates. With its siblings it is restarted as any other.
        itself = Restart(0, exhausted=Escalate() if escalates(supervision) else Stop())
        super().__init__(
            _Pool,
            name=name,
            family=family,
            mailbox=_OWN,
            supervision=itself,
            expected=(),
            stop_within=stop_within,
        )

    def make_ref(self) -> ActorRef[Any, Any]:
        """The reference to it: what is sent goes into the mailbox that the workers share."""
        return ActorRef(self, self.shared)

    def cancel_delivery(self, delivery: Delivery[Any]) -> None:
        """Cancel one delivery, wherever it is."""
        if delivery.state is QUEUED:
            self.shared.remove(delivery)
        for worker in self.children:
            worker.cancel_delivery(delivery)
        if delivery.state is QUEUED:  # no worker has put it aside
            delivery.settle_cancelled()

    def refuse_itself(self) -> None:
        """Raise `ActorError` in a worker's task: if all of them waited so, none would go on."""
        task = current_task()
        if task is self.task or any(worker.task is task for worker in self.children):
            raise ActorError(f"a worker of the pool {self.name!r} would wait for its own pool")

    @property
    def burden(self) -> int:
        """How many messages wait or are processed."""
        return len(self.shared) + sum(worker.burden for worker in self.children)

    def info(self, name: str, children: Collection[ActorInfo] = ()) -> ActorInfo:
        """The pool as the snapshot shows it: the mailbox and the work are its workers'."""
        handled = sum(child.handled for child in children)
        info = super().info(name, children)
        return attrs.evolve(info, mailbox=len(self.shared), handled=handled)

    def _make(self) -> "_Pool":
        context = self._open_context()
        family = context.family
        return _Pool(context, [self._make_worker(self, family, n + 1) for n in range(self._size)])

    def _close_mailbox(self, refusal: Callable[[], Exception]) -> list[Any]:
        super()._close_mailbox(refusal)
        return settle_left(self.shared.close(refusal), refusal)


class WorkerCell(Cell):
    """The cell of one worker in a pool."""

    __slots__ = ("_shared",)

    def __init__(self, pool: PoolCell, *args: Any, **options: Any) -> None:
        self._shared = pool.shared
        super().__init__(*args, mailbox=_OWN, **options)

    @property
    def burden(self) -> int:
        """How many messages wait for it alone, or are processed."""
        return super().burden - len(self._shared)

    def _make_queue(self, mailbox: Mailbox) -> Queue:
        return _Share(self._shared, mailbox, self._drop)


class _Pool:
    """The actor of a pool: it keeps the workers."""

    def __init__(self, context: "Context[Any]", workers: Iterable[Cell]) -> None:
        self._context = context
        for worker in workers:
            context.watch(context.system.start(worker))

    async def receive(self, message: Stopped) -> None:
        """A worker has ended for good. The pool lives as long as any of them does."""
        if self._context.children:
            return
        if message.termination.error is not None:
            raise message.termination.error
        self._context.stop()


class SharedQueue(Queue):
    """The queue of a pool. It has no reader of its own: an idle worker is woken for each item."""

    __slots__ = ("idle",)

    def __init__(self, mailbox: Mailbox, dropped: Callable[[Any], None]) -> None:
        super().__init__(mailbox, dropped)
        self.idle: dict[_Share, None] = {}  # those that sleep, the first the longest

    def put_nowait(self, item: object) -> None:
        """Add an item, and wake a worker for it."""
        super().put_nowait(item)
        self.call_worker()

    def admit_sender(self) -> None:
        """Give room to a sender, and wake a worker for its item."""
        super().admit_sender()
        self.call_worker()

    def call_worker(self) -> None:
        """Wake the worker that has slept longest, if there is something to do."""
        if self.items and self.idle:
            share = next(iter(self.idle))
            del self.idle[share]
            share.wake()


class _Share(Queue):
    """The queue of one worker: what is for it alone, and then what is in the pool's mailbox."""

    __slots__ = ("_shared",)

    def __init__(
        self, shared: SharedQueue, mailbox: Mailbox, dropped: Callable[[Any], None]
    ) -> None:
        super().__init__(mailbox, dropped)
        self._shared = shared
        self.senders = shared.senders
        self.items = _Both(self.items, shared.items)

    @property
    def stash_full(self) -> bool:
        """Whether the worker has put as many messages aside as the pool's mailbox holds."""
        return self.stashed is not None and len(self.stashed) >= self._shared.capacity

    async def wait(self) -> None:
        """Sleep until there is an item, for this worker or for any."""
        self._shared.idle[self] = None
        try:
            await super().wait()
        finally:
            self._shared.idle.pop(self, None)

    def reader_left(self) -> None:
        """This worker takes no more in this life: what it was woken for is for another."""
        self._shared.call_worker()

    def admit_sender(self) -> None:
        """Give the room that was made in the pool's mailbox to a sender."""
        self._shared.admit_sender()

    def unstash(self) -> None:
        """Put what this worker has put aside back in front of the pool's mailbox."""
        super().unstash()
        self._shared.call_worker()

    def close(self, refusal: Callable[[], Exception]) -> list[Any]:
        """Refuse what is sent to this worker alone; the pool's mailbox stays."""
        self.unstash()
        own = self.items.own
        left = [item for item in own if type(item) is not Notice]
        own.clear()
        self.refuse_with(refusal)
        return left

    def forget_notices(self) -> None:
        """Take out all notices: they were for a life of this worker."""
        kept = [item for item in self.items.own if type(item) is not Notice]
        self.items.own.clear()
        self.items.own.extend(kept)


class _Both:
    """A worker's own items, and after them those of its pool. Used as a deque is."""

    __slots__ = ("own", "shared")

    def __init__(self, own: deque[Any], shared: Any) -> None:
        self.own = own
        self.shared = shared

    def __len__(self) -> int:
        return len(self.own) + len(self.shared)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.own)

    def __delitem__(self, index: int) -> None:
        del self.own[index]

    def append(self, item: Any) -> None:
        self.own.append(item)

    def popleft(self) -> Any:
        return self.own.popleft() if self.own else self.shared.popleft()

    def extendleft(self, items: Iterable[Any]) -> None:
        self.shared.extendleft(items)
