"""Context: what an actor has of the system: itself, its family, watches, timers, the stash."""

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import trio

from wingman.actor.errors import ActorError, ActorStopped, MailboxFull
from wingman.actor.family import Family
from wingman.actor.protocols import M_contra
from wingman.actor.spawner import Spawner
from wingman.actor.timers import Timer, check_seconds
from wingman.actor.topic import ActorSubscription, Overflow, Topic
from wingman.actor.watches import Stopped, Watch
from wingman.under_trio import require_trio

if TYPE_CHECKING:
    from wingman.actor.cell import Cell
    from wingman.actor.ref import ActorRef
    from wingman.actor.system import ActorSystem

__all__ = ["Context"]

T = TypeVar("T")


class Context(Spawner, Generic[M_contra]):
    """One life of an actor, as the actor sees it. A factory that has a parameter for it gets it:

        class Greeter:
            def __init__(self, context: Context[str]) -> None:
                self.context = context

    It is good for this life. What it has spawned, watched and set ends with the life, whether the
    actor stops, passivates or is restarted: first the children, then the actor's own `__aexit__`.
    `M_contra` are the messages that the actor takes; `watch` needs `Stopped` among them.
    """

    __slots__ = ("_cell", "_family", "_over", "_sources", "_watches")

    def __init__(self, cell: "Cell") -> None:
        self._cell = cell
        self._over = False
        self._family: Family | None = None
        self._sources: set[Timer | ActorSubscription[Any]] = set()
        self._watches: dict[Cell, Watch] = {}

    def __repr__(self) -> str:
        return f"<Context of {self._cell.name}>"

    # --- who is who ----------------------------------------------------------------------------

    @property
    def ref(self) -> "ActorRef[M_contra, Any]":
        """The actor itself, as others see it."""
        return cast("ActorRef[M_contra, Any]", self._of_this_life().ref)

    @property
    def parent(self) -> "ActorRef[Any, Any] | None":
        """Who has spawned it; None for what the system or a directory has."""
        parent = self._cell.family.parent
        return None if parent is None else parent.ref

    @property
    def children(self) -> "tuple[ActorRef[Any, Any], ...]":
        """What it has spawned in this life and is live, the oldest first."""
        return () if self._family is None else tuple(c.ref for c in self._family.cells.values())

    @property
    def system(self) -> "ActorSystem":
        """The system in which it lives."""
        return self._cell.family.system

    def stop(self) -> None:
        """End the actor after the current message."""
        self._of_this_life().request_stop()

    # --- watches -------------------------------------------------------------------------------

    def watch(self: "Context[Stopped]", ref: "ActorRef[Any, Any]") -> None:
        """Be sent `Stopped(ref, termination)` when that actor ends, exactly once.

        If it has ended already, the message comes at once. It comes after all that the other has
        sent before its end, and needs no room in the mailbox. A restart of this actor ends its
        watches; a restart of the other is no end. An actor that is watched already is not watched
        twice. Raises `ActorError` for the actor itself, and for one in another `trio.run`.
        """
        cell, watched = self._of_this_life(), ref.cell
        if watched is cell:
            raise ActorError(f"the actor {cell.name!r} cannot watch itself")
        if watched.family.system.token is not cell.family.system.token:
            raise ActorError(
                f"the actor {watched.name!r} lives in another trio.run: what happens there cannot "
                "be watched from here"
            )
        if watched not in self._watches:
            Watch(cell, watched, ref, self._watches)

    def unwatch(self, ref: "ActorRef[Any, Any]") -> None:
        """End a watch. Its message does not come any more, even if it waits in the mailbox."""
        watch = self._watches.get(ref.cell)
        if watch is not None:
            watch.end()

    # --- time ----------------------------------------------------------------------------------

    def after(self, seconds: float, message: M_contra) -> Timer:
        """Send a message to the actor itself in so many seconds; `cancel` the timer to be spared.

        It needs no room in the mailbox, and waits behind what is there.
        """
        check_seconds(seconds)
        return self._set(message, seconds, None)

    def every(self, seconds: float, message: M_contra) -> Timer:
        """Send a message to the actor itself every so many seconds, first after `seconds`.

        Never do two of its messages wait at once: while one does, those that are due are left out,
        and counted in the timer's `missed`. They are due at multiples of `seconds` from the start:
        one that comes late delays no other, so they do not drift.
        """
        check_seconds(seconds, least="more than 0")
        return self._set(message, seconds, seconds)

    def _set(self, message: Any, seconds: float, period: float | None) -> Timer:
        cell = self._of_this_life()
        timers = cell.family.system.timers
        due = trio.current_time() + seconds
        put = cell.queue.put_notice
        timer = Timer(message, due, period, put=put, mine=self._sources, timers=timers)
        timers.add(timer, due)
        return timer

    # --- topics --------------------------------------------------------------------------------

    def subscribe(
        self: "Context[T]",
        topic: Topic[T],
        *,
        capacity: int = 100,
        when_full: Overflow = "drop_oldest",
    ) -> ActorSubscription[T]:
        """Be sent what is published there, until the subscription is cancelled, or this life ends.

        At most `capacity` of its messages wait in the mailbox, and they need no room there.
        `when_full` says which gives way to one more: "drop_oldest" or "drop_newest". Those that did
        are counted in the subscription's `lost`.
        """
        put = self._of_this_life().queue.put_notice
        return ActorSubscription(topic, capacity, when_full, put=put, mine=self._sources)

    # --- the stash -----------------------------------------------------------------------------

    def stash(self) -> None:
        """Put the current message aside: once `receive` returns, it counts as not processed.

        For an actor that is not ready: `unstash` puts all of them back in front of the mailbox, in
        their order; so does the end of this life. If `receive` raises, the message is not put
        aside. Raises `MailboxFull` when as many are put aside as the mailbox has room for, and
        `ActorError` while no message is processed. An actor with messages put aside does not
        passivate.
        """
        cell = self._of_this_life()
        if cell.queue.stash_full:
            raise MailboxFull(f"{cell.name!r} has put as many messages aside as its mailbox holds")
        cell.stash_current()

    def unstash(self) -> None:
        """Put the messages that were put aside back in front of the mailbox, in their order."""
        self._of_this_life().queue.unstash()

    # --- the end -------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the life is over. For the cell."""
        return self._over

    async def close(self) -> None:
        """The life is over: end the timers, the watches and the children. For the cell."""
        require_trio()
        self._over = True
        for source in list(self._sources):
            source.cancel()
        for watch in list(self._watches.values()):
            watch.end()
        self._cell.queue.forget_notices()
        self._cell.queue.unstash()
        if self._family is not None:
            await self._family.end()

    def _of_this_life(self) -> "Cell":
        if self._over:
            raise ActorStopped(
                f"this context is of a life of the actor {self._cell.name!r} that has ended: "
                "use the one that the newest factory call was given"
            )
        return self._cell

    @property
    def family(self) -> Family:
        """Those that it has spawned. For pools."""
        return self._own_family()

    def _own_family(self) -> Family:
        if self._family is None:
            cell = self._of_this_life()
            self._family = Family(cell.family.system, cell)
        return self._family

    @property
    def cells(self) -> "tuple[Cell, ...]":
        """The children's cells. For the snapshot."""
        return () if self._family is None else tuple(self._family.cells.values())
