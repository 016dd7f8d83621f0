"""ActorRef: the only way to an actor from outside."""

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from trio.lowlevel import checkpoint, current_task

from wingman.actor.delivery import Delivery
from wingman.actor.instruments import Termination
from wingman.actor.protocols import Asked, M_contra, R_co, with_defaults
from wingman.actor.queue import Queue
from wingman.actor.threads import FromThread
from wingman.under_trio import require_trio

if TYPE_CHECKING:
    from wingman.actor.cell import Cell

__all__ = ["ActorRef"]

X = TypeVar("X")


class ActorRef(Generic[M_contra, R_co]):
    """A reference to an actor. It may be passed around and kept; the actor may end before it does.

    Whatever one sends is refused with `ActorStopped` once the actor has ended.

    `M_contra` are the messages that the actor takes, `R_co` what its `receive` returns: `spawn`
    infers both. In annotations `ActorRef[Order]` is enough. The reply to a `Request[R]` is an `R`.
    """

    __slots__ = ("_mailbox", "cell")

    if not TYPE_CHECKING:
        __class_getitem__ = with_defaults(2)

    def __init__(self, cell: "Cell", mailbox: Queue) -> None:
        self.cell = cell
        self._mailbox = mailbox

    def __repr__(self) -> str:
        return f"<ActorRef {self.name}>"

    @property
    def name(self) -> str:
        """The actor's name, unique among the live ones of its system."""
        return self.cell.name

    @property
    def room(self) -> int:
        """How many more messages the mailbox takes now; 0 once the actor has ended."""
        return self._mailbox.room

    async def tell(self, message: M_contra) -> None:
        """Put a message into the mailbox, waiting for room. Nobody will say what came of it."""
        require_trio()
        item = self._item_of(message)
        if self._mailbox.full and self._mailbox.must_wait(item):
            self.cell.refuse_itself()
        await self._mailbox.put(item)

    def tell_nowait(self, message: M_contra) -> None:
        """Put a message into the mailbox, or raise `MailboxFull`."""
        self._mailbox.put_nowait(self._item_of(message))

    @overload
    async def ask(self, message: Asked[M_contra, X]) -> X: ...

    @overload
    async def ask(self, message: M_contra) -> R_co: ...

    async def ask(self, message: Any) -> Any:
        """Send a message, wait for the reply, return it or raise what the actor raised.

        It is structured: when the asker is cancelled, so is the message, queued or in flight,
        and `ask` comes back only when that has ended. `ActorStopped` if the actor ends first.
        """
        require_trio()
        cell, mailbox = self.cell, self._mailbox
        cell.refuse_itself()
        delivery: Delivery[Any] = Delivery(message, cell)
        try:
            if mailbox.full and mailbox.must_wait(delivery):
                await mailbox.wait_for_room(delivery)
                return await delivery.ask()
            mailbox.put_nowait(delivery)
            return await delivery.wait_for_reply()
        finally:
            del delivery  # it holds the error that it raises, whose traceback holds this frame

    @overload
    def submit(self, message: Asked[M_contra, X]) -> Delivery[X]: ...

    @overload
    def submit(self, message: M_contra) -> Delivery[R_co]: ...

    def submit(self, message: Any) -> Delivery[Any]:
        """Send a message that outlives its sender: returns its handle, or raises `MailboxFull`."""
        delivery: Delivery[Any] = Delivery(message, self.cell)
        self._mailbox.put_nowait(delivery)
        return delivery

    async def stop(self) -> None:
        """End the actor after its current message, and return when it has ended.

        One that is being entered is entered first: `start_within` bounds that, and `kill` does not
        wait for it. A child that stops its own parent waits until it is cancelled itself.
        What is left in the mailbox fails with `ActorStopped`. Called by the actor itself, it does
        not wait, and the actor ends after the message that it is processing.
        """
        require_trio()
        self.cell.request_stop()
        await self._wait_unless_itself()

    async def kill(self) -> None:
        """Cancel the current message, end the actor, and return when it has ended.

        An actor that kills itself is cancelled here.
        """
        require_trio()
        self.cell.request_kill()
        await self._wait_unless_itself()

    async def wait_stopped(self) -> Termination:
        """The death watch: wait until the actor has ended, and say why."""
        require_trio()
        self.cell.refuse_itself()
        return await self.cell.wait_stopped()

    @property
    def from_thread(self) -> FromThread[M_contra, R_co]:
        """The way to the actor from a thread in which no Trio runs."""
        return FromThread(self, self.cell.family.system.token)

    def _item_of(self, message: Any) -> Any:
        # A bare Delivery in a mailbox is one to settle: one that is sent as a message is wrapped.
        # A notice has a meaning of its own, too, and nobody outside has one.
        return Delivery(message, self.cell) if type(message) is Delivery else message

    async def _wait_unless_itself(self) -> None:
        if self.cell.task is current_task():
            await checkpoint()
        else:
            await self.cell.wait_stopped()
