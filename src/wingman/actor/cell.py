"""Cell: the one task behind an actor, through all of its lives.

The cell owns what outlives the actor object: the mailbox, the name, the record of restarts. It
makes the actor, lets a worker feed it, and decides what follows when it crashes.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Protocol, cast

import trio
from trio.lowlevel import Task, checkpoint, current_task

from wingman.actor.delivery import CANCELLED, FAILED, Delivery
from wingman.actor.errors import ActorError, ActorStopped
from wingman.actor.instruments import ActorInfo, ActorState, Instruments, Termination
from wingman.actor.mailbox import Mailbox
from wingman.actor.supervision import Escalate, Restart, RestartHistory, Supervision
from wingman.actor.worker import Worker, plain
from wingman.foreign import let_on, log_failure, shown, split

__all__ = ["Actor", "Cell", "check_factory"]

logger = logging.getLogger("wingman.actor")

_NO_CONTEXT: AbstractAsyncContextManager[Any] = nullcontext()


class Actor(Protocol):
    """Any object with an async `receive`. If it is an async context manager, so much the better."""

    async def receive(self, message: Any, /) -> Any:
        """Process one message; what it returns is the reply."""


def check_factory(factory: object, argument: str = "") -> None:
    """Raise `TypeError` for what cannot make an actor; the text says what to give in its place.

    `argument` says in words what the factory is called with, if with anything.
    """
    if not callable(factory):
        name = type(factory).__name__
        given = "an actor" if hasattr(factory, "receive") else "an object"
        raise TypeError(
            f"{shown(factory)} is {given} that is made already, and a new one is needed at every "
            f"restart: give a factory, such as the class {name} itself, or a function that makes "
            f"one{f' for {argument}' if argument else ''}"
        )
    if iscoroutinefunction(factory):
        raise TypeError(
            f"{shown(factory)} is async, and the factory of an actor is not: let it make the "
            "object alone, and await in the object's __aenter__"
        )
    if isinstance(factory, type):
        _check_actor(factory, factory.__name__)


def _check_actor(actor: object, name: str) -> None:
    if not callable(getattr(actor, "receive", None)):
        raise TypeError(f"{name} is no actor: it needs `async def receive(self, message)`")


class Owner(Protocol):
    """What a cell tells those who keep it."""

    instruments: Instruments

    def cell_idle(self, cell: "Cell") -> None:
        """The cell has nothing to do."""

    def cell_ended(self, cell: "Cell", termination: Termination, dead_letters: list[Any]) -> None:
        """The cell has ended, and will take nothing more."""


class Cell:
    """One actor's task, mailbox and restarts.

    Everything here runs in one thread, between checkpoints.
    """

    __slots__ = (
        "_factory",
        "_kill_scope",
        "_owner",
        "_pause",
        "_restart_history",
        "_state",
        "_stopped",
        "_supervision",
        "_worker",
        "actor",
        "instruments",
        "key",
        "mailbox",
        "name",
        "ref",
        "restarts",
        "task",
        "termination",
    )

    def __init__(
        self,
        factory: Callable[[], Actor],
        *,
        name: str,
        capacity: int,
        supervision: Supervision,
        expected: tuple[type[Exception], ...],
        owner: Owner,
        key: Any = None,
    ) -> None:
        self.name = name
        self.key = key
        self.instruments = owner.instruments
        self.mailbox = Mailbox(capacity)
        self.actor: Actor | None = None
        self.restarts = 0
        self.task: Task | None = None
        self.termination: Termination | None = None
        self.ref: Any = None
        self._owner = owner
        self._factory = factory
        self._supervision = supervision
        self._state: ActorState = "starting"
        self._worker = Worker(self, self.mailbox, expected)
        self._kill_scope = trio.CancelScope()
        self._pause: trio.CancelScope | None = None
        self._stopped: trio.Event | None = None
        self._restart_history: RestartHistory | None = None

    # --- what others ask of it -----------------------------------------------------------------

    def request_stop(self) -> None:
        """End after the current message, if any."""
        self._worker.stopping = True
        if self._pause is not None:
            self._pause.cancel()
        self.mailbox.wake()

    def request_kill(self) -> None:
        """End now: the current message is cancelled."""
        self._worker.stopping = True
        self._kill_scope.cancel()

    def request_passivation(self) -> None:
        """End if there is still nothing to do."""
        if self.idle:
            self._worker.passivating = True
            self.mailbox.wake()

    @property
    def idle(self) -> bool:
        """Whether the actor lives, and waits for a message."""
        return self.mailbox.awaited

    async def wait_stopped(self) -> Termination:
        """Wait for the task's end, and say why it ended."""
        await checkpoint()
        if self.termination is None:
            if self._stopped is None:
                self._stopped = trio.Event()
            await self._stopped.wait()
        return cast("Termination", self.termination)

    def cancel_delivery(self, delivery: Delivery) -> None:
        """Cancel one delivery to this actor, queued or in flight."""
        self._worker.cancel(delivery)

    def refuse_itself(self) -> None:
        """Raise `ActorError` in the actor's own task, which would wait for itself for ever."""
        if self.task is current_task():
            raise ActorError(f"the actor {self.name!r} would wait for itself for ever")

    def info(self) -> ActorInfo:
        """The cell as the snapshot shows it."""
        worker = self._worker
        state = self._state
        if worker.stopping or worker.passivating:
            state = "stopping"
        elif worker.busy:
            state = "processing"
        return ActorInfo(
            name=self.name,
            state=state,
            mailbox=len(self.mailbox),
            processing=plain(worker.current) if worker.busy else None,
            processing_for=worker.busy_for if worker.busy else None,
            handled=worker.handled,
            restarts=self.restarts,
        )

    def went_idle(self) -> None:
        """The worker has nothing more to do."""
        self._owner.cell_idle(self)

    # --- the task ------------------------------------------------------------------------------

    async def run(self) -> None:
        """All lives of the actor, one after the other, and the end."""
        self.task = current_task()
        termination = Termination("killed")
        try:
            self.instruments.notify("actor_started", self.ref)
            with self._kill_scope:
                termination = await self._live()
        except BaseException as error:  # noqa: ASYNC103 - raised by `_let_on`
            # What it needs stands in functions: every actor's frame has room for its variables.
            termination = self._torn(error) or termination
            _let_on(error)
        finally:
            self._end(termination)
        if termination.error is not None and isinstance(self._supervision, Escalate):
            raise termination.error

    def _torn(self, error: BaseException) -> Termination | None:
        """The end by what the actor raised while it was being cancelled, if it raised anything."""
        failure = split(error)[1]
        if failure is None:
            return None
        text = "actor %s raised while it was being cancelled"
        log_failure(logger, logging.ERROR, failure, text, self.name)
        self._worker.settle_current(FAILED, failure)
        return Termination("crashed", failure)

    async def _live(self) -> Termination:
        worker = self._worker
        while not worker.stopping:
            crash = await self._life()
            if crash is not None:
                delay = self._delay_of_restart()
                if delay is None:
                    return Termination("crashed", crash)
                await self._back_off(crash, delay)
                del crash  # its traceback would keep the old actor alive
            elif worker.passivating and not worker.stopping and not self.mailbox.items:
                # No checkpoint from here to `_end`: what arrives before it gets a next life.
                return Termination("passivated")
        return Termination("killed" if self._kill_scope.cancel_called else "stopped")

    async def _life(self) -> Exception | None:
        """Make the actor, enter it, serve, exit it; return the exception that ended it, if any."""
        worker = self._worker
        worker.begin_life()
        self._state = "starting"
        try:
            actor: Any = self._factory()
            _check_actor(actor, type(actor).__name__)
            async with actor if hasattr(actor, "__aexit__") else _NO_CONTEXT:
                self.actor = actor
                self._state = "idle"
                await worker.serve(actor.receive)
            if worker.crash is None and not (worker.stopping or worker.passivating):
                raise ActorError("the actor was cancelled from within its own context")
        except BaseException as error:  # noqa: ASYNC103
            if not worker.keep_crash(error):
                raise
        finally:
            self.actor = None
            if worker.crash is not None:
                log_failure(logger, logging.ERROR, worker.crash, "actor %s crashed", self.name)
        worker.settle_current(CANCELLED if worker.crash is None else FAILED, worker.crash)
        return worker.crash

    def _delay_of_restart(self) -> float | None:
        """How long to wait before the next life; None if there is to be none."""
        if self._worker.stopping or not isinstance(self._supervision, Restart):
            return None
        if self._restart_history is None:
            self._restart_history = RestartHistory(self._supervision)
        return self._restart_history.next_delay(trio.current_time())

    async def _back_off(self, crash: Exception, delay: float) -> None:
        self.restarts += 1
        self._state = "restarting"
        logger.warning("actor %s begins again in %.1f s", self.name, delay)
        self.instruments.notify("actor_restarting", self.ref, crash, delay)
        with trio.move_on_after(delay) as self._pause:
            await trio.sleep_forever()
        self._pause = None

    def _end(self, termination: Termination) -> None:
        """The last thing the task does; without a checkpoint."""
        self.task = None
        self.termination = termination.copy()
        refusal = partial(ActorStopped, f"the actor {self.name!r} has ended ({termination})")
        dead_letters = self._worker.abandon(refusal)
        if self._stopped is not None:
            self._stopped.set()
        self._owner.cell_ended(self, termination, dead_letters)
        self.ref = None  # it holds the cell: so does the worker, which is retired
        self._worker.retire()


def _let_on(error: BaseException) -> None:
    """Raise what of `error` is Trio's own, if anything is."""
    passing = split(error)[0]
    try:
        if passing is not None:
            let_on(passing)
    finally:
        del passing, error  # as `let_on` does
