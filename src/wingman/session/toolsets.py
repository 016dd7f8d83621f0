"""OpenToolsets: the toolsets that are open in this process, each held by an actor of its own.

A toolset is opened for the first run that uses it, and shared by all that use an equal one. It is
closed when nobody has used it for a while, or where too many are not used. One that is lost is
opened again by the next who uses it; where it is lost again and again, or cannot be opened, there
is more and more time in between.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from wingman.actor import ActorSystem, Backoff, Context, Stop
from wingman.errors import ToolsetUnavailable
from wingman.run import now
from wingman.session.toolset_owner import HeldToolset, Owner
from wingman.telemetry import log_event
from wingman.tools import Toolset

__all__ = ["OpenToolsets"]

logger: Final = logging.getLogger("wingman.session")

_IDLE_SECONDS: Final = 60.0
_MOST_UNUSED: Final = 32  # that stay open; each may be a process of a hundred megabytes
# How long a toolset may take to open that has no bound of its own.
_OPEN_SECONDS: Final = 120.0
# A pause before the next try that is not longer is waited for.
_PATIENCE: Final = 2.0
_MOST_FAILURES: Final = 1000  # that are remembered
_BACKOFF: Final = Backoff(initial=1.0, maximum=60.0)


@attrs.frozen
class _Failure:
    """A toolset was lost, or could not be opened, so many times; it is tried again at `until`."""

    times: int
    until: float
    why: str
    at: datetime = attrs.field(factory=now)


class OpenToolsets:
    """The toolsets that are open, shared by the sessions of one process."""

    def __init__(self, system: ActorSystem, idle_after: float = _IDLE_SECONDS) -> None:
        self._system = system
        self._idle_after = idle_after
        self._held: dict[Toolset, HeldToolset] = {}
        self._failures: dict[Toolset, _Failure] = {}
        self._leaving: dict[Toolset, HeldToolset] = {}
        self._unused: dict[HeldToolset, None] = {}  # the one that was left first comes first

    @property
    def held(self) -> Sequence[HeldToolset]:
        """Those that are open, or being opened."""
        return tuple(self._held.values())

    def failure(self, toolset: Toolset) -> str | None:
        """Why this one could not be opened the last time, or was lost; None: it was not."""
        failure = self._failures.get(toolset)
        return None if failure is None else failure.why

    @property
    def failures(self) -> Sequence[tuple[Toolset, datetime, str]]:
        """All that could not be opened the last time, or were lost: which, when and why."""
        return tuple((toolset, each.at, each.why) for toolset, each in self._failures.items())

    def forgive(self, toolset: Toolset) -> None:
        """Let it be opened again at once, if it has failed."""
        self._failures.pop(toolset, None)

    def retire(self, which: Callable[[Toolset], bool]) -> None:
        """Close some of them: once the calls under way have ended, or after half a minute. One that
        is still being opened is given up at once. Who has one lent is given a new one at the next
        step. Nobody waits for any of that here."""
        self._forgive_all(which)
        for held in [held for held in self.held if which(held.toolset)]:
            opening = held.state == "opening"
            self.was_closed(held)
            if opening:
                self._system.start_task(partial(_give_up, held), name="toolset given up")
            else:
                held.close_after_calls()

    # --- for those who have one lent -----------------------------------------------------------

    async def take(self, toolset: Toolset, work_dir: Path) -> HeldToolset:
        """The toolset, open or being opened. Raises `ToolsetUnavailable` where it has failed, and
        is not to be tried again yet."""
        failure = self._failures.get(toolset)
        if failure is not None and toolset not in self._held:
            pause = failure.until - trio.current_time()
            if pause > _PATIENCE:
                raise ToolsetUnavailable(
                    f"{failure.why} It is tried again in {pause:.0f} s, when it is asked for."
                )
            await trio.sleep(max(pause, 0))
        return self.take_now(toolset, work_dir)

    def take_now(self, toolset: Toolset, work_dir: Path) -> HeldToolset:
        """The toolset; it begins to open, if it is not open."""
        held = self._held.get(toolset)
        if held is None:
            before = self._leaving.pop(toolset, None)
            if before is not None and before.left:
                before = None
            held = self._held[toolset] = HeldToolset(toolset, work_dir, before=before)
            held.ref = self._system.spawn(
                partial(self._owner, held),
                name=f"toolset/{toolset.name}/{self._system.next_number()}",
                supervision=Stop(),
                expected=(ToolsetUnavailable,),
                start_within=_OPEN_SECONDS,
            )
        self._unused.pop(held, None)
        held.take()
        return held

    def may_begin(self, toolset: Toolset) -> bool:
        """Whether it is open, or may be opened now."""
        failure = self._failures.get(toolset)
        return toolset in self._held or failure is None or failure.until <= trio.current_time()

    def leave(self, held: HeldToolset) -> None:
        """A run needs it no more."""
        held.users -= 1
        if not held.users and held.state == "open":
            self._keep_for_a_while(held)

    # --- for the owners ------------------------------------------------------------------------

    def was_opened(self, held: HeldToolset) -> None:
        """It is open now."""
        if held.state == "closed":
            return  # too late: it has been given up
        held.move("open")
        _log(logging.INFO, "toolset opened", held)
        if not held.users:
            self._keep_for_a_while(held)

    def was_closed(self, held: HeldToolset) -> None:
        """It is closed on purpose."""
        if self._forget(held):
            held.move("closed")
            self._failures.pop(held.toolset, None)
            _log(logging.INFO, "toolset closed", held)

    def was_lost(self, held: HeldToolset, why: str) -> None:
        """It could not be opened, or was lost."""
        if not self._forget(held):
            return
        before = self._failures.pop(held.toolset, None)
        times = 1 if before is None or held.steady else before.times + 1
        # What was open, and is lost for the first time, may be opened again at once.
        pause = 0.0 if held.was_open and times == 1 else _BACKOFF.delay(times)
        held.move("closed", why)
        self._failures[held.toolset] = _Failure(times, trio.current_time() + pause, why)
        if len(self._failures) > _MOST_FAILURES:
            del self._failures[next(iter(self._failures))]
        _log(logging.WARNING, "toolset lost" if held.was_open else "toolset failed", held)

    def _keep_for_a_while(self, held: HeldToolset) -> None:
        """Nobody uses it now. Where there are many such, the one that was left first is closed."""
        held.close_after(self._idle_after)
        self._unused[held] = None
        if len(self._unused) > _MOST_UNUSED:
            first = next(iter(self._unused))
            self.was_closed(first)
            first.close_after_calls()

    def _forgive_all(self, which: Callable[[Toolset], bool]) -> None:
        for toolset in [each for each in self._failures if which(each)]:
            del self._failures[toolset]

    def _owner(self, held: HeldToolset, context: Context[Any]) -> Owner:
        held.context = context
        return Owner(held, self, context)

    def _forget(self, held: HeldToolset) -> bool:
        """Let the next who asks have another; whether it was there."""
        if self._held.get(held.toolset) is not held:
            return False
        del self._held[held.toolset]
        self._unused.pop(held, None)
        if not held.left:
            self._leaving = {each: one for each, one in self._leaving.items() if not one.left}
            self._leaving[held.toolset] = held
        return True


async def _give_up(held: HeldToolset) -> None:
    """End its actor, also where it is just opening the toolset, or has not begun to."""
    await held.ref.kill()
    held.has_left()


def _log(level: int, event: str, held: HeldToolset) -> None:
    if logger.isEnabledFor(level):
        names = {"toolset": held.toolset.name, "directory": str(held.work_dir)}
        log_event(
            logger, level, event, **names, **({"reason": held.failure} if held.failure else {})
        )
