"""Who a cell tells what becomes of it: its owner, and those who watch it."""

from typing import TYPE_CHECKING, Any, Protocol

from wingman.actor.instruments import Instruments, Termination

if TYPE_CHECKING:
    from wingman.actor.cell import Cell

__all__ = ["Owner", "Watcher"]


class Owner(Protocol):
    """What a cell tells those who keep it."""

    instruments: Instruments

    def cell_idle(self, cell: "Cell") -> None:
        """The cell has nothing to do."""

    def cell_ended(self, cell: "Cell", termination: Termination, dead_letters: list[Any]) -> None:
        """The cell has ended, and will take nothing more."""

    def cell_dropped(self, cell: "Cell", message: Any) -> None:
        """A message has given way in the cell's mailbox."""


class Watcher(Protocol):
    """What a cell tells those who wait for its end."""

    def fire(self, termination: Termination, /) -> None:
        """The cell has ended."""
