"""ActorRef: the only way to an actor from outside."""

from typing import Any

from trio.lowlevel import checkpoint, current_task

from wingman.actor.cell import Cell
from wingman.actor.delivery import Delivery
from wingman.actor.instruments import Termination
from wingman.under_trio import require_trio

__all__ = ["ActorRef"]


class ActorRef:
    """A reference to an actor. It may be passed around and kept; the actor may end before it does.

    Whatever one sends is refused with `ActorStopped` once the actor has ended.
    """

    __slots__ = ("_cell", "_mailbox")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._mailbox = cell.mailbox

    def __repr__(self) -> str:
        return f"<ActorRef {self.name}>"

    @property
    def name(self) -> str:
        """The actor's name, unique among the live ones of its system."""
        return self._cell.name

    @property
    def room(self) -> int:
        """How many more messages the mailbox takes now; 0 once the actor has ended."""
        return self._mailbox.room

    async def tell(self, message: Any) -> None:
        """Put a message into the mailbox, waiting for room. Nobody will say what came of it."""
        require_trio()
        if type(message) is Delivery:
            message = Delivery(message, self._cell)
        if self._mailbox.full:
            self._cell.refuse_itself()
        await self._mailbox.put(message)

    def tell_nowait(self, message: Any) -> None:
        """Put a message into the mailbox, or raise `MailboxFull`."""
        # A bare Delivery in a mailbox is one to settle: one that is sent as a message is wrapped.
        if type(message) is Delivery:
            message = Delivery(message, self._cell)
        self._mailbox.put_nowait(message)

    async def ask(self, message: Any) -> Any:
        """Send a message, wait for the reply, return it or raise what the actor raised.

        It is structured: when the asker is cancelled, so is the message, queued or in flight,
        and `ask` comes back only when that has ended. `ActorStopped` if the actor ends first.
        """
        require_trio()
        cell, mailbox = self._cell, self._mailbox
        cell.refuse_itself()
        delivery = Delivery(message, cell)
        try:
            if mailbox.full:
                await mailbox.wait_for_room(delivery)
                return await delivery.ask()
            mailbox.put_nowait(delivery)
            return await delivery.wait_for_reply()
        finally:
            del delivery  # it holds the error that it raises, whose traceback holds this frame

    def submit(self, message: Any) -> Delivery:
        """Send a message that outlives its sender: returns its handle, or raises `MailboxFull`."""
        delivery = Delivery(message, self._cell)
        self._mailbox.put_nowait(delivery)
        return delivery

    async def stop(self) -> None:
        """End the actor after its current message, and return when it has ended.

        What is left in the mailbox fails with `ActorStopped`. Called by the actor itself, it does
        not wait, and the actor ends after the message that it is processing.
        """
        require_trio()
        self._cell.request_stop()
        await self._wait_unless_itself()

    async def kill(self) -> None:
        """Cancel the current message, end the actor, and return when it has ended.

        An actor that kills itself is cancelled here.
        """
        require_trio()
        self._cell.request_kill()
        await self._wait_unless_itself()

    async def wait_stopped(self) -> Termination:
        """The death watch: wait until the actor has ended, and say why."""
        require_trio()
        self._cell.refuse_itself()
        return await self._cell.wait_stopped()

    async def _wait_unless_itself(self) -> None:
        if self._cell.task is current_task():
            await checkpoint()
        else:
            await self._cell.wait_stopped()
