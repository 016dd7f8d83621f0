"""OpenToolsets: the toolsets that are open in this process, each held by an actor of its own.

A toolset is opened for the first run that uses it, and shared by all that use an equal one. It is
closed when nobody has used it for a while. One that is lost is opened again by the next who uses
it; where it is lost again and again, or cannot be opened, there is more and more time in between.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

import attrs
import trio
from trio.lowlevel import ParkingLot

from wingman.actor import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    Context,
    DeliveryCancelled,
    Stop,
    Timer,
)
from wingman.errors import ToolsetUnavailable
from wingman.foreign import contained, reason
from wingman.run import now
from wingman.telemetry import log_event
from wingman.tools import Tool, ToolContext, ToolOutput, Toolset

__all__ = ["HeldToolset", "Lent", "OpenToolsets"]

logger: Final = logging.getLogger("wingman.session")

_IDLE_SECONDS: Final = 60.0
# How long a toolset may take to open that has no bound of its own.
_OPEN_SECONDS: Final = 120.0
# One that was open for so long counts as well again.
_STEADY_SECONDS: Final = 10.0
# A pause before the next try that is not longer is waited for.
_PATIENCE: Final = 2.0
# How long calls under way may take once their toolset is to be replaced.
_LAST_CALLS_SECONDS: Final = 30.0
_MOST_FAILURES: Final = 1000  # that are remembered
_BACKOFF: Final = Backoff(initial=1.0, maximum=60.0)

ToolsetState: TypeAlias = Literal["opening", "open", "closed"]


@attrs.frozen
class Give:
    """A message of a run: what tools are there?"""


@attrs.frozen
class CloseIfUnused:
    """A message of a timer: nobody has used it for a while."""


@attrs.frozen
class CloseAfterCalls:
    """A message of who replaces or removes it: nobody uses it any more but calls under way."""


@attrs.define(eq=False)
class HeldToolset:
    """A toolset that is open, is being opened, or was closed. `users` are the runs that have it
    lent, `calls` their calls under way, `failure` why it is closed, if it was not on purpose.
    `before` is the one that was open until now: it is left before this one is entered."""

    toolset: Toolset
    work_dir: Path
    state: ToolsetState = "opening"
    since: datetime = attrs.field(factory=now)
    failure: str | None = None
    users: int = 0
    calls: int = 0
    was_open: bool = False
    before: "HeldToolset | None" = attrs.field(default=None, repr=False)
    left: bool = False
    ref: ActorRef[Any, Any] = attrs.field(init=False, repr=False)
    context: Context[Any] | None = attrs.field(default=None, init=False, repr=False)
    _timer: Timer | None = attrs.field(default=None, init=False, repr=False)
    _opened_at: float = attrs.field(default=0.0, init=False)
    _changed: ParkingLot = attrs.field(factory=ParkingLot, init=False, repr=False)

    @property
    def steady(self) -> bool:
        """Whether it has been open for long enough to count as well."""
        return self.was_open and trio.current_time() - self._opened_at >= _STEADY_SECONDS

    def move(self, state: ToolsetState, failure: str | None = None) -> None:
        """It stands so from now on."""
        self.state, self.failure, self.since = state, failure, now()
        if state == "open":
            self.was_open, self._opened_at = True, trio.current_time()
        self._changed.unpark_all()

    def take(self) -> None:
        """One more run uses it."""
        self.users += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close_after(self, seconds: float) -> None:
        """Close it, unless somebody takes it meanwhile."""
        if self.context is not None and not self.context.over:
            self._timer = self.context.after(seconds, CloseIfUnused())

    def close_after_calls(self) -> None:
        """Close it once the calls under way have ended, or have had their time."""
        if self.context is None:  # its actor has not begun
            self.ref.tell_nowait(CloseAfterCalls())
        elif not self.context.over:
            self.context.after(0.0, CloseAfterCalls())

    def call_ended(self) -> None:
        """One of its calls is over."""
        self.calls -= 1
        self._changed.unpark_all()

    def has_left(self) -> None:
        """The toolset is not entered any more, and may be entered again."""
        self.left, self.before = True, None
        self._changed.unpark_all()

    async def wait_left(self) -> None:
        """Return when it has been left."""
        while not self.left:
            await self._changed.park()

    async def no_calls(self) -> None:
        """Return when no call is under way."""
        while self.calls:
            await self._changed.park()


class Owner:
    """The actor that holds one toolset open: what it enters, it leaves, in its own task."""

    def __init__(self, held: HeldToolset, opened: "OpenToolsets", context: Context[Any]) -> None:
        self._held = held
        self._opened = opened
        self._context = context
        self._entered = False

    async def __aenter__(self) -> Self:
        try:
            if self._held.before is not None:
                await self._held.before.wait_left()
            await self._held.toolset.__aenter__()
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            self._held.has_left()
            self._opened.was_lost(self._held, _why(contained(error)))
            self._context.stop()
            return self  # noqa: ASYNC104 the same
        self._entered = True
        self._opened.was_opened(self._held)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Leave the toolset. One that was lost has cancelled this actor, and says why here."""
        if not self._entered:
            return False
        try:
            return bool(await self._held.toolset.__aexit__(kind, value, traceback))  # noqa: ASYNC102 the toolset's affair
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            self._opened.was_lost(self._held, _why(contained(error)))
        finally:
            self._held.has_left()
        await self._held.ref.stop()  # noqa: ASYNC102 it is its own end, and does not wait
        return True

    async def receive(self, message: Give | CloseIfUnused | CloseAfterCalls) -> Sequence[Tool]:
        """Give the tools, or close a toolset that nobody uses."""
        if isinstance(message, CloseAfterCalls):
            with trio.move_on_after(_LAST_CALLS_SECONDS):
                await self._held.no_calls()
            self._context.stop()
            return ()
        if isinstance(message, CloseIfUnused):
            if not self._held.users:
                self._opened.was_closed(self._held)
                self._context.stop()
            return ()
        try:
            return await self._held.toolset.tools()
        except BaseException as raised:  # noqa: ASYNC103 contained lets a cancellation through
            error = contained(raised)
        raise ToolsetUnavailable(_why(error)) from error


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

    def lend(self, toolset: Toolset, work_dir: Path) -> "Lent":
        """A toolset for a run in this directory, to be given back. It begins to open at once."""
        lent = Lent(toolset, work_dir, self)
        lent.begin()
        return lent

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
        """All of those, with when and why, the last one last."""
        return tuple((toolset, each.at, each.why) for toolset, each in self._failures.items())

    def retire(self, which: Callable[[Toolset], bool]) -> None:
        """Close some of them, as `close` does, without waiting for that."""
        self._forgive(which)
        for held in [held for held in self.held if which(held.toolset)]:
            self.was_closed(held)
            held.close_after_calls()

    def forgive(self, toolset: Toolset) -> None:
        """Let it be opened again at once, if it has failed."""
        self._failures.pop(toolset, None)

    def _forgive(self, which: Callable[[Toolset], bool]) -> None:
        for toolset in [each for each in self._failures if which(each)]:
            del self._failures[toolset]

    async def close(self, which: Callable[[Toolset], bool]) -> None:
        """Close some of them, once the calls under way have ended, or after half a minute. Who
        still has one lent is given a new one at the next step."""
        closing = [held for held in self.held if which(held.toolset)]
        self._forgive(which)
        for held in closing:
            self.was_closed(held)
        with trio.move_on_after(_LAST_CALLS_SECONDS):
            for held in closing:
                await held.no_calls()
        for held in closing:
            await held.ref.stop()

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
        held.take()
        return held

    def may_begin(self, toolset: Toolset) -> bool:
        """Whether it is open, or may be opened now."""
        failure = self._failures.get(toolset)
        return toolset in self._held or failure is None or failure.until <= trio.current_time()

    def leave(self, held: HeldToolset) -> None:
        """A run needs it no more."""
        held.users -= 1
        if not held.users and held.state != "closed":
            held.close_after(self._idle_after)

    # --- for the owners ------------------------------------------------------------------------

    def was_opened(self, held: HeldToolset) -> None:
        """It is open now."""
        held.move("open")
        _log(logging.INFO, "toolset opened", held)
        if not held.users:
            held.close_after(self._idle_after)

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

    def _owner(self, held: HeldToolset, context: Context[Any]) -> Owner:
        held.context = context
        return Owner(held, self, context)

    def _forget(self, held: HeldToolset) -> bool:
        """Let the next who asks have another; whether it was there."""
        if self._held.get(held.toolset) is not held:
            return False
        del self._held[held.toolset]
        if not held.left:
            self._leaving = {each: one for each, one in self._leaving.items() if not one.left}
            self._leaving[held.toolset] = held
        return True


@attrs.define(eq=False)
class Lent:
    """A toolset that one run has lent. The same may be opened anew meanwhile: after a loss, or with
    another configuration."""

    _toolset: Toolset
    _work_dir: Path
    _opened: OpenToolsets = attrs.field(repr=False)
    _held: HeldToolset | None = None
    _seen: Sequence[Tool] = ()
    _tools: tuple[Tool, ...] = ()

    @property
    def name(self) -> str:
        """What people know it by."""
        return self._toolset.name

    def begin(self) -> None:
        """Let it open, if it may; nobody waits for that yet."""
        try:
            toolset = self._within()
        except ToolsetUnavailable:
            return  # said when the tools are asked for
        if self._opened.may_begin(toolset):
            self._held = self._opened.take_now(toolset, self._work_dir)

    async def tools(self) -> Sequence[Tool]:
        """Its tools as they are now; they find it again where it is opened anew meanwhile."""
        while True:
            held = await self._taken()
            try:
                tools = await held.ref.ask(Give())
            except (ActorStopped, DeliveryCancelled) as ended:
                if isinstance(ended, ActorStopped) and held.state != "closed":
                    self._opened.was_lost(held, "It did not open in time.")
                if held.failure is not None:
                    self.give_back()
                    if not held.was_open:
                        raise ToolsetUnavailable(held.failure) from ended
                continue  # it was lost or closed meanwhile, or is just ending
            if tools is not self._seen:
                self._seen = tools
                self._tools = tuple(
                    attrs.evolve(tool, call=partial(self._call, held, tool)) for tool in tools
                )
            return self._tools

    def give_back(self) -> None:
        """The run needs it no more."""
        held, self._held = self._held, None
        if held is not None:
            self._opened.leave(held)

    async def _taken(self) -> HeldToolset:
        toolset, held = self._within(), self._held
        if held is not None and (held.state == "closed" or held.toolset != toolset):
            self.give_back()
            if held.failure is not None and not held.was_open:
                raise ToolsetUnavailable(held.failure)  # it was tried for this run
        if self._held is None:
            self._held = await self._opened.take(toolset, self._work_dir)
            self._seen = ()
        return self._held

    def _within(self) -> Toolset:
        try:
            return self._toolset.within(self._work_dir)
        except BaseException as error:
            raise ToolsetUnavailable(_why(contained(error))) from error  # noqa: ASYNC104 no await

    async def _call(
        self, held: HeldToolset, tool: Tool, input: Any, context: ToolContext
    ) -> str | ToolOutput:
        """Call a tool; of a toolset that was closed since, the one that has its name now."""
        if held.state == "closed":
            again = {each.name: each for each in await self.tools()}
            if tool.name not in again:
                raise ToolsetUnavailable(f"The toolset {self.name!r} has no such tool any more.")
            return await again[tool.name].call(input, context)
        held.calls += 1
        try:
            return await tool.call(input, context)
        finally:
            held.call_ended()


def _why(error: Exception) -> str:
    """In words why a toolset is not there: its own, or what it has raised."""
    return error.message if isinstance(error, ToolsetUnavailable) else reason(error)


def _log(level: int, event: str, held: HeldToolset) -> None:
    if logger.isEnabledFor(level):
        names = {"toolset": held.toolset.name, "directory": str(held.work_dir)}
        log_event(
            logger, level, event, **names, **({"reason": held.failure} if held.failure else {})
        )
