"""Directory: actors by key, live only while they are needed.

The first message to a key activates its actor; an actor that has been idle for a while is
passivated, and costs nothing until the next message. The entry outlives the actor object and owns
the mailbox: what arrives while an actor passivates waits there for the next life.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from wingman.actor.cell import Cell
from wingman.actor.context import Context
from wingman.actor.errors import ActorStopped
from wingman.actor.factories import wants_context
from wingman.actor.instruments import Instruments, Termination
from wingman.actor.mailbox import Mailbox, mailbox_of
from wingman.actor.protocols import Actor, M_contra, R_co, with_defaults
from wingman.actor.ref import ActorRef
from wingman.actor.spawner import check_policy
from wingman.actor.supervision import Restart, Supervision
from wingman.actor.system import ActorSystem
from wingman.foreign import ForeignFailure, contained, log_failure, reason, shown

__all__ = ["Directory", "Quarantine"]

logger = logging.getLogger("wingman.actor")

K = TypeVar("K")


@attrs.frozen
class Quarantine:
    """A key whose actor crashed too often: refused until `until`, on the system's clock."""

    until: float
    termination: Termination


class Directory(Generic[K, M_contra, R_co]):
    """Actors by key, within one `ActorSystem`.

    `factory(key)` makes the actor of a key; one that needs a second argument gets the actor's
    `Context`. After `idle_after` seconds without a message an actor
    is passivated (None: never), if `may_passivate(actor)` agrees; it is asked again later if not.
    One that crashes more often than its supervision allows is quarantined: for `quarantine`
    seconds whatever is sent to it is refused with `ActorStopped` and the reason; then the next
    message tries anew. `name(key)` names the actors, uniquely in the system. `on_ended` hears of
    each end. It and `may_passivate` are called synchronously. What they raise is logged and harms
    nobody: an actor whose `may_passivate` raises stays, and is asked again later. What `name`
    raises is raised to who asked for the reference, as a `ForeignFailure` where it is no
    `Exception`.
    """

    if not TYPE_CHECKING:
        __class_getitem__ = with_defaults(3)

    def __init__(
        self,
        system: ActorSystem,
        factory: Callable[[K], Actor[M_contra, R_co]]
        | Callable[[K, Context[M_contra]], Actor[M_contra, R_co]],
        *,
        idle_after: float | None = None,
        may_passivate: Callable[[Any], bool] | None = None,
        on_ended: Callable[[K, Termination], None] | None = None,
        mailbox: int | Mailbox = 100,
        supervision: Supervision | None = None,
        expected: tuple[type[Exception], ...] = (),
        quarantine: float = 60.0,
        name: Callable[[K], str] = str,
    ) -> None:
        needs_context = wants_context(factory, "the key")
        check_policy(supervision, expected)
        if idle_after is not None and idle_after <= 0:
            raise ValueError(f"idle_after is a time in seconds, not {idle_after}")
        self.instruments: Instruments = system.instruments
        self.idle_after = idle_after
        self._system = system
        self._factory = factory
        self._may_passivate = may_passivate
        self._on_ended = on_ended
        self._mailbox = mailbox_of(mailbox)
        self._wants_context = needs_context
        self._supervision = Restart() if supervision is None else supervision
        self._expected = expected
        self._quarantine = quarantine
        self._name = name
        self._cells: dict[K, Cell] = {}
        self._idle: OrderedDict[Cell, float] = OrderedDict()
        self._quarantined: dict[K, Quarantine] = {}
        if idle_after is not None:
            system.start_task(partial(self._sweep, idle_after), name="directory sweeper")

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[K]:
        return iter(list(self._cells))

    def __contains__(self, key: K) -> bool:
        return key in self._cells

    def ref(self, key: K) -> ActorRef[M_contra, R_co]:
        """The reference to this key's actor, which is activated if it is not live.

        Use it at once, and ask again the next time: it is good only until the actor passivates.
        Without a checkpoint between `ref` and `submit`, no message is ever refused for that.
        Raises `ActorStopped` while the key is quarantined.
        """
        ref = self.find(key)
        if ref is not None:
            return ref
        name = self._name_of(key)
        self._check_quarantine(key, name)
        cell = Cell(
            partial(self._factory, key),
            name=name,
            family=self._system.family,
            mailbox=self._mailbox,
            wants_context=self._wants_context,
            supervision=self._supervision,
            expected=self._expected,
            owner=self,
            key=key,
        )
        ref = self._system.start(cell)
        self._cells[key] = cell
        return ref

    def find(self, key: K) -> ActorRef[M_contra, R_co] | None:
        """The reference to this key's actor if it is live; activates nothing."""
        cell = self._cells.get(key)
        return None if cell is None else cell.ref

    def quarantined(self) -> dict[K, Quarantine]:
        """The keys that are refused now, and why."""
        self._end_quarantines()
        return dict(self._quarantined)

    def release(self, key: K) -> None:
        """End a key's quarantine."""
        self._quarantined.pop(key, None)

    def _check_quarantine(self, key: K, name: str) -> None:
        self._end_quarantines()
        quarantine = self._quarantined.get(key)
        if quarantine is not None:
            remaining = quarantine.until - trio.current_time()
            raise ActorStopped(
                f"{name!r} is quarantined for another {remaining:.0f} s: "
                f"it {quarantine.termination}"
            )

    def _end_quarantines(self) -> None:
        # All last equally long, so the first in the dict is always the first to end.
        now = trio.current_time()
        while self._quarantined:
            key, quarantine = next(iter(self._quarantined.items()))
            if quarantine.until > now:
                break
            del self._quarantined[key]

    # --- what the cells tell -------------------------------------------------------------------

    def cell_idle(self, cell: Cell) -> None:
        """Count its idle time from now."""
        if self.idle_after is not None:
            self._idle[cell] = trio.current_time()
            self._idle.move_to_end(cell)

    def cell_ended(self, cell: Cell, termination: Termination, dead_letters: list[Any]) -> None:
        """Forget the entry; without a checkpoint since the mailbox was seen to be empty."""
        key = cell.key
        del self._cells[key]
        self._idle.pop(cell, None)
        if termination.cause == "crashed":
            self._end_quarantines()
            until = trio.current_time() + self._quarantine
            self._quarantined[key] = Quarantine(until, _in_words(termination))
        self._system.cell_ended(cell, termination, dead_letters)
        self._say_ended(key, termination)

    def cell_dropped(self, cell: Cell, message: Any) -> None:
        """Of interest to the system alone."""
        self._system.cell_dropped(cell, message)

    async def _sweep(self, idle_after: float) -> None:
        """Passivate what has been idle for long enough; one task for all, oldest first."""
        while True:
            oldest = next(iter(self._idle.values()), trio.current_time())
            await trio.sleep_until(oldest + idle_after)
            now = trio.current_time()
            for cell in self._due(now):
                del self._idle[cell]
                if not cell.idle and not cell.queue.stashed:
                    continue  # it is counted again when it is
                # What is put aside may be cancelled while the actor sleeps: it is looked at again.
                if cell.idle and self._agrees(cell):
                    cell.request_passivation()
                else:
                    self._idle[cell] = now

    # --- the hooks: each is called without a checkpoint, and Ctrl-C waits until it returns --------

    def _name_of(self, key: K) -> str:
        try:
            return self._name(key)
        except BaseException as error:
            raise contained(error) from error  # noqa: ASYNC104

    @enable_ki_protection
    def _agrees(self, cell: Cell) -> bool:
        """Whether an actor may be passivated; not now, if that cannot be said."""
        if self._may_passivate is None:
            return True
        try:
            return bool(self._may_passivate(cell.actor))
        except BaseException as error:  # noqa: ASYNC103
            log_failure(logger, logging.ERROR, error, "may_passivate raised for %s", cell.name)
        return False

    @enable_ki_protection
    def _say_ended(self, key: K, termination: Termination) -> None:
        if self._on_ended is None:
            return
        try:
            self._on_ended(key, termination)
        except BaseException as error:  # noqa: ASYNC103
            log_failure(logger, logging.ERROR, error, "on_ended raised for %s", shown(key))

    def _due(self, now: float) -> list[Cell]:
        idle_after = cast("float", self.idle_after)
        overdue = takewhile(lambda entry: entry[1] + idle_after <= now, self._idle.items())
        return [cell for cell, _ in overdue]


def _in_words(termination: Termination) -> Termination:
    """The same, without the traceback of the error: its frames hold the actor and its state."""
    error = termination.error
    words = None if error is None else ForeignFailure(reason(error))
    return Termination(termination.cause, words)
