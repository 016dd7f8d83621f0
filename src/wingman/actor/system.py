"""ActorSystem: the nursery in which actors live."""

import contextvars
import itertools
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

import trio

from wingman.actor.cell import Cell
from wingman.actor.context import Context
from wingman.actor.family import Family
from wingman.actor.group import Group
from wingman.actor.instruments import ActorInfo, Instrument, Instruments, Termination
from wingman.actor.ref import ActorRef
from wingman.actor.spawner import Spawner
from wingman.actor.timers import Timers
from wingman.under_trio import require_trio

__all__ = ["ActorSystem"]


_NOT_OPEN = "the actor system is not open: use `async with ActorSystem()`"


class ActorSystem(Spawner):
    """An async context manager that owns actors, each a task of its own.

    When its block ends, every actor is stopped: each finishes its current message. When the block
    raises or is cancelled, they are cancelled, as the tasks of any nursery. Errors leave it as
    they leave a nursery, too: in a group.
    """

    def __init__(self, *, instruments: tuple[Instrument, ...] = ()) -> None:
        self.instruments = Instruments(instruments)
        self.dead_letters = 0
        self.family = Family(self)
        self._timers: Timers | None = None
        self._groups: WeakValueDictionary[str, Group[Any, Any]] = WeakValueDictionary()
        self._token: trio.lowlevel.TrioToken | None = None
        self._numbers = itertools.count(1)
        # The nursery is opened when this is entered: one can be made where no Trio runs yet.
        self._exit = AsyncExitStack()
        self._nursery: trio.Nursery | None = None

    async def __aenter__(self) -> Self:
        require_trio()
        self._token = trio.lowlevel.current_trio_token()
        self._nursery = await self._exit.enter_async_context(trio.open_nursery())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        nursery = self._opened()
        if value is None:
            nursery.start_soon(self._stop_all)
        try:
            # Not shielded: it is the nursery's to be cancelled.
            return await self._exit.__aexit__(kind, value, traceback)  # noqa: ASYNC102
        finally:
            self._nursery = None

    def start(self, cell: Cell) -> ActorRef[Any, Any]:
        """Start a cell's task. For those who make cells: spawners and directories."""
        self._opened()  # before the family has it
        cell.family.add(cell)
        cell.ref = ref = cell.make_ref()
        self.start_task(cell.run, cell.own_name)
        return ref

    @property
    def token(self) -> trio.lowlevel.TrioToken:
        """The run of Trio in which it was opened."""
        if self._token is None:
            raise RuntimeError(_NOT_OPEN)
        return self._token

    def context_of(self, cell: Cell) -> Context[Any]:
        """The context of a life that is about to begin. For cells."""
        return Context(cell)

    def next_number(self) -> int:
        """A number for the name of an actor that is given none."""
        return next(self._numbers)

    @property
    def timers(self) -> Timers:
        """The timers of all its actors."""
        if self._timers is None:
            self._timers = Timers()
            self.start_task(self._timers.run, name="timers")
        return self._timers

    def start_task(self, function: Callable[[], Any], name: str) -> None:
        """Start a task that ends with the system, in a context of its own.

        An actor outlives who spawned it: it must not inherit that task's context variables
        (a request's, a span's).
        """
        contextvars.Context().run(partial(self._opened().start_soon, function, name=name))

    def snapshot(self) -> list[ActorInfo]:
        """Every live actor: name, state, mailbox, current message and its age, restarts.

        A tree: the list holds those that have no parent, each with its `children`.
        """
        return self.family.snapshot()

    def group(self, name: str) -> Group[Any, Any]:
        """The group with this name. There is one while anybody holds it, or is in it."""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(name)
        return group

    def cell_idle(self, cell: Cell) -> None:
        """Of no interest here; a directory counts the time from it."""

    def cell_ended(self, cell: Cell, termination: Termination, dead_letters: list[Any]) -> None:
        """Forget a cell; count and show what will never be processed."""
        cell.family.forget(cell)
        self.dead_letters += len(dead_letters)
        for message in dead_letters:
            self.instruments.notify("dead_letter", cell.ref, message, termination)
        self.instruments.notify("actor_stopped", cell.ref, termination)

    def cell_dropped(self, cell: Cell, message: Any) -> None:
        """Count and show a message that gave way, since the mailbox was full."""
        self.dead_letters += 1
        self.instruments.notify("message_dropped", cell.ref, message)

    def _own_family(self) -> Family:
        return self.family

    def _opened(self) -> trio.Nursery:
        if self._nursery is None:
            raise RuntimeError(_NOT_OPEN)
        return self._nursery

    async def _stop_all(self) -> None:
        # An actor may spawn another while it ends, so this looks until there is none.
        while self.family.cells:
            cells = list(self.family.cells.values())
            for cell in cells:
                cell.request_stop()
            for cell in cells:
                await cell.wait_stopped()
        self._opened().cancel_scope.cancel()  # only sweepers and timers are left
