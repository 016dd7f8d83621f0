"""A program that is run again and again, each time with another write that fails.

It is run over a store of memory under virtual time, or over a real file. It ends as it may, or it
is killed some time after the fault; the next process goes on from what was committed.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import attrs
import trio

from crash.faults import FaultyMemory, FaultySQL, Mode, NoFaults, OneFault, copy_database
from crash.hands import Hands, make_agent
from crash.told import Told
from wingman import Runtime
from wingman.errors import StoreUnavailable
from wingman.store import Store

__all__ = ["ENDS", "End", "Trial", "play"]

End: TypeAlias = Literal["closed", "killed", "killed later"]
"""How the process ends: in order, when all is done; or as the fault strikes, or a second after."""

ENDS: Final[tuple[End, ...]] = get_args(End)


async def play(hands: Hands) -> None:
    """Two sessions: parallel tools, a stream, a queue, cancels, an interrupt, a request sent twice.

    Returns when all runs have ended and what was refused has been taken.
    """
    pace = hands.pace
    async with trio.open_nursery() as readers:
        first = await hands.create("first")
        second = await hands.create()
        readers.start_soon(hands.follow, first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_talk, hands, first, nursery)
            nursery.start_soon(_retitle, hands, first)
            nursery.start_soon(_come_and_go, hands, second)
            await trio.sleep(0.4 * pace)
        for run in hands.runs:
            if run.session_id == first:
                await hands.hear(run)
        readers.cancel_scope.cancel()


async def _talk(hands: Hands, session_id: str, nursery: trio.Nursery) -> None:
    pace = hands.pace
    send = partial(hands.send, session_id)
    one = await send("1: 0.5 0 0.2 | 0 0")
    nursery.start_soon(hands.hear, one)
    nursery.start_soon(hands.hear, await send("2: 0.3", "two"))
    queued = await send("3: 0")
    twice = await send("2: 0.3", "two")
    nursery.start_soon(hands.hear, twice)
    await trio.sleep(0.3 * pace)
    await hands.cancel("cancel of a queued run", queued.cancel)
    await trio.sleep(1.0 * pace)
    long = await send("4: 20 0")
    await trio.sleep(0.2 * pace)
    nursery.start_soon(hands.hear, await send("5: 0 | 0.1", None, "interrupt"))
    await hands.hear(long)
    nursery.start_soon(hands.hear, await send("6: 20"))
    waits = await send("7: 0")
    await trio.sleep(0.3 * pace)
    await hands.cancel("cancel of all", partial(hands.runtime.cancel, session_id, queued=True))
    # What was refused is asked for again; what has ended meanwhile needs no cancel.
    while not all(run.ended for run in hands.runs if run.session_id == session_id):
        if not await hands.cancel(
            "cancel of all", partial(hands.runtime.cancel, session_id, queued=True)
        ):
            await trio.sleep(pace)
    await hands.hear(waits)
    await hands.hear(await send("8: "))


async def _retitle(hands: Hands, session_id: str) -> None:
    for title in ("a title", "another title"):
        await trio.sleep(0.5 * hands.pace)
        try:
            await hands.retitle(session_id, title)
        except StoreUnavailable:
            view = await hands.again("describe", lambda: hands.runtime.describe(session_id))
            known = view.title in hands.told.titles[session_id]
            hands.told.check(known, f"after a refusal, the title is {view.title}")


async def _come_and_go(hands: Hands, session_id: str) -> None:
    await hands.send(session_id, "11: 20")
    await hands.send(session_id, "12: 0")
    await trio.sleep(0.5 * hands.pace)
    await hands.delete(session_id)


@attrs.define(eq=False)
class Trial:
    """One run of the program with one fault, and the process after it.

    `directory` is where the files are; None: in memory. `seconds` is how long the fault lasts,
    on this `clock`; the program's own times are multiplied by `pace`.
    """

    at: int
    mode: Mode
    end: End
    seconds: float = 7.0
    directory: Path | None = None
    pace: float = 1.0
    patience: float = 120.0
    clock: Callable[[], float] = trio.current_time
    told: Told = attrs.field(factory=Told)
    fault: OneFault = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.told.certain = self.mode != "written"
        self.fault = OneFault(self.at, self.mode, self.seconds, self.clock)

    def __str__(self) -> str:
        return f"write {self.at} {self.mode}, process {self.end}"

    async def run(self) -> list[str]:
        """What was found wrong, if anything was."""
        left = await self._first_process()
        await self._second_process(left)
        return [f"{self}: {wrong}" for wrong in self.told.wrong]

    async def _first_process(self) -> Store:
        store = self._store()
        self.told.store = store
        left: list[Store] = []
        async with trio.open_nursery() as process:

            async def live() -> None:
                async with self._runtime(store) as runtime:
                    await play(Hands(runtime, self.told, self.pace, patience=self.patience))
                process.cancel_scope.cancel()

            async def kill() -> None:
                struck = False
                while not struck:
                    await trio.sleep(0.01 * self.pace)
                    struck = self.fault.struck  # it may be in another thread
                await trio.sleep(self.pace if self.end == "killed later" else 0)
                self.told.frozen = True
                left.append(await self._copy(store))
                process.cancel_scope.cancel()

            process.start_soon(live)
            if self.end != "closed":
                process.start_soon(kill)
        self.told.frozen = False
        if isinstance(store, FaultyMemory):
            self._check_refusals(store)
        if left:
            return left[0]
        if isinstance(store, FaultyMemory):
            return FaultyMemory(NoFaults(), store.committed)
        return FaultySQL(self._path("first.db"), NoFaults())

    async def _second_process(self, store: Store) -> None:
        """All that was told is true; what was queued goes on; all is still true at the end."""
        told = self.told
        told.store = store
        async with store:
            await told.check_store(store, "after the first process")
        async with self._runtime(store) as runtime:
            hands = Hands(runtime, told, self.pace, patience=self.patience)
            for session_id in told.created - told.deleting:
                await hands.answered("describe", partial(runtime.describe, session_id))
                run = await hands.send(session_id, f"2{len(hands.runs)}: 0")
                await hands.hear(run)
            await told.check_store(store, "after the second process")
            left = await store.runs(statuses=("queued", "running"))
            told.check(not left, f"after all that, {[(r.message, r.status) for r in left]}")
            told.check(not await store.deleting(), "a session is still being deleted")

    def _check_refusals(self, store: FaultyMemory) -> None:
        for reason in store.refusals:
            self.told.check(False, f"the store was asked for what cannot be: {reason}")

    @asynccontextmanager
    async def _runtime(self, store: Store) -> AsyncIterator[Runtime]:
        """A runtime, opened as soon as the store lets it be."""
        agent = make_agent(self.told, self.pace)
        for _ in range(100):
            runtime = Runtime(store, agents=[agent], idle_after=None)
            try:
                await runtime.__aenter__()
            except StoreUnavailable:
                await trio.sleep(self.pace)
                continue
            break
        try:
            yield runtime
        finally:
            await runtime.__aexit__(None, None, None)  # noqa: ASYNC102 it shields itself

    # --- the store -----------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        assert self.directory is not None
        return self.directory / name

    def _store(self) -> Store:
        if self.directory is None:
            return FaultyMemory(self.fault)
        return FaultySQL(self._path("first.db"), self.fault)

    async def _copy(self, store: Store) -> Store:
        if isinstance(store, FaultyMemory):
            return FaultyMemory(NoFaults(), list(store.committed))
        copy = self._path("copy.db")
        await trio.to_thread.run_sync(copy_database, self._path("first.db"), copy)
        return FaultySQL(copy, NoFaults())
