"""Owner: the actor that holds one toolset open, and what others know of it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self, TypeAlias

import attrs
import trio
from trio.lowlevel import ParkingLot

from wingman.actor import ActorRef, Context, Timer
from wingman.errors import ToolsetUnavailable
from wingman.foreign import contained, reason
from wingman.run import now
from wingman.tools import Tool, Toolset

__all__ = ["Give", "HeldToolset", "Owner", "why_not"]

# How long calls under way may take once their toolset is to be replaced.
_LAST_CALLS_SECONDS: Final = 30.0

# One that was open for so long counts as well again.
_STEADY_SECONDS: Final = 10.0

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
        if self.context is not None and not self.context.over:
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


class Host(Protocol):
    """Who an owner tells what becomes of its toolset."""

    def was_opened(self, held: HeldToolset) -> None:
        """It is open now."""

    def was_closed(self, held: HeldToolset) -> None:
        """It is closed on purpose."""

    def was_lost(self, held: HeldToolset, why: str) -> None:
        """It could not be opened, or was lost."""


class Owner:
    """The actor that holds one toolset open: what it enters, it leaves, in its own task."""

    def __init__(self, held: HeldToolset, host: Host, context: Context[Any]) -> None:
        self._held = held
        self._host = host
        self._context = context
        self._entered = False

    async def __aenter__(self) -> Self:
        try:
            if self._held.before is not None:
                await self._held.before.wait_left()
            await self._held.toolset.__aenter__()
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            self._held.has_left()
            self._host.was_lost(self._held, why_not(contained(error)))
            self._context.stop()
            return self  # noqa: ASYNC104 the same
        self._entered = True
        self._host.was_opened(self._held)
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
            self._host.was_lost(self._held, why_not(contained(error)))
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
                self._host.was_closed(self._held)
                self._context.stop()
            return ()
        try:
            return await self._held.toolset.tools()
        except BaseException as raised:  # noqa: ASYNC103 contained lets a cancellation through
            error = contained(raised)
        raise ToolsetUnavailable(why_not(error)) from error


def why_not(error: Exception) -> str:
    """In words why a toolset is not there: its own, or what it has raised."""
    return error.message if isinstance(error, ToolsetUnavailable) else reason(error)
