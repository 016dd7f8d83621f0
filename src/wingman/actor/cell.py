"""Cell: the one task behind an actor, through all of its lives.

The cell owns what outlives the actor object: the mailbox, the name, the record of restarts. It
takes one message at a time. All messages share one cancel scope, which is replaced only after it
was used: cancelling one delivery costs a scope, not cancelling any costs none.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from time import perf_counter
from typing import Any, Protocol, cast

import trio
from trio.lowlevel import Task, checkpoint, current_task

from wingman.actor.delivery import CANCELLED, DONE, FAILED, PROCESSING, QUEUED, Delivery
from wingman.actor.errors import ActorStopped
from wingman.actor.instruments import ActorInfo, ActorState, Instruments, Termination
from wingman.actor.mailbox import Mailbox
from wingman.actor.supervision import Escalate, Restart, RestartHistory, Supervision

__all__ = ["Actor", "Cell"]

logger = logging.getLogger("wingman.actor")

# How many messages an actor may process before it lets the other tasks run, if none of them
# made it wait: a checkpoint costs as much as some ten buffered messages.
_BURST = 128

_NOTHING: Any = object()


class Actor(Protocol):
    """Any object with an async `receive`. If it is an async context manager, so much the better."""

    async def receive(self, message: Any, /) -> Any:
        """Process one message; what it returns is the reply."""


class Owner(Protocol):
    """What a cell tells those who keep it."""

    instruments: Instruments

    def cell_idle(self, cell: "Cell") -> None:
        """The cell has nothing to do."""

    def cell_ended(self, cell: "Cell", termination: Termination, dead_letters: list[Any]) -> None:
        """The cell has ended, and will take nothing more."""


class Cell:
    """See the module's docstring. Everything here runs in one thread, between checkpoints."""

    __slots__ = (
        "_crash",
        "_expected",
        "_factory",
        "_kill_scope",
        "_passivating",
        "_restart_history",
        "_scope",
        "_scope_used",
        "_since",
        "_state",
        "_stopped",
        "_stopping",
        "_supervision",
        "actor",
        "current",
        "handled",
        "key",
        "mailbox",
        "name",
        "owner",
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
        self.owner = owner
        self.mailbox = Mailbox(capacity)
        self.actor: Actor | None = None
        self.current: Any = _NOTHING
        self.handled = 0
        self.restarts = 0
        self.task: Task | None = None
        self.termination: Termination | None = None
        self.ref: Any = None
        self._factory = factory
        self._supervision = supervision
        self._expected = expected
        self._since = 0.0
        self._state: ActorState = "starting"
        self._stopping = False
        self._passivating = False
        self._crash: BaseException | None = None
        self._kill_scope = trio.CancelScope()
        self._scope: trio.CancelScope | None = None
        self._scope_used = False
        self._stopped: trio.Event | None = None
        self._restart_history: RestartHistory | None = None

    # --- what others ask of it -----------------------------------------------------------------

    def request_stop(self) -> None:
        """End after the current message, if any."""
        self._stopping = True
        if self._state == "restarting" and self._scope is not None:
            self._scope.cancel()
        self.mailbox.wake()

    def request_kill(self) -> None:
        """End now: the current message is cancelled."""
        self._stopping = True
        self._kill_scope.cancel()

    def request_passivation(self) -> bool:
        """End if there is still nothing to do; whether the cell was idle."""
        if self.busy or self._state != "idle":
            return False
        self._passivating = True
        self.mailbox.wake()
        return True

    @property
    def busy(self) -> bool:
        """Whether a message is being processed or waits."""
        return self.current is not _NOTHING or bool(self.mailbox.items)

    async def wait_stopped(self) -> Termination:
        """Wait for the task's end, and say why it ended."""
        await checkpoint()
        while self.termination is None:
            if self._stopped is None:
                self._stopped = trio.Event()
            await self._stopped.wait()
        return self.termination

    def cancel_delivery(self, delivery: Delivery) -> None:
        """Cancel one delivery: take it out of the mailbox, or cancel the scope that it runs in."""
        if delivery.state is QUEUED:
            self.mailbox.remove(delivery)
            delivery.settle_cancelled()
        elif self.current is delivery and self._scope is not None:
            self._scope_used = True
            self._scope.cancel()

    def info(self) -> ActorInfo:
        """The cell as the snapshot shows it."""
        processing = self.current is not _NOTHING
        message = self.current.message if type(self.current) is Delivery else self.current
        state: ActorState = self._state
        if self._stopping:
            state = "stopping"
        elif processing:
            state = "processing"
        return ActorInfo(
            name=self.name,
            state=state,
            mailbox=len(self.mailbox),
            processing=message if processing else None,
            processing_for=perf_counter() - self._since if processing else None,
            handled=self.handled,
            restarts=self.restarts,
        )

    # --- the task ------------------------------------------------------------------------------

    async def run(self) -> None:
        """All lives of the actor, one after the other, and the end."""
        self.task = current_task()
        termination = Termination("killed")
        self.owner.instruments.notify("actor_started", self.ref)
        try:
            with self._kill_scope:
                termination = await self._live()
        except Exception as error:
            # What is left of a group when a kill has taken its Cancelled out of it,
            # or an escalation on its way.
            termination = Termination("crashed", error)
            if isinstance(self._supervision, Escalate):
                raise
            logger.exception("actor %s raised while it was being killed", self.name)
        finally:
            self._end(termination)

    async def _live(self) -> Termination:
        while not self._stopping:
            crash = await self._life()
            if crash is not None:
                logger.error("actor %s crashed", self.name, exc_info=crash)
                delay = self._decide(crash)
                if delay is None:
                    return Termination("crashed", crash)
                await self._back_off(crash, delay)
            elif self._passivating and not self._stopping:
                # No checkpoint from here to `_end`: what arrives now wakes the next life.
                if not self.mailbox.items:
                    return Termination("passivated")
                self._passivating = False
        return Termination("stopped")

    async def _life(self) -> BaseException | None:
        """Make the actor, enter it, serve, exit it; return the exception that ended it, if any."""
        self._crash = None
        self._state = "starting"
        try:
            async with AsyncExitStack() as stack:
                actor = self._factory()
                if hasattr(actor, "__aexit__"):
                    await stack.enter_async_context(cast("AbstractAsyncContextManager[Any]", actor))
                self.actor = actor
                self._state = "idle"
                await self._serve(actor.receive)
        except Exception as error:
            self._crash = error
        finally:
            self.actor = None
        if self._crash is not None:
            self._settle_current(FAILED, self._crash)
        return self._crash

    async def _serve(self, receive: Callable[[Any], Any]) -> None:
        """Process messages until the actor shall end; a cancelled delivery costs only itself."""
        while not self._stopping and not (self._passivating and not self.mailbox.items):
            with trio.CancelScope() as self._scope:
                self._scope_used = False
                await self._process(receive)
            if self.current is not _NOTHING:
                self._settle_current(CANCELLED, None)

    async def _process(self, receive: Callable[[Any], Any]) -> None:
        """Take messages one at a time until there is reason to look up."""
        mailbox = self.mailbox
        items = mailbox.items
        senders = mailbox.senders
        instruments = self.owner.instruments
        burst = _BURST
        while not self._stopping:
            if not items:
                if self._passivating:
                    return
                self.owner.cell_idle(self)
                await mailbox.wait()
                if items:
                    self._passivating = False
                burst = _BURST
                continue
            item = items.popleft()
            if senders:
                mailbox.admit_sender()
            self.current = item
            self._since = perf_counter()
            if instruments.watches_messages:
                self._notify_started(item)
            try:
                if type(item) is Delivery:
                    item.state = PROCESSING
                    reply = await receive(item.message)
                    item.settle(DONE, reply)
                else:
                    await receive(item)
            except Exception as error:
                self._settle_current(FAILED, error)
                if not isinstance(error, self._expected):
                    self._crash = error
                    raise
                if type(item) is not Delivery:
                    # Nobody waits for a message that was told: the log is the only place left.
                    logger.warning("actor %s: %r failed", self.name, item, exc_info=error)
            else:
                if instruments.watches_messages:
                    self._notify_ended(item, None)
                self.current = _NOTHING
                self.handled += 1
            if self._scope_used:
                return
            burst -= 1
            if not burst:
                await checkpoint()
                burst = _BURST

    def _settle_current(self, state: Any, error: BaseException | None) -> None:
        """The current message ends otherwise than well."""
        item, self.current = self.current, _NOTHING
        if item is _NOTHING:
            return
        self.handled += 1
        if type(item) is Delivery:
            if error is None:
                item.settle_cancelled()
            else:
                item.settle(state, error)
        if self.owner.instruments.watches_messages:
            self._notify_ended(item, error)

    def _decide(self, crash: BaseException) -> float | None:
        """The delay before the next life; None if there is to be none; or escalate."""
        if isinstance(self._supervision, Escalate):
            raise crash
        if not isinstance(self._supervision, Restart) or self._stopping:
            return None
        if self._restart_history is None:
            self._restart_history = RestartHistory(self._supervision)
        return self._restart_history.next_delay(trio.current_time())

    async def _back_off(self, crash: BaseException, delay: float) -> None:
        self.restarts += 1
        self._state = "restarting"
        self._passivating = False
        self.owner.instruments.notify("actor_restarting", self.ref, crash, delay)
        with trio.move_on_after(delay) as self._scope:
            await trio.sleep_forever()

    def _end(self, termination: Termination) -> None:
        """The last thing the task does; without a checkpoint."""
        self.termination = termination
        self._state = "stopping"
        was_current = self.current
        self._settle_current(CANCELLED, self._refusal())
        left = self.mailbox.close(self._refusal)
        if was_current is not _NOTHING and type(was_current) is not Delivery:
            left.insert(0, was_current)
        dead_letters = []
        for item in left:
            if type(item) is Delivery:
                item.settle(FAILED, self._refusal())
                dead_letters.append(item.message)
            else:
                dead_letters.append(item)
        self.task = None
        self.owner.cell_ended(self, termination, dead_letters)
        if self._stopped is not None:
            self._stopped.set()

    def _refusal(self) -> Exception:
        return ActorStopped(f"the actor {self.name!r} has ended ({self.termination})")

    def _notify_started(self, item: Any) -> None:
        message = item.message if type(item) is Delivery else item
        self.owner.instruments.notify("message_started", self.ref, message)

    def _notify_ended(self, item: Any, error: BaseException | None) -> None:
        message = item.message if type(item) is Delivery else item
        self.owner.instruments.notify("message_ended", self.ref, message, error)
