"""What the tests of crashes share: a store that says what was committed when, and who looks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import attrs
import trio

from wingman.store import Chain, Change, Commit, MemoryStore
from wingman.store.call import Call

__all__ = ["Journal", "Moment", "Watch"]


class Journal(MemoryStore):
    """A store that keeps what was written, call by call, and commits it `delay` seconds later."""

    def __init__(self, delay: float | None = None, calls: Sequence[tuple[Change, ...]] = ()):
        super().__init__()
        self.delay = delay
        self.written: list[tuple[Change, ...]] = []
        self.promises: list[Call] = []
        for changes in calls:
            self.write_through(changes)
        self._stack = trio.open_nursery()

    @property
    def committed(self) -> int:
        return len(self.written) - len(self.promises)

    def write_through(self, changes: tuple[Change, ...], chain: Chain | None = None) -> Commit:
        self.written.append(changes)
        return super().write(*changes, chain=chain)

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        if self.delay is None:
            return self.write_through(changes, chain)
        self.written.append(changes)
        self.promises.append(Call(changes, chain))
        return self.promises[-1]

    async def __aenter__(self) -> Self:
        nursery = await self._stack.__aenter__()
        if self.delay is not None:
            nursery.start_soon(self._commit, self.delay)
        self._cancel = nursery.cancel_scope.cancel
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._cancel()
        await self._stack.__aexit__(*exc_info)  # noqa: ASYNC102 - it has been cancelled

    async def _commit(self, delay: float) -> None:
        while True:
            await trio.sleep(delay)
            batch = list(self.promises)
            for promise, changes in zip(batch, self.written[self.committed :], strict=False):
                self.promises.remove(promise)
                if promise.chain is not None and promise.chain.failure is not None:
                    promise.settle(promise.chain.failure)
                else:
                    super().write(*changes).then(promise.settle)


@attrs.frozen
class Moment:
    """A state that a crash may leave: so many calls committed, when this had run and been told."""

    calls: int
    ran: tuple[str, ...]
    told: frozenset[tuple[str, str]]


@attrs.define(eq=False)
class Watch(trio.abc.Instrument):
    """Looks at the program after each step of each task."""

    store: Journal
    ran: list[str]
    told: set[tuple[str, str]]
    moments: set[Moment] = attrs.field(factory=set)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        ran, told = tuple(self.ran), frozenset(self.told)
        # What is being committed may be safe before anybody knows.
        for calls in range(self.store.committed, len(self.store.written) + 1):
            self.moments.add(Moment(calls, ran, told))

    @asynccontextmanager
    async def on(self) -> AsyncIterator[None]:
        trio.lowlevel.add_instrument(self)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(self)
