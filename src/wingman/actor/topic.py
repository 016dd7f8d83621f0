"""Topic: what is published reaches every subscriber, and a slow one slows nobody."""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar

import trio

from wingman.actor.errors import ActorError
from wingman.actor.queue import Notice
from wingman.under_trio import require_trio

__all__ = ["Overflow", "Subscription", "Topic"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Overflow: TypeAlias = Literal["drop_oldest", "drop_newest"]


class Topic(Generic[T]):
    """Messages for whoever subscribes. To publish never waits.

    Actors subscribe by their context, and get the messages as any other:

        context.subscribe(prices, capacity=10)

    Tasks read a subscription of their own:

        async with prices.subscribe(capacity=10) as news:
            async for price in news:
                ...
    """

    __slots__ = ("_closed", "_subscriptions", "name")

    def __init__(self, name: str = "topic") -> None:
        self.name = name
        self._subscriptions: dict[_Buffer[T], None] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<Topic {self.name} of {len(self._subscriptions)}>"

    def __len__(self) -> int:
        return len(self._subscriptions)

    def publish(self, message: T) -> None:
        """Give a message to every subscriber. Raises `ActorError` once the topic is closed."""
        if self._closed:
            raise ActorError(f"the topic {self.name!r} is closed")
        for subscription in tuple(self._subscriptions):
            subscription.put(message)

    def subscribe(
        self, *, capacity: int = 100, when_full: Overflow = "drop_oldest"
    ) -> "Subscription[T]":
        """A subscription for a task, from when its `async with` is entered.

        At most `capacity` messages wait in it. `when_full` says which gives way to one more: the
        one that has waited longest, or the new one.
        """
        return Subscription(self, capacity, when_full)

    def close(self) -> None:
        """End it: tasks read what waits for them, and their loops end."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.cancel()

    def add(self, subscription: "_Buffer[T]") -> None:
        """Give it what is published from now on. For subscriptions."""
        if self._closed:
            raise ActorError(f"the topic {self.name!r} is closed")
        self._subscriptions[subscription] = None

    def discard(self, subscription: "_Buffer[T]") -> None:
        """Give it nothing more; its absence is no error. For subscriptions."""
        self._subscriptions.pop(subscription, None)


class _Buffer(Generic[T]):
    """The messages that wait for one subscriber. `lost` counts those that gave way."""

    def __init__(self, topic: Topic[T], capacity: int, when_full: Overflow) -> None:
        if capacity < 1:
            raise ValueError(f"a subscription needs room for a message at least, not {capacity}")
        if when_full not in ("drop_oldest", "drop_newest"):
            raise ValueError(f"when_full is 'drop_oldest' or 'drop_newest', not {when_full!r}")
        self.lost = 0
        self._topic = topic
        self._capacity = capacity
        self._keeps_oldest = when_full == "drop_newest"
        self._waiting: deque[T] = deque()

    def put(self, message: T) -> None:
        """One more message."""
        if len(self._waiting) < self._capacity:
            self._waiting.append(message)
            self._has_more()
            return
        self.lost += 1
        if not self._keeps_oldest:
            self._waiting.popleft()
            self._waiting.append(message)

    def cancel(self) -> None:
        """End the subscription."""
        self._topic.discard(self)

    def _has_more(self) -> None:
        raise NotImplementedError


class ActorSubscription(_Buffer[T]):
    """An actor's subscription: a notice in its mailbox for each message that waits here.

    `mine` are the sources of the same life; None when it is over.
    """

    def __init__(
        self,
        topic: Topic[T],
        capacity: int,
        when_full: Overflow,
        *,
        put: Callable[[Notice], None],
        mine: set[Any],
    ) -> None:
        super().__init__(topic, capacity, when_full)
        self._put = put
        self._mine = mine
        topic.add(self)
        mine.add(self)

    def take(self) -> Any:
        """The message that has waited longest, now that a notice's turn has come."""
        return self._waiting.popleft() if self._waiting else Notice.NOTHING

    def cancel(self) -> None:
        """End the subscription. What waits in the mailbox is not processed."""
        super().cancel()
        self._waiting.clear()
        self._mine.discard(self)

    def _has_more(self) -> None:
        self._put(Notice(self))


class Subscription(_Buffer[T]):
    """A task's subscription: an async context manager, and an async iterator for one reader."""

    def __init__(self, topic: Topic[T], capacity: int, when_full: Overflow) -> None:
        super().__init__(topic, capacity, when_full)
        self._open = False
        self._more: trio.Event | None = None

    async def __aenter__(self) -> Self:
        require_trio()
        self._topic.add(self)
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if not self._open:
                raise StopAsyncIteration
            self._more = trio.Event()
            await self._more.wait()
        return self._waiting.popleft()

    def cancel(self) -> None:
        """End the subscription: the loop over it ends when it has read what waits."""
        super().cancel()
        self._open = False
        self._has_more()

    def _has_more(self) -> None:
        if self._more is not None:
            self._more.set()
