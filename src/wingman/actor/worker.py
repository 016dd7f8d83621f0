"""Worker: takes an actor's messages out of the mailbox, one at a time, and settles them.

All messages share one cancel scope, which is replaced only after it was used: cancelling one
delivery costs a scope, not cancelling any costs none.
"""

import logging
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, Protocol, cast

import trio
from trio.lowlevel import checkpoint

from wingman.actor.delivery import (
    CANCELLED,
    DONE,
    FAILED,
    PROCESSING,
    QUEUED,
    Delivery,
    DeliveryState,
)
from wingman.actor.instruments import Instruments
from wingman.actor.queue import Notice, Queue, plain
from wingman.foreign import failure_of, log_failure, shown, split

__all__ = ["Worker", "settle_left"]

logger = logging.getLogger("wingman.actor")

# How many messages an actor may process before it lets the other tasks run, if none of them
# made it wait: a checkpoint costs as much as some ten buffered messages.
_BURST = 128

_NOTHING: Any = object()


class Employer(Protocol):
    """What a worker needs to know of the actor that it works for."""

    ref: Any
    instruments: Instruments

    @property
    def name(self) -> str:
        """Its name, as people see it."""

    def went_idle(self) -> None:
        """There is nothing more to process."""


class Worker:
    """Works through one life of an actor after the other, on the same mailbox.

    `stopping` makes it leave after the current message, `passivating` when there is none.
    `stashing` makes it put the current message aside, if `receive` ends well. An `interruption`
    crashes the actor, as if it had raised that.
    """

    __slots__ = (
        "_employer",
        "_expected",
        "_mailbox",
        "_scope",
        "_scope_used",
        "_since",
        "crash",
        "current",
        "handled",
        "interruption",
        "passivating",
        "stashing",
        "stopping",
    )

    def __init__(
        self, employer: Employer, mailbox: Queue, expected: tuple[type[Exception], ...]
    ) -> None:
        self.stopping = False
        self.passivating = False
        self.handled = 0
        self.crash: Exception | None = None
        self.interruption: Exception | None = None
        self.stashing = False
        self.current: Any = _NOTHING
        self._employer: Any = employer  # an `Employer`; None at the end, when nobody asks any more
        self._mailbox = mailbox
        self._expected = expected
        self._since = 0.0
        self._scope: trio.CancelScope | None = None
        self._scope_used = False

    @property
    def busy(self) -> bool:
        """Whether a message is being processed."""
        return self.current is not _NOTHING

    @property
    def busy_for(self) -> float:
        """For how many seconds it has been."""
        return perf_counter() - self._since

    def cancel(self, delivery: Delivery) -> None:
        """Cancel one delivery: take it out of the mailbox, or cancel the scope that it runs in."""
        if delivery.state is QUEUED:
            if self._mailbox.remove(delivery):
                delivery.settle_cancelled()
        elif self.current is delivery and self._scope is not None:
            self._scope_used = True
            self._scope.cancel()
        elif self.current is delivery:  # its `receive` has unwound, and the actor is on its way out
            self.settle_current(CANCELLED, None)

    def interrupt(self, error: Exception) -> None:
        """Let this life of the actor crash with `error`: the current message is cancelled."""
        self.interruption = error
        if self._scope is not None:
            self._scope_used = True
            self._scope.cancel()

    async def serve(self, receive: Callable[[Any], Any]) -> None:
        """Process messages until it is time to leave. What crashes the actor is kept in `crash`."""
        try:
            while not self.stopping and not (self.passivating and not self._mailbox.items):
                with trio.CancelScope() as self._scope:
                    self._scope_used = False
                    if self.interruption is None:
                        await self._process(receive)
                self._crash_if_interrupted()
                self.settle_current(CANCELLED, None)
        except BaseException as error:
            if not self.keep_crash(error):
                self._has_unwound(error)
                raise
            self.settle_current(FAILED, self.crash)
            if self.crash is error:
                raise
            raise cast("Exception", self.crash) from error  # noqa: ASYNC104
        finally:
            self._mailbox.reader_left()

    def _has_unwound(self, error: BaseException) -> None:
        """The actor is being cancelled, and `receive` is over.

        Whoever has given up the current message hears of its end now, or when that comes about: a
        child that asked for it holds up the end of this actor until then.
        """
        if self._scope_used and self.interruption is None:
            failure = split(error)[1]
            self.settle_current(CANCELLED if failure is None else FAILED, failure)
        self._scope = None

    def begin_life(self) -> None:
        """Forget the crash that ended the last one, and that it was to passivate."""
        self.crash = None
        self.interruption = None
        self.passivating = False

    def _crash_if_interrupted(self) -> None:
        error, self.interruption = self.interruption, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame

    def keep_crash(self, error: BaseException) -> bool:
        """Keep what was raised as the `crash`; False if Trio's own is in it, and must go on."""
        passing, failure = split(error)
        if passing is not None:
            return False
        self.crash = failure
        return True

    async def _process(self, receive: Callable[[Any], Any]) -> None:
        """Take messages one at a time until there is reason to look up."""
        mailbox = self._mailbox
        items = mailbox.items
        senders = mailbox.senders
        instruments = self._employer.instruments
        burst = _BURST
        item = reply = None
        while not self.stopping:
            if not items:
                if self.passivating:
                    return
                item = reply = None  # an idle actor keeps no message alive
                self._employer.went_idle()
                await mailbox.wait()
                if items:
                    self.passivating = False
                burst = _BURST
                continue
            item = items.popleft()
            if senders:
                mailbox.admit_sender()
            if type(item) is Notice:
                item = self._message_of(item)
                if item is Notice.NOTHING:
                    continue
            self.current = item
            self._since = perf_counter()
            if instruments.watches_messages:
                self._notify_started(item)
            try:
                if type(item) is Delivery:
                    item.state = PROCESSING
                    reply = await receive(item.message)
                    if not self.stashing:
                        item.settle(DONE, reply)
                else:
                    await receive(item)
            except self._expected as error:
                self.settle_current(FAILED, failure_of(error))
                if type(item) is not Delivery:
                    self._log_told(item, error)
            except BaseException:
                item = reply = None  # the delivery will hold this error, which holds this frame
                raise
            else:
                if self.stashing:
                    self._put_aside(item)
                else:
                    self.current = _NOTHING
                    self.handled += 1
                if instruments.watches_messages:
                    self._notify_ended(item, None)
            if self._scope_used:
                return
            burst -= 1
            if not burst:
                await checkpoint()
                burst = _BURST

    def _message_of(self, notice: Notice) -> Any:
        message = notice.source.take()
        # A bare Delivery is one to settle: one that is a message is wrapped.
        return Delivery(message, self._employer) if type(message) is Delivery else message

    def _put_aside(self, item: Any) -> None:
        self.stashing = False
        if type(item) is Delivery:
            if self._scope_used:  # it was cancelled, or the actor interrupted, meanwhile
                return
            item.state = QUEUED
        self.current = _NOTHING
        self._mailbox.stash(item)

    def settle_current(self, state: DeliveryState, error: Exception | None) -> None:
        """The current message, if there is one, ends otherwise than well."""
        item, self.current = self.current, _NOTHING
        self.stashing = False
        if item is _NOTHING:
            return
        self.handled += 1
        if type(item) is Delivery:
            if error is None:
                item.settle_cancelled()
            else:
                item.settle(state, error)
        if self._employer.instruments.watches_messages:
            self._notify_ended(item, error)

    def abandon(self, refusal: Callable[[], Exception]) -> list[Any]:
        """Settle the current message, if there is one still; return it if it was told."""
        if not self.busy:
            return []
        left = [] if type(self.current) is Delivery else [self.current]
        self.settle_current(CANCELLED, refusal())
        return left

    def retire(self) -> None:
        """The cell has ended. They would hold each other, and all that hangs on them."""
        self._employer = None
        self._scope = None
        self.crash = None

    def _log_told(self, item: Any, error: Exception) -> None:
        # Nobody waits for a message that was told: the log is the only place left.
        text, name = "actor %s: %s failed", self._employer.name
        log_failure(logger, logging.WARNING, error, text, name, shown(item))

    def _notify_started(self, item: Any) -> None:
        self._employer.instruments.notify("message_started", self._employer.ref, plain(item))

    def _notify_ended(self, item: Any, error: Exception | None) -> None:
        self._employer.instruments.notify("message_ended", self._employer.ref, plain(item), error)


def settle_left(items: Iterable[Any], refusal: Callable[[], Exception]) -> list[Any]:
    """Settle what nobody will process any more; return the messages."""
    left = []
    for item in items:
        if type(item) is Delivery:
            item.settle(FAILED, refusal())
        left.append(plain(item))
    return left
