"""Actors to test with, and what they are given to play."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import trio

from wingman.actor import ActorRef, ActorSystem, Backoff, Restart

AT_ONCE = Restart(backoff=Backoff(initial=0))
"""Restart without a delay."""


class Performer:
    """Performs what it is sent: calls an async function, and returns and remembers all else."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def receive(self, message: Any) -> Any:
        if callable(message):
            return await message()
        self.seen.append(message)
        return message


class Stage:
    """A factory of performers that remembers them all, over every restart."""

    def __init__(self) -> None:
        self.lives: list[Performer] = []

    def __call__(self) -> Performer:
        self.lives.append(Performer())
        return self.lives[-1]

    @property
    def seen(self) -> list[Any]:
        return [message for life in self.lives for message in life.seen]


class Curtain(Performer):
    """A performer that is a context manager; its entrance and its exit are what one makes them."""

    def __init__(
        self,
        *,
        enter: Callable[[], Awaitable[Any]] = trio.lowlevel.checkpoint,
        leave: Callable[[], Awaitable[Any]] = trio.lowlevel.checkpoint,
    ) -> None:
        super().__init__()
        self._enter = enter
        self._leave = leave

    async def __aenter__(self) -> Self:
        await self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()


class Company(Performer):
    """A performer with a nursery of its own, which is open while it lives."""

    async def __aenter__(self) -> Self:
        self._manager = trio.open_nursery()
        self.nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self.nursery.cancel_scope.cancel()
        return await self._manager.__aexit__(kind, value, traceback)


class Held:
    """A message whose processing lasts until it is released; it says how it ended."""

    def __init__(self) -> None:
        self.started = trio.Event()
        self.ended: str | None = None
        self._released = trio.Event()

    def release(self) -> None:
        self._released.set()

    async def __call__(self) -> str:
        self.started.set()
        try:
            await self._released.wait()
        except trio.Cancelled:
            self.ended = "cancelled"
            raise
        self.ended = "done"
        return "held"


async def hold(ref: ActorRef) -> Held:
    """Make an actor busy until the result is released."""
    held = Held()
    ref.tell_nowait(held)
    await held.started.wait()
    return held


def raising(error: BaseException) -> Callable[[], Awaitable[Any]]:
    """An act that raises."""

    async def act() -> None:
        await trio.lowlevel.checkpoint()
        raise error

    return act


def unhurried(seconds: float) -> Callable[[], Awaitable[Any]]:
    """An act that takes its time, and takes as long again to clean up if it is cancelled."""

    async def act() -> str:
        try:
            await trio.sleep(seconds)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(seconds)
        return "done"

    return act


def state_of(system: ActorSystem, name: str) -> str:
    """What the snapshot says of one actor."""
    return next(info.state for info in system.snapshot() if info.name == name)
