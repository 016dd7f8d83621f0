"""ActorSystem: the nursery in which actors live."""

import contextvars
import itertools
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self

import trio

from wingman.actor.cell import Actor, Cell, check_factory
from wingman.actor.instruments import ActorInfo, Instrument, Instruments, Termination
from wingman.actor.ref import ActorRef
from wingman.actor.supervision import Restart, Supervision
from wingman.under_trio import require_trio

__all__ = ["ActorSystem"]


class ActorSystem:
    """An async context manager that owns actors, each a task of its own.

    When its block ends, every actor is stopped: each finishes its current message. When the block
    raises or is cancelled, they are cancelled, as the tasks of any nursery. Errors leave it as
    they leave a nursery, too: in a group.
    """

    def __init__(self, *, instruments: tuple[Instrument, ...] = ()) -> None:
        self.instruments = Instruments(instruments)
        self.dead_letters = 0
        self._cells: dict[str, Cell] = {}
        self._numbers = itertools.count(1)
        # The nursery is opened when this is entered: one can be made where no Trio runs yet.
        self._exit = AsyncExitStack()
        self._nursery: trio.Nursery | None = None

    async def __aenter__(self) -> Self:
        require_trio()
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

    def spawn(
        self,
        factory: Callable[[], Actor],
        *,
        name: str | None = None,
        mailbox: int = 100,
        supervision: Supervision | None = None,
        expected: tuple[type[Exception], ...] = (),
    ) -> ActorRef:
        """Start an actor, and return the reference to it; it may be sent to at once.

        `factory` makes the actor, now and at every restart. `mailbox` is how many messages may
        wait. `supervision` is `Restart()` unless said otherwise. Exceptions of the `expected`
        types are answers: they fail the delivery, and the actor goes on.

        Raises `TypeError` for what makes no actor, such as an actor that is made already.
        """
        check_factory(factory)
        if name is None:
            name = f"{getattr(factory, '__name__', 'actor')}-{next(self._numbers)}"
        cell = Cell(
            factory,
            name=name,
            capacity=mailbox,
            supervision=Restart() if supervision is None else supervision,
            expected=expected,
            owner=self,
        )
        return self.start(cell)

    def start(self, cell: Cell) -> ActorRef:
        """Start a cell's task. For directories, which make cells of their own."""
        if cell.name in self._cells:
            raise ValueError(f"there is a live actor named {cell.name!r} already")
        ref = cell.ref = ActorRef(cell)
        self.start_task(cell.run, name=cell.name)
        self._cells[cell.name] = cell
        return ref

    def start_task(self, function: Callable[[], Any], name: str) -> None:
        """Start a task that ends with the system, in a context of its own.

        An actor outlives who spawned it: it must not inherit that task's context variables
        (a request's, a span's).
        """
        contextvars.Context().run(partial(self._opened().start_soon, function, name=name))

    def snapshot(self) -> list[ActorInfo]:
        """Every live actor: name, state, mailbox, current message and its age, restarts."""
        return [cell.info() for cell in self._cells.values()]

    def cell_idle(self, cell: Cell) -> None:
        """Of no interest here; a directory counts the time from it."""

    def cell_ended(self, cell: Cell, termination: Termination, dead_letters: list[Any]) -> None:
        """Forget a cell; count and show what will never be processed."""
        del self._cells[cell.name]
        self.dead_letters += len(dead_letters)
        for message in dead_letters:
            self.instruments.notify("dead_letter", cell.ref, message, termination)
        self.instruments.notify("actor_stopped", cell.ref, termination)

    def _opened(self) -> trio.Nursery:
        if self._nursery is None:
            raise RuntimeError("the actor system is not open: use `async with ActorSystem()`")
        return self._nursery

    async def _stop_all(self) -> None:
        # An actor may spawn another while it ends, so this looks until there is none.
        while self._cells:
            cells = list(self._cells.values())
            for cell in cells:
                cell.request_stop()
            for cell in cells:
                await cell.wait_stopped()
        self._opened().cancel_scope.cancel()  # only the directories' sweepers are left
