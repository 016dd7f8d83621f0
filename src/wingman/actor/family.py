"""Family: the actors that one parent, or the system, has spawned."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import trio

from wingman.actor.errors import ActorStopped
from wingman.actor.instruments import ActorInfo
from wingman.actor.supervision import Strategy

if TYPE_CHECKING:
    from wingman.actor.cell import Cell
    from wingman.actor.system import ActorSystem

__all__ = ["Family"]

logger = logging.getLogger("wingman.actor")

# A child that is killed and shields itself is waited for so many seconds; then its parent ends
# before it. It is still the system's, which waits for it.
_LAST: Final = 5.0


class Family:
    """Those that have one parent, by their own names, in the order they were spawned.

    `parent` is None for the system's own. `closed` is whether the parent's life is over.
    """

    __slots__ = ("_emptied", "cells", "closed", "parent", "system")

    def __init__(self, system: "ActorSystem", parent: "Cell | None" = None) -> None:
        self.system = system
        self.parent = parent
        self.cells: dict[str, Cell] = {}
        self._emptied: trio.Event | None = None
        self.closed = False

    def add(self, cell: "Cell") -> None:
        """Take in a cell that is about to start.

        Raises `ValueError` if its name is taken, and `ActorStopped` if the parent's life is over.
        """
        if self.closed and self.parent is not None:
            raise ActorStopped(f"{self.parent.name!r} spawns no more: this life of it has ended")
        if cell.own_name in self.cells:
            raise ValueError(f"there is a live actor named {cell.name!r} already")
        self.cells[cell.own_name] = cell

    def forget(self, cell: "Cell") -> None:
        """A cell has ended."""
        del self.cells[cell.own_name]
        if not self.cells and self._emptied is not None:
            self._emptied.set()
            self._emptied = None

    def name_of(self, own_name: str) -> str:
        """A member's own name after those of its ancestors: "pipeline/parser"."""
        names = [own_name]
        parent = self.parent
        while parent is not None:
            names.append(parent.own_name)
            parent = parent.family.parent
        return "/".join(reversed(names))

    def refusal(self, own_name: str, how: str) -> ActorStopped:
        """What is raised to who sends to a member that takes nothing more.

        Its text is made when it is needed: the names in a deep tree are long.
        """
        return ActorStopped(f"the actor {self.name_of(own_name)!r} {how}")

    async def end(self) -> None:
        """Stop all, the youngest first; kill each that takes longer than its `stop_within`.

        When this is cancelled, all are killed. It returns when they have ended. Once is enough: who
        outlives that is not waited for again.
        """
        if self.closed:
            return
        self.closed = True
        began = trio.current_time()
        for cell in reversed(list(self.cells.values())):
            cell.request_stop()
        try:
            for seconds in sorted({cell.stop_within for cell in self.cells.values()}):
                with trio.move_on_at(began + seconds):
                    await self._empty()
                self._kill(cell for cell in self.cells.values() if cell.stop_within <= seconds)
        finally:
            self._kill(self.cells.values())
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _LAST):
                await self._empty()
            if self.cells and self.parent is not None:
                text = "actor %s ends before %d of its children, which do not let themselves cancel"
                logger.warning(text, self.parent.name, len(self.cells))

    async def _empty(self) -> None:
        while self.cells:
            if self._emptied is None:
                self._emptied = trio.Event()
            await self._emptied.wait()

    def _kill(self, cells: "Iterable[Cell]") -> None:
        for cell in list(cells):
            cell.request_kill()

    def taken_along(self, crashed: "Cell", strategy: Strategy) -> "list[Cell]":
        """Those that are restarted when one of them crashes, in the order they were spawned."""
        if strategy == "one_for_one":
            return [crashed]
        cells = list(self.cells.values())
        return cells if strategy == "one_for_all" else cells[cells.index(crashed) :]

    def snapshot(self) -> list[ActorInfo]:
        """What is to be seen of each, and of those below it."""
        found = list(self.cells.values())
        names = [cell.name for cell in found]
        for cell, name in zip(found, names, strict=False):  # they grow: recursion has no such depth
            for child in cell.children:
                found.append(child)
                names.append(f"{name}/{child.own_name}")
        below: dict[Cell | None, list[ActorInfo]] = {}
        for cell in reversed(found):
            info = cell.info(names.pop(), below.pop(cell, [])[::-1])
            below.setdefault(cell.family.parent, []).append(info)
        return below.get(self.parent, [])[::-1]
