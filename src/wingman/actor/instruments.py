"""Instruments: watch an actor system without touching it. Modelled on `trio.abc.Instrument`."""

import logging
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
from trio.lowlevel import enable_ki_protection

from wingman.foreign import copy_of, log_failure, reason, shown

if TYPE_CHECKING:
    from wingman.actor.ref import ActorRef

__all__ = ["ActorInfo", "ActorState", "Instrument", "Termination"]

logger = logging.getLogger("wingman.actor")

ActorState: TypeAlias = Literal["starting", "idle", "processing", "restarting", "stopping"]


def _value(error: BaseException | None) -> tuple[type[Any], tuple[Any, ...]] | None:
    return None if error is None else (type(error), error.args)


@attrs.frozen
class Termination:
    """Why an actor ended. `error` is what it raised, where it crashed.

    Where that is kept it is a copy without the traceback, which would hold the actor's last life in
    memory. Two are equal if their errors have the same class and arguments.
    """

    cause: Literal["stopped", "killed", "crashed", "passivated"]
    error: BaseException | None = attrs.field(default=None, eq=_value, hash=False)

    def copy(self) -> "Termination":
        """One to be kept: the traceback of an error holds the frames of the actor's last life."""
        return Termination(self.cause, None if self.error is None else copy_of(self.error))

    def __str__(self) -> str:
        if self.error is None:
            return self.cause
        return f"{self.cause}: {reason(self.error)}"


@attrs.frozen
class ActorInfo:
    """One live actor, at one moment. `processing_for` is the current message's age in seconds.

    `name` begins with the names of its ancestors; `children` are those of its present life.
    """

    name: str
    state: ActorState
    mailbox: int
    processing: Any
    processing_for: float | None
    handled: int
    restarts: int
    children: "tuple[ActorInfo, ...]" = ()


class Instrument:
    """Subclass it, override what is of interest, pass it to the `ActorSystem`.

    The hooks are called synchronously, in the actors' tasks: they must be quick. One that raises
    is logged, and its instrument removed.
    """

    def actor_started(self, ref: "ActorRef") -> None:
        """An actor is about to begin its first life."""

    def actor_restarting(self, ref: "ActorRef", error: BaseException, delay: float) -> None:
        """An actor has crashed, and will begin again in `delay` seconds."""

    def actor_stopped(self, ref: "ActorRef", termination: Termination) -> None:
        """An actor has ended."""

    def message_started(self, ref: "ActorRef", message: Any) -> None:
        """An actor begins to process a message."""

    def message_ended(self, ref: "ActorRef", message: Any, error: BaseException | None) -> None:
        """An actor is done with a message, well or with an error."""

    def dead_letter(self, ref: "ActorRef", message: Any, termination: Termination) -> None:
        """A message was accepted and will never be processed: its actor ended first."""

    def message_dropped(self, ref: "ActorRef", message: Any) -> None:
        """A message was accepted and will never be processed: it gave way in a full mailbox.

        It counts among the dead letters.
        """


class Instruments:
    """The instruments of one system. `watches_messages` keeps the hot path free of idle calls."""

    __slots__ = ("_all", "watches_messages")

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._all = list(instruments)
        self._look()

    @enable_ki_protection
    def notify(self, hook: str, *args: Any) -> None:
        """Call one hook of every instrument; drop those that raise.

        Nothing is raised out of it, as a cell must be able to end whoever watches: Ctrl-C waits.
        """
        for instrument in tuple(self._all):
            try:
                getattr(instrument, hook)(*args)
            # Without a checkpoint there is no real cancellation, so none is swallowed.
            except BaseException as error:  # noqa: ASYNC103
                text, name = "instrument %s raised in %s and is removed", shown(instrument)
                log_failure(logger, logging.ERROR, error, text, name, hook)
                self._all = [other for other in self._all if other is not instrument]
                self._look()

    def _look(self) -> None:
        self.watches_messages = any(
            type(i).message_started is not Instrument.message_started
            or type(i).message_ended is not Instrument.message_ended
            for i in self._all
        )
