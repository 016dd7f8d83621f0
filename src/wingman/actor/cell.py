"""Cell: the one task behind an actor, through all of its lives.

The cell owns what outlives the actor object: the mailbox, the name, the record of restarts. It
makes the actor, lets a worker feed it, and decides what follows when it crashes.
"""

import logging
from collections.abc import Callable, Collection, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import Task, checkpoint, current_task

from wingman.actor.delivery import CANCELLED, FAILED, Delivery
from wingman.actor.errors import ActorError, MailboxFull, Restarted
from wingman.actor.factories import receive_of
from wingman.actor.family import Family
from wingman.actor.instruments import ActorInfo, ActorState, Termination
from wingman.actor.mailbox import Mailbox
from wingman.actor.owner import Owner, Watcher
from wingman.actor.protocols import Actor
from wingman.actor.queue import Queue, plain
from wingman.actor.ref import ActorRef
from wingman.actor.restarts import Restarts
from wingman.actor.supervision import Supervision, escalates
from wingman.actor.worker import Worker, settle_left
from wingman.foreign import copy_of, let_on_trios_own, log_failure, split

if TYPE_CHECKING:
    from wingman.actor.context import Context

__all__ = ["Cell"]

logger = logging.getLogger("wingman.actor")

_NO_CONTEXT: AbstractAsyncContextManager[Any] = nullcontext()


class Cell:
    """One actor's task, mailbox and restarts.

    Everything here runs in one thread, between checkpoints.
    """

    __slots__ = (
        "_context",
        "_factory",
        "_kill_scope",
        "_left",
        "_owner",
        "_restarts",
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
        self._stopped: trio.Event | None = None
        self._restarts: Restarts | None = None
        self._context: Context[Any] | None = None
        self._watches: dict[Watcher, None] | None = None
        self._left: list[Any] | None = None  # what was in the mailbox when it began to end

    def _make_queue(self, mailbox: Mailbox) -> Queue:
        return Queue(mailbox, self._drop)

    def make_ref(self) -> ActorRef[Any, Any]:
        """The reference to it. For the system, once."""
        return ActorRef(self, self.queue)

    # --- what others ask of it -----------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its own name after those of its ancestors: "pipeline/parser"."""
        return self.family.name_of(self.own_name)

    @property
    def children(self) -> "Collection[Cell]":
        """Those that this life of it has spawned."""
        return () if self._context is None else self._context.cells

    def request_stop(self) -> None:
        """End after the current message, if any."""
        self._worker.stopping = True
        if self._restarts is not None:
            self._restarts.wake()
        self.queue.wake()
        self._refuse_if_over()

    def request_kill(self) -> None:
        """End now: the current message is cancelled."""
        self._worker.stopping = True
        self._kill_scope.cancel()
        self._refuse_if_over()

    def request_passivation(self) -> None:
        """End if there is still nothing to do."""
        if self.idle:
            self._worker.passivating = True
            self.queue.wake()

    @property
    def idle(self) -> bool:
        """Whether the actor lives, and waits for a message."""
        return self.queue.awaited

    @property
    def burden(self) -> int:
        """How many messages wait for it, or are processed."""
        return len(self.queue.items) + self._worker.busy

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

    def add_watch(self, watch: Watcher) -> None:
        """Let a watch know of the end."""
        if self._watches is None:
            self._watches = {}
        self._watches[watch] = None

    def remove_watch(self, watch: Watcher) -> None:
        """A watch is of no interest any more; its absence is no error."""
        if self._watches is not None:
            self._watches.pop(watch, None)

    @property
    def stopping(self) -> bool:
        """Whether it is to end."""
        return self._worker.stopping

    @property
    def restarts(self) -> Restarts:
        """What follows its crashes."""
        if self._restarts is None:
            self._restarts = Restarts(self, self._supervision)
        return self._restarts

    def crash(self, error: Exception) -> None:
        """Let this life end as if the actor had raised `error`."""
        self._worker.interrupt(error)

    def info(self, name: str, children: Collection[ActorInfo] = ()) -> ActorInfo:
        """The cell as the snapshot shows it."""
        worker = self._worker
        state = self._state
        if worker.stopping or worker.passivating:
            state = "stopping"
        elif worker.busy:
            state = "processing"
        elif self._restarts is not None and self._restarts.waiting:
            state = "restarting"
        return ActorInfo(
            name=name,
            state=state,
            mailbox=len(self.queue),
            processing=plain(worker.current) if worker.busy else None,
            processing_for=worker.busy_for if worker.busy else None,
            handled=worker.handled,
            restarts=0 if self._restarts is None else self._restarts.number,
            children=tuple(children),
        )

    def went_idle(self) -> None:
        """The worker has nothing more to do."""
        self._owner.cell_idle(self)

    def _drop(self, item: Any) -> None:
        """A message has given way in the mailbox."""
        if type(item) is Delivery:
            item.settle(FAILED, MailboxFull("the mailbox was full, and the message gave way"))
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
        except BaseException as error:  # noqa: ASYNC103 - raised by `let_on_trios_own`
            # What it needs stands in functions: every actor's frame has room for its variables.
            termination = self._torn(error) or termination
            let_on_trios_own(error)
        finally:
            self._end(termination)
        if termination.error is not None and escalates(self._supervision):
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
            # A sibling may have crashed, and take this one along, before its first life.
            crash = None if self._due else await self._next_life()
            if crash is None and not self._due:
                if worker.passivating and not worker.stopping and not self.queue.items:
                    # No checkpoint from here to `_end`: what arrives before it gets a next life.
                    return Termination("passivated")
            elif worker.stopping or not await self.restarts.prepare(crash):
                if not self._due:
                    return Termination("crashed", crash)
                break
            del crash  # its traceback would keep the old actor alive
        return Termination("killed" if self._kill_scope.cancel_called else "stopped")

    @property
    def _due(self) -> bool:
        """Whether it is to begin again together with a sibling."""
        return self._restarts is not None and self._restarts.due

    def _next_life(self) -> Coroutine[Any, Any, Exception | None]:
        seconds = self._start_within  # no coroutine here: an actor weighs most by its task's frames
        return self._life() if seconds is None else self._life_begun_within(seconds)

    async def _life_begun_within(self, seconds: float) -> Exception | None:
        """One life, which is a crash if the actor takes longer than so many seconds to begin."""
        with trio.CancelScope(deadline=trio.current_time() + seconds) as starting:
            return await self._life(starting)
        crash = self._worker.crash = ActorError(f"the actor did not start within {seconds} seconds")
        logger.error("actor %s crashed: %s", self.name, crash)
        return crash

    async def _life(self, starting: trio.CancelScope | None = None) -> Exception | None:
        """Make the actor, enter it, serve, exit it; return the exception that ended it, if any."""
        worker = self._worker
        worker.begin_life()
        self._state = "starting"
        if self._restarts is not None:
            self._restarts.waiting = False
        try:
            actor: Any = self._make()
            receive = receive_of(actor)
            async with actor if hasattr(actor, "__aexit__") else _NO_CONTEXT:
                self.actor = actor
                self._state = "idle"
                if self._restarts is not None:
                    self._restarts.has_begun()
                if starting is not None:
                    starting.deadline = float("inf")
                try:
                    await worker.serve(receive)
                finally:
                    if worker.stopping:
                        self._refuse_more()
                    await self._close_context()  # noqa: ASYNC102 it bounds what it shields
            if worker.crash is None and not (worker.stopping or worker.passivating):
                raise ActorError("the actor was cancelled from within its own context")
        except BaseException as error:  # noqa: ASYNC103
            if not worker.keep_crash(error):
                raise
        finally:
            if self._restarts is not None:
                self._restarts.has_begun()
            await self._close_context()  # noqa: ASYNC102 what was not entered may have spawned
            self.actor = self._context = None
            self._log_crash()
        worker.settle_current(CANCELLED if worker.crash is None else FAILED, worker.crash)
        return worker.crash

    def _make(self) -> Any:
        return self._factory(self._open_context()) if self._wants_context else self._factory()

    def _open_context(self) -> "Context[Any]":
        context = self._context = self.family.system.context_of(self)
        return context

    async def _close_context(self) -> None:
        if self._context is not None:
            await self._context.close()

    def _log_crash(self) -> None:
        crash = self._worker.crash
        if crash is not None and type(crash) is not Restarted:
            log_failure(logger, logging.ERROR, crash, "actor %s crashed", self.name)

    def _end(self, termination: Termination) -> None:
        """The last thing the task does; without a checkpoint."""
        self.task = None
        self.termination = termination.copy()
        refusal = partial(self.family.refusal, self.own_name, f"has ended ({termination})")
        dead_letters = self._worker.abandon(refusal)
        dead_letters += (self._left or []) + self._close_mailbox(refusal)
        self._left = None
        if self._stopped is not None:
            self._stopped.set()
        if self._restarts is not None:
            self._restarts.leave()
            self._restarts = None
        self._owner.cell_ended(self, termination, dead_letters)
        watches, self._watches = self._watches, None
        for watch in watches or ():
            watch.fire(self.termination)
        self.ref = None  # it holds the cell: so does the worker, which is retired
        self._worker.retire()

    def _refuse_if_over(self) -> None:
        if self._context is not None and self._context.over:
            self._refuse_more()

    def _refuse_more(self) -> None:
        """The last life is over. A child that asks this actor would hold up its end otherwise."""
        if self._left is None:
            how = "killed" if self._kill_scope.cancel_called else "stopped"
            refusal = partial(self.family.refusal, self.own_name, f"is being {how}")
            self._left = self._close_mailbox(refusal)

    def _close_mailbox(self, refusal: Callable[[], Exception]) -> list[Any]:
        """Refuse what comes, and settle what is left; return its messages."""
        return settle_left(self.queue.close(refusal), refusal)

    def _escalate(self, error: BaseException) -> None:
        parent = self.family.parent
        if parent is None:
            raise error
        if not self.family.closed:  # the parent's next life has no part in this
            parent.crash(cast("Exception", copy_of(error)))
