"""Watches: an actor is told, by a message, that another has ended."""

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import attrs

from wingman.actor.instruments import Termination
from wingman.actor.queue import Notice

if TYPE_CHECKING:
    from wingman.actor.cell import Cell
    from wingman.actor.ref import ActorRef

__all__ = ["Stopped", "Watch"]


@attrs.frozen
class Stopped:
    """The message that a watch sends: the actor behind `ref` has ended, and `termination` says why.

    `ref` is the very reference that was watched.
    """

    ref: "ActorRef[Any, Any]"
    termination: Termination


class Watch:
    """One actor's interest in another's end. It sends one message, unless it is ended before."""

    __slots__ = ("_mine", "_ref", "_termination", "_watched", "_watcher")

    def __init__(
        self,
        watcher: "Cell",
        watched: "Cell",
        ref: "ActorRef[Any, Any]",
        mine: "MutableMapping[Cell, Watch]",
    ) -> None:
        self._watcher = watcher
        self._watched = watched
        self._ref = ref
        self._mine: MutableMapping[Cell, Watch] | None = mine  # of the same life; None: it is over
        self._termination: Termination | None = None
        mine[watched] = self
        if watched.termination is None:
            watched.add_watch(self)
        else:
            self.fire(watched.termination)

    def fire(self, termination: Termination) -> None:
        """Put the message into the watcher's mailbox."""
        self._termination = termination
        self._watcher.queue.put_notice(Notice(self))

    def take(self) -> Any:
        """The message, unless it is not wanted any more."""
        if self._mine is None or self._termination is None:
            return Notice.NOTHING
        self._forget()
        return Stopped(self._ref, self._termination)

    def end(self) -> None:
        """Send nothing, and take back what is sent and not processed yet."""
        if self._mine is not None:
            self._forget()
            self._watched.remove_watch(self)

    def _forget(self) -> None:
        if self._mine is not None:
            self._mine.pop(self._watched, None)
            self._mine = None
