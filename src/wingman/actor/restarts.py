"""Restarts: what one actor's crashes lead to, and those of its siblings."""

import logging
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from wingman.actor.errors import NotAnActor, Restarted
from wingman.actor.supervision import Restart, Supervision

if TYPE_CHECKING:
    from wingman.actor.cell import Cell

__all__ = ["Restarts"]

logger = logging.getLogger("wingman.actor")


class Restarts:
    """The time between two lives of one actor. Made at its first crash, or a sibling's.

    `number` counts the restarts. `waiting` is whether it has no life now.
    """

    __slots__ = ("_cell", "_entering", "_pause", "_policy", "_round", "_times", "number", "waiting")

    def __init__(self, cell: "Cell", policy: Supervision) -> None:
        self.number = 0
        self.waiting = False
        self._cell = cell
        self._policy = policy
        self._times: deque[float] = deque()  # of its own crashes, as far back as the policy looks
        self._pause: trio.CancelScope | None = None
        self._round: Round | None = None  # in which it waits, or is to end its life
        self._entering: Round | None = None  # in which it begins

    @property
    def due(self) -> bool:
        """Whether it is to begin again, though it has not crashed itself."""
        return self._round is not None

    def join(self, together: "Round", refusal: Restarted) -> None:
        """Be restarted with siblings: this life ends, with `refusal` for the current message."""
        former, self._round = self._round, together
        if former is not None:
            former.leave(self._cell)
        if self.waiting:
            together.is_down(self._cell)
            self.wake()
        else:
            self._cell.crash(refusal)

    async def prepare(self, crash: Exception | None) -> bool:
        """Wait until the next life may begin, or the actor is stopped; False if it has none.

        `crash` is what ended the last one, where it was no sibling's.
        """
        if self._round is not None:
            if not self._be_taken_along(self._round):
                return False
        elif crash is not None:
            delay = self._delay(crash)
            if delay is None:
                return False
            await self._back_off(crash, delay)
        while self._round is not None and not self._cell.stopping:
            together = self._round
            with trio.CancelScope() as self._pause:
                await together.turn_of(self._cell)
            self._pause = None
            if together is self._round:
                self._entering, self._round = together, None
        return True

    def wake(self) -> None:
        """Let it look up: it is stopped, or waits for something else now."""
        if self._pause is not None:
            self._pause.cancel()

    def has_begun(self) -> None:
        """It is ready for messages, or has failed to be: the next of its round may begin."""
        if self._entering is not None:
            self._entering.leave(self._cell)
            self._entering = None

    def leave(self) -> None:
        """The actor has ended."""
        self.has_begun()
        if self._round is not None:
            self._round.leave(self._cell)
            self._round = None

    def _delay(self, crash: Exception) -> float | None:
        """How long to wait before the next life; None if there is to be none."""
        policy = self._policy
        if not isinstance(policy, Restart) or isinstance(crash, NotAnActor):
            return None
        now, times = trio.current_time(), self._times
        while times and now - times[0] > policy.within:
            times.popleft()
        if len(times) >= policy.max_restarts:
            return None
        times.append(now)
        return policy.backoff.delay(len(times))

    async def _back_off(self, crash: Exception, delay: float) -> None:
        cell = self._cell
        self._say(crash, delay)
        logger.warning("actor %s begins again in %.1f s", cell.name, delay)
        strategy = self._policy.strategy if isinstance(self._policy, Restart) else "one_for_one"
        siblings = cell.family.taken_along(cell, strategy)
        together = Round(cell, siblings, crash) if len(siblings) > 1 else None
        del crash  # its traceback would keep the old actor alive
        try:
            with trio.CancelScope() as self._pause:
                if together is not None:
                    await together.all_down()
                await trio.sleep(delay)
            self._pause = None
        finally:
            if together is not None and together is self._round:
                together.begin()  # also if this one is stopped: the others wait

    def _be_taken_along(self, together: "Round") -> bool:
        """Wait in a sibling's round; False for an actor that is never restarted."""
        if not isinstance(self._policy, Restart):
            return False
        self._say(together.crash, 0.0)
        together.is_down(self._cell)
        return True

    def _say(self, crash: Exception, delay: float) -> None:
        self.number += 1
        self.waiting = True
        self._cell.instruments.notify("actor_restarting", self._cell.ref, crash, delay)


class Round:
    """One restart of several siblings together.

    All of them end their lives. Then they begin, in the order they were spawned: each when the one
    before it is ready for messages, or has failed. A member that crashes as it begins opens a round
    of its own, and takes along those that still wait in this one.
    """

    __slots__ = ("_down", "_open", "_turns", "_up", "crash")

    def __init__(self, crashed: "Cell", members: "Sequence[Cell]", crash: Exception) -> None:
        self.crash = crash
        self._open = False
        self._turns = {cell: trio.Event() for cell in members}
        self._up = set(members)
        self._down = trio.Event()
        refusal = f"began again together with {crashed.name!r}, which has crashed"
        for cell in reversed(members):
            cell.restarts.join(self, Restarted(f"the actor {cell.name!r} {refusal}"))

    async def all_down(self) -> None:
        """Wait until every member has ended its life, or has had its `stop_within` for that."""
        with trio.move_on_after(max((cell.stop_within for cell in self._up), default=0.0)):
            await self._down.wait()

    def is_down(self, cell: "Cell") -> None:
        """A member has ended its life."""
        self._up.discard(cell)
        if not self._up:
            self._down.set()

    def begin(self) -> None:
        """Let the first begin. Those that have not ended yet come last, and hold up nobody."""
        self._open = True
        for cell in [cell for cell in self._turns if cell in self._up]:
            self._turns[cell] = self._turns.pop(cell)
        self._call_next()

    async def turn_of(self, cell: "Cell") -> None:
        """Wait until this member may begin."""
        await self._turns[cell].wait()

    def leave(self, cell: "Cell") -> None:
        """A member is ready for messages, has failed to begin, or goes elsewhere."""
        self._turns.pop(cell, None)
        self.is_down(cell)
        if self._open:
            self._call_next()

    def _call_next(self) -> None:
        for turn in self._turns.values():
            turn.set()
            break
