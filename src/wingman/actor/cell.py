"""Cell: the one task behind an actor, through all of its lives.

The cell owns what outlives the actor object: the mailbox, the name, the record of restarts. It
makes the actor, lets a worker feed it, and decides what follows when it crashes.
"""

import logging
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import trio
from trio.lowlevel import Task, checkpoint, current_task

from wingman.actor.delivery import CANCELLED, FAILED, Delivery
from wingman.actor.errors import ActorError, ActorStopped, MailboxFull, NotAnActor, Restarted
from wingman.actor.factories import receive_of
from wingman.actor.family import Family, Round
from wingman.actor.instruments import ActorInfo, ActorState, Instruments, Termination
from wingman.actor.mailbox import Mailbox
from wingman.actor.protocols import Actor
from wingman.actor.queue import Queue, plain
from wingman.actor.supervision import Escalate, Restart, RestartHistory, Supervision
from wingman.actor.worker import Worker
from wingman.foreign import copy_of, let_on, log_failure, split

if TYPE_CHECKING:
    from wingman.actor.context import Context
    from wingman.actor.watches import Watch

__all__ = ["Cell", "Owner"]

logger = logging.getLogger("wingman.actor")

_NO_CONTEXT: AbstractAsyncContextManager[Any] = nullcontext()


class Owner(Protocol):
    """What a cell tells those who keep it."""

    instruments: Instruments

    def cell_idle(self, cell: "Cell") -> None:
        """The cell has nothing to do."""

    def cell_ended(self, cell: "Cell", termination: Termination, dead_letters: list[Any]) -> None:
        """The cell has ended, and will take nothing more."""

    def cell_dropped(self, cell: "Cell", message: Any) -> None:
        """A message has given way in the cell's mailbox."""


class Cell:
    """One actor's task, mailbox and restarts.

    Everything here runs in one thread, between checkpoints.
    """

    __slots__ = (
        "_context",
        "_entering",
        "_factory",
        "_kill_scope",
        "_owner",
        "_pause",
        "_restart_history",
        "_round",
        "_start_within",
        "_state",
        "_stopped",
        "_supervision",
        "_wants_context",
        "_watches",
        "_worker",
        "actor",
        "family",
        "instruments",
        "key",
        "own_name",
        "queue",
        "ref",
        "restarts",
        "stop_within",
        "task",
        "termination",
    )

    def __init__(
        self,
        factory: Callable[..., Actor[Any, Any]],
        *,
        name: str,
        family: Family,
        mailbox: Mailbox,
        supervision: Supervision,
        expected: tuple[type[Exception], ...],
        wants_context: bool = False,
        stop_within: float = 5.0,
        start_within: float | None = None,
        owner: Owner | None = None,
        key: Any = None,
    ) -> None:
        self.own_name = name
        self.family = family
        self.key = key
        self.stop_within = stop_within
        self.actor: Actor[Any, Any] | None = None
        self.restarts = 0
        self.task: Task | None = None
        self.termination: Termination | None = None
        self.ref: Any = None
        self._owner: Owner = family.system if owner is None else owner
        self.instruments = self._owner.instruments
        self.queue = self._make_queue(mailbox)
        self._factory = factory
        self._wants_context = wants_context
        self._supervision = supervision
        self._start_within = start_within
        self._state: ActorState = "starting"
        self._worker = Worker(self, self.queue, expected)
        self._kill_scope = trio.CancelScope()
        self._pause: trio.CancelScope | None = None
        self._stopped: trio.Event | None = None
        self._restart_history: RestartHistory | None = None
        self._round: Round | None = None  # in which it waits, or is to end this life
        self._entering: Round | None = None  # in which it begins
        self._context: Context[Any] | None = None
        self._watches: dict[Watch, None] | None = None

    def _make_queue(self, mailbox: Mailbox) -> Queue:
        return Queue(mailbox, self._drop)

    # --- what others ask of it -----------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its own name after those of its ancestors: "pipeline/parser"."""
        parent = self.family.parent
        if parent is None:
            return self.own_name
        names = [self.own_name]
        while parent is not None:
            names.append(parent.own_name)
            parent = parent.family.parent
        return "/".join(reversed(names))

    @property
    def children(self) -> "Collection[Cell]":
        """Those that this life of it has spawned."""
        return () if self._context is None else self._context.cells

    def request_stop(self) -> None:
        """End after the current message, if any."""
        self._worker.stopping = True
        if self._pause is not None:
            self._pause.cancel()
        self.queue.wake()

    def request_kill(self) -> None:
        """End now: the current message is cancelled."""
        self._worker.stopping = True
        self._kill_scope.cancel()

    def request_passivation(self) -> None:
        """End if there is still nothing to do."""
        if self.idle:
            self._worker.passivating = True
            self.queue.wake()

    @property
    def idle(self) -> bool:
        """Whether the actor lives, and waits for a message."""
        return self.queue.awaited

    async def wait_stopped(self) -> Termination:
        """Wait for the task's end, and say why it ended."""
        await checkpoint()
        if self.termination is None:
            if self._stopped is None:
                self._stopped = trio.Event()
            await self._stopped.wait()
        return cast("Termination", self.termination)

    def cancel_delivery(self, delivery: Delivery[Any]) -> None:
        """Cancel one delivery to this actor, queued or in flight."""
        self._worker.cancel(delivery)

    def refuse_itself(self) -> None:
        """Raise `ActorError` in the actor's own task, which would wait for itself for ever."""
        if self.task is current_task():
            raise ActorError(f"the actor {self.name!r} would wait for itself for ever")

    def stash_current(self) -> None:
        """Put the current message aside, once `receive` has returned."""
        if self.task is not current_task() or not self._worker.busy:
            raise ActorError(
                f"the actor {self.name!r} processes no message that it could put aside"
            )
        self._worker.stashing = True

    def add_watch(self, watch: "Watch") -> None:
        """Let a watch know of the end."""
        if self._watches is None:
            self._watches = {}
        self._watches[watch] = None

    def remove_watch(self, watch: "Watch") -> None:
        """A watch is of no interest any more; its absence is no error."""
        if self._watches is not None:
            self._watches.pop(watch, None)

    def join(self, together: Round, refusal: Restarted) -> None:
        """Be restarted with siblings: this life ends, with `refusal` for the current message."""
        former, self._round = self._round, together
        if former is not None:
            former.leave(self)
        if self._state == "restarting":
            # It has no life now, and waits for the next: let it wait in the new round.
            together.is_down(self)
            if self._pause is not None:
                self._pause.cancel()
        else:
            self._worker.interrupt(refusal)

    def crash(self, error: Exception) -> None:
        """Let this life end as if the actor had raised `error`: a child escalates."""
        self._worker.interrupt(error)

    def info(self, children: Collection[ActorInfo] = ()) -> ActorInfo:
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
            mailbox=len(self.queue),
            processing=plain(worker.current) if worker.busy else None,
            processing_for=worker.busy_for if worker.busy else None,
            handled=worker.handled,
            restarts=self.restarts,
            children=tuple(children),
        )

    def went_idle(self) -> None:
        """The worker has nothing more to do."""
        self._owner.cell_idle(self)

    def _drop(self, item: Any) -> None:
        """A message has given way in the mailbox."""
        if type(item) is Delivery:
            text = "the message gave way to newer ones: the mailbox was full"
            item.settle(FAILED, MailboxFull(text))
        self._owner.cell_dropped(self, plain(item))

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
        if termination.error is not None and self._escalates:
            self._escalate(termination.error)

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
            if crash is not None or self._round is not None:
                if not await self._prepare_restart(crash):
                    return Termination("crashed", crash)
                del crash  # its traceback would keep the old actor alive
            elif worker.passivating and not worker.stopping and not self.queue.items:
                # No checkpoint from here to `_end`: what arrives before it gets a next life.
                return Termination("passivated")
        return Termination("killed" if self._kill_scope.cancel_called else "stopped")

    async def _life(self) -> Exception | None:
        """One life, from the factory's call to the end of its context; the crash that ended it."""
        if self._start_within is None:
            return await self._live_once(None)
        with trio.CancelScope(deadline=trio.current_time() + self._start_within) as starting:
            return await self._live_once(starting)
        crash = ActorError(f"the actor did not start within {self._start_within} seconds")
        logger.error("actor %s crashed: %s", self.name, crash)
        self._worker.crash = crash
        return crash

    async def _live_once(self, starting: trio.CancelScope | None) -> Exception | None:
        """Make the actor, enter it, serve, exit it; return the exception that ended it, if any."""
        worker = self._worker
        worker.begin_life()
        self._state = "starting"
        try:
            actor: Any = self._make()
            receive = receive_of(actor)
            async with actor if hasattr(actor, "__aexit__") else _NO_CONTEXT:
                self.actor = actor
                self._state = "idle"
                self._has_begun()
                if starting is not None:
                    starting.deadline = float("inf")
                try:
                    await worker.serve(receive)
                finally:
                    await self._close_context()  # noqa: ASYNC102 it bounds what it shields
            if worker.crash is None and not (worker.stopping or worker.passivating):
                raise ActorError("the actor was cancelled from within its own context")
        except BaseException as error:  # noqa: ASYNC103
            if not worker.keep_crash(error):
                raise
        finally:
            self._has_begun()
            await self._close_context()  # noqa: ASYNC102 what was not entered may have spawned
            self.actor = self._context = None
            self._log_crash()
        worker.settle_current(CANCELLED if worker.crash is None else FAILED, worker.crash)
        return worker.crash

    def _make(self) -> Any:
        if not self._wants_context:
            return self._factory()
        self._context = self.family.system.context_of(self)
        return self._factory(self._context)

    async def _close_context(self) -> None:
        if self._context is not None:
            await self._context.close()

    def _log_crash(self) -> None:
        crash = self._worker.crash
        if crash is not None and type(crash) is not Restarted:
            log_failure(logger, logging.ERROR, crash, "actor %s crashed", self.name)

    # --- between two lives ---------------------------------------------------------------------

    async def _prepare_restart(self, crash: Exception | None) -> bool:
        """Wait until the next life may begin; False if there is to be none."""
        if self._round is None:
            delay = self._delay_of_restart(crash)
            if delay is None:
                return False
            await self._back_off(cast("Exception", crash), delay)
        elif not self._be_taken_along(self._round):
            return True
        while self._round is not None and not self._worker.stopping:
            together = self._round
            with trio.CancelScope() as self._pause:
                await together.turn_of(self)
            self._pause = None
            if together is self._round:
                self._entering, self._round = together, None
        return True

    def _delay_of_restart(self, crash: Exception | None) -> float | None:
        """How long to wait before the next life; None if there is to be none."""
        policy = self._supervision
        if self._worker.stopping or not isinstance(policy, Restart):
            return None
        if isinstance(crash, NotAnActor):
            return None
        if self._restart_history is None:
            self._restart_history = RestartHistory(policy)
        return self._restart_history.next_delay(trio.current_time())

    async def _back_off(self, crash: Exception, delay: float) -> None:
        self._say_restarting(crash, delay)
        logger.warning("actor %s begins again in %.1f s", self.name, delay)
        siblings = self.family.taken_along(self, cast("Restart", self._supervision).strategy)
        together = Round(self, siblings, crash) if len(siblings) > 1 else None
        del crash
        try:
            with trio.CancelScope() as self._pause:
                if together is not None:
                    await together.all_down()
                await trio.sleep(delay)
            self._pause = None
        finally:
            if together is not None and together is self._round:
                together.begin()  # also if this one is stopped: the others wait

    def _be_taken_along(self, together: Round) -> bool:
        """Go into the round of a sibling; False for an actor that is never restarted."""
        if self._worker.stopping or not isinstance(self._supervision, Restart):
            self._worker.stopping = True
            return False
        self._say_restarting(together.crash, 0.0)
        together.is_down(self)
        return True

    def _say_restarting(self, crash: Exception, delay: float) -> None:
        self.restarts += 1
        self._state = "restarting"
        self.instruments.notify("actor_restarting", self.ref, crash, delay)

    def _has_begun(self) -> None:
        """It is ready for messages, or has failed to be: the next of its round may begin."""
        if self._entering is not None:
            self._entering.leave(self)
            self._entering = None

    # --- the end -------------------------------------------------------------------------------

    def _end(self, termination: Termination) -> None:
        """The last thing the task does; without a checkpoint."""
        self.task = None
        self.termination = termination.copy()
        refusal = partial(ActorStopped, f"the actor {self.name!r} has ended ({termination})")
        dead_letters = self._worker.abandon(refusal)
        if self._stopped is not None:
            self._stopped.set()
        for together in (self._round, self._entering):
            if together is not None:
                together.leave(self)
        self._round = self._entering = None
        self._owner.cell_ended(self, termination, dead_letters)
        watches, self._watches = self._watches, None
        for watch in watches or ():
            watch.fire(self.termination)
        self.ref = None  # it holds the cell: so does the worker, which is retired
        self._worker.retire()

    @property
    def _escalates(self) -> bool:
        policy = self._supervision
        last = policy.exhausted if isinstance(policy, Restart) else policy
        return isinstance(last, Escalate)

    def _escalate(self, error: BaseException) -> None:
        parent = self.family.parent
        if parent is None:
            raise error
        parent.crash(cast("Exception", copy_of(error)))


def _let_on(error: BaseException) -> None:
    """Raise what of `error` is Trio's own, if anything is."""
    passing = split(error)[0]
    try:
        if passing is not None:
            let_on(passing)
    finally:
        del passing, error  # as `let_on` does
