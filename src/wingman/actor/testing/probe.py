"""Probe: an actor that keeps what it is sent, for a test to wait for."""

from collections import deque
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Self, TypeVar, overload

import trio

from wingman.actor.context import Context
from wingman.actor.mailbox import Mailbox
from wingman.actor.ref import ActorRef
from wingman.actor.spawner import Spawner
from wingman.actor.supervision import Stop
from wingman.foreign import shown

__all__ = ["Probe"]

X = TypeVar("X")

_SHOWN = 10  # messages in the text of an error


class Probe:
    """An actor that keeps what it is sent, and the test's handle on it.

        probe = Probe.spawn(system)
        await lamp.tell(Switch(reply_to=probe.ref))
        assert await probe.next(On, within=1) == On(watts=40)
        await probe.nothing(within=5)

    `ref` is the reference to give away. It keeps the newest `capacity` messages; `forgotten` counts
    the older ones that gave way. Seconds are on Trio's clock, virtual if that is.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ValueError(f"a probe keeps at least one message, not {capacity}")
        self.ref: ActorRef[Any, Any]
        self.forgotten = 0
        self._messages: deque[Any] = deque(maxlen=capacity)
        self._pending: deque[Any] = deque(maxlen=capacity)
        self._arrival = trio.Event()
        self._handler: Callable[[Any], Any] = _nothing_to_say
        self._context: Context[Any] | None = None
        self._to_watch: list[ActorRef[Any, Any]] = []

    @classmethod
    def spawn(
        cls,
        spawner: Spawner,
        handler: Callable[[Any], Any] | None = None,
        *,
        name: str | None = None,
        mailbox: int | Mailbox = 100,
        capacity: int = 10_000,
    ) -> Self:
        """Start a probe in an actor system, or as a child by an actor's context.

        `handler` makes the replies, as `reply_by` says; without one they are None.
        """
        itself = cls(capacity)
        if handler is not None:
            itself.reply_by(handler)

        def probe(context: Context[Any]) -> Probe:
            itself._begin(context)
            return itself

        itself.ref = spawner.spawn(
            probe, name=name, mailbox=mailbox, supervision=Stop(), expected=(Exception,)
        )
        return itself

    # --- what it is sent -----------------------------------------------------------------------

    @property
    def messages(self) -> list[Any]:
        """All that it was sent and keeps, the oldest first; taken by `next` or not."""
        return list(self._messages)

    @overload
    async def next(self, wanted: type[X], *, within: float = 1.0) -> X: ...

    @overload
    async def next(
        self, wanted: Callable[[Any], object] | None = None, *, within: float = 1.0
    ) -> Any: ...

    async def next(self, wanted: Any = None, *, within: float = 1.0) -> Any:
        """Take the oldest message that is wanted and was not taken yet; wait for it if need be.

        `wanted` is a class, or a function that says whether it is; None is any message. Those that
        are not wanted stay for other calls. Raises `AssertionError` when none has come `within` so
        many seconds; 0 is: it must be there already.
        """
        with trio.move_on_after(within):
            while (found := self._take(wanted)) is _NONE:
                await self._arrival.wait()
            return found
        # It may have come at the very end.
        if (found := self._take(wanted)) is not _NONE:
            return found
        raise AssertionError(
            f"{self.ref.name} was sent {_in_words(wanted)} within {within:g} s; {self._waiting()}"
        )

    async def nothing(self, *, within: float) -> None:
        """See that it is sent nothing for so many seconds, beside what was taken by `next`.

        Raises `AssertionError` as soon as there is a message.
        """
        with trio.move_on_after(within):
            while not self._pending:
                await self._arrival.wait()
        if self._pending:
            raise AssertionError(f"{self.ref.name} was to be sent nothing; {self._waiting()}")

    # --- what it does --------------------------------------------------------------------------

    def reply_with(self, reply: Any) -> None:
        """Reply with this to whatever is asked from now on."""
        self._handler = lambda _: reply

    def reply_by(self, handler: Callable[[Any], Any]) -> None:
        """Call `handler(message)` for what is sent from now on; it may be async.

        What it returns is the reply. An `Exception` that it raises is the reply, too: the asker
        gets it, and the probe goes on.
        """
        self._handler = handler

    def watch(self, ref: ActorRef[Any, Any]) -> None:
        """Be sent `Stopped(ref, termination)` when that actor ends, as `Context.watch` says."""
        if self._context is None:
            self._to_watch.append(ref)
        else:
            self._context.watch(ref)

    async def receive(self, message: Any) -> Any:
        """Keep the message, and reply."""
        if len(self._messages) == self._messages.maxlen:
            self.forgotten += 1
        self._messages.append(message)
        self._pending.append(message)
        self._arrival.set()
        self._arrival = trio.Event()
        reply = self._handler(message)
        return await reply if isawaitable(reply) else reply

    def _begin(self, context: Context[Any]) -> None:
        self._context = context
        for ref in self._to_watch:
            context.watch(ref)
        self._to_watch.clear()

    def _take(self, wanted: Any) -> Any:
        for index, message in enumerate(self._pending):
            if _matches(message, wanted):
                del self._pending[index]
                return message
        return _NONE

    def _waiting(self) -> str:
        waiting = [shown(message) for message in self._pending]
        if not waiting:
            return "no message waits"
        more = f", and {len(waiting) - _SHOWN} more" if len(waiting) > _SHOWN else ""
        return f"what waits is {', '.join(waiting[:_SHOWN])}{more}"


_NONE: Any = object()


def _nothing_to_say(_: Any) -> None:
    """The handler of a probe that was given none."""


def _matches(message: Any, wanted: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, type):
        return isinstance(message, wanted)
    return bool(wanted(message))


def _in_words(wanted: Any) -> str:
    if wanted is None:
        return "no message"
    if isinstance(wanted, type):
        return f"no {wanted.__name__}"
    return "no message that is wanted"
