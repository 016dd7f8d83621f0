"""Delivery: the handle on one message, from the mailbox to its end."""

import enum
from typing import Any, Generic, Protocol, cast

from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    checkpoint,
    current_task,
    reschedule,
    wait_task_rescheduled,
)

from wingman.actor.errors import ActorError, DeliveryCancelled, DeliveryPending
from wingman.actor.protocols import R_co
from wingman.foreign import shown
from wingman.under_trio import require_trio

__all__ = ["Delivery", "DeliveryState"]


class DeliveryState(enum.Enum):
    """Where a delivery stands. The last three are final, and exactly one of them is reached."""

    QUEUED = "queued"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


QUEUED = DeliveryState.QUEUED
PROCESSING = DeliveryState.PROCESSING
DONE = DeliveryState.DONE
FAILED = DeliveryState.FAILED
CANCELLED = DeliveryState.CANCELLED


class Carrier(Protocol):
    """What a delivery needs of the actor it goes to."""

    def cancel_delivery(self, delivery: "Delivery[Any]") -> None:
        """Take it out of the mailbox, or cancel its processing."""

    def refuse_itself(self) -> None:
        """Raise `ActorError` in the actor's own task."""


class Delivery(Generic[R_co]):
    """One message on its way to one actor, and what came of it.

    It lives on its own: nobody needs to wait for it, and losing the handle loses nothing.
    """

    __slots__ = ("_asker", "_carrier", "_raise_cancel", "_reply", "_waiters", "message", "state")

    def __init__(self, message: Any, carrier: Carrier) -> None:
        self.message = message
        self.state = QUEUED
        self._carrier = carrier
        self._reply: Any = None
        self._asker: Task | None = None
        self._raise_cancel: RaiseCancelT | None = None
        self._waiters: dict[Task, None] | None = None

    def __repr__(self) -> str:
        return f"<Delivery {self.state.value} of {shown(self.message)}>"

    @property
    def ended(self) -> bool:
        """Whether a final state has been reached."""
        return self.state is not QUEUED and self.state is not PROCESSING

    def cancel(self) -> None:
        """Ask for this delivery's end, queued or in flight; `wait` says when it has come.

        A queued one ends at once and is never processed. One in flight is cancelled as Trio
        cancels: it ends when the actor's `receive` has unwound. One that has ended stays as it is.
        """
        if not self.ended:
            self._carrier.cancel_delivery(self)

    async def wait(self) -> DeliveryState:
        """Wait for the end, and return the final state. Raises nothing of what the actor raised.

        Cancelling this wait does not cancel the delivery. An actor that would wait for the very
        delivery that it is processing gets `ActorError` instead of a deadlock.
        """
        require_trio()
        if self.ended:
            await checkpoint()
            return self.state
        self._carrier.refuse_itself()
        if self._waiters is None:
            self._waiters = {}
        task, waiters = current_task(), self._waiters
        waiters[task] = None

        def abort(_: RaiseCancelT) -> Abort:
            del waiters[task]
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)
        return self.state

    def reply(self) -> R_co:
        """What `receive` returned, or raise what it raised; `ForeignFailure` from it where that was
        no `Exception`.

        Raises `DeliveryCancelled` or `ActorStopped` where it did not come to that, and
        `DeliveryPending` before the end.
        """
        if self.state is DONE:
            return cast("R_co", self._reply)
        if not self.ended:
            raise DeliveryPending("the delivery has not ended: await delivery.wait() first")
        try:
            raise self._reply
        finally:
            del self  # it holds the error, whose traceback holds this frame

    async def ask(self) -> R_co:
        """Wait for the reply as its only owner: when the waiting is cancelled, so is the delivery.

        It comes back only when the delivery has ended, however that may be. `ActorError` if
        another task owns it already.
        """
        require_trio()
        try:
            if self.ended:
                await checkpoint()
                return self.reply()
            self._carrier.refuse_itself()
            if self._asker is not None:
                raise ActorError("the delivery is asked for by another task: use `wait`")
            return await self.wait_for_reply()
        finally:
            del self  # as `reply` does

    async def wait_for_reply(self) -> R_co:
        """`ask`, for whoever has just sent it, from another task than the actor's."""
        require_trio()
        try:
            self._asker = current_task()
            await wait_task_rescheduled(self._abort_ask)
            if self.state is DONE:
                return cast("R_co", self._reply)
            if self.state is CANCELLED and self._raise_cancel is not None:
                self._raise_cancel()  # the asker was cancelled, and its delivery with it
            return self.reply()
        finally:
            del self

    def settle(self, state: DeliveryState, reply: Any) -> None:
        """Reach a final state, and wake who waits. `reply` is an exception unless it is done."""
        self.state = state
        self._reply = reply
        asker = self._asker
        if asker is not None:
            self._asker = None
            reschedule(asker)
        if self._waiters:
            for task in self._waiters:
                reschedule(task)
            self._waiters = None

    def settle_cancelled(self) -> None:
        """Reach the state that `cancel` asks for."""
        self.settle(CANCELLED, DeliveryCancelled("the delivery was cancelled"))

    def _abort_ask(self, raise_cancel: RaiseCancelT) -> Abort:
        if self.state is QUEUED:
            self._asker = None
            self._carrier.cancel_delivery(self)
            return Abort.SUCCEEDED
        self._raise_cancel = raise_cancel
        self._carrier.cancel_delivery(self)
        return Abort.FAILED
