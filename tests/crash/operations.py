"""Random operations by several clients on a runtime whose writes fail at random.

One process after the other: each is closed, drained or killed at some moment, and the next goes on
from what was committed. What clients were told is held against it all the time.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import attrs
import trio

from crash.faults import (
    MODES,
    Faults,
    FaultyMemory,
    FaultySQL,
    Mode,
    NoFaults,
    RandomFaults,
    copy_database,
)
from crash.hands import Hands, NoAnswer, make_agent
from crash.told import Told
from wingman import Limits, Runtime
from wingman.api import OnBusy
from wingman.errors import (
    MailboxFull,
    NotFound,
    Overloaded,
    SessionBusy,
    SessionDeleted,
    ShuttingDown,
    StoreError,
    StoreUnavailable,
)
from wingman.session import Run
from wingman.store import Change, Store

__all__ = ["Fuzz", "seed_scheduler"]

_CLIENTS: Final = 6
_MOST_SESSIONS: Final = 5
_LIMITS: Final = Limits(queued=6, runs=3)
# No run takes longer than this by itself, and no session has more of them.
_LONGEST_RUN: Final = 25.0
_SETTLED: Final = 60.0 * _LONGEST_RUN

# What a client may be told, by what was asked, without being wrong.
_UNAVAILABLE: Final = (StoreUnavailable, ShuttingDown, Overloaded)


def seed_scheduler(seed: int) -> None:
    """Have Trio wake tasks in an order that depends on the seed alone."""
    trio._core._run._r.seed(seed)


@attrs.define(eq=False)
class Fuzz:
    """So many operations with this seed. `modes` are the ways in which writes fail.

    The store is in memory, under virtual time; or in files in a `directory`, and then the program's
    own times are multiplied by a small `pace`.
    """

    seed: int
    operations: int
    modes: Sequence[Mode] = MODES
    one_in: int = 40
    directory: Path | None = None
    pace: float = 1.0
    told: Told = attrs.field(factory=Told)
    lives: int = 0
    faults_struck: int = 0
    random: Random = attrs.field(init=False)
    _committed: list[tuple[Change, ...]] = attrs.field(factory=list)
    _files: int = 0
    _left: int = attrs.field(init=False)
    _numbers: int = 0
    _draining: bool = False
    _until: int = 0
    _busy: trio.Event = attrs.field(factory=trio.Event)
    _requests: list[tuple[str, str, str]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.random = Random(self.seed)
        self.told.certain = "written" not in self.modes
        self._left = self.operations

    async def run(self) -> list[str]:
        """Do them all; what was found wrong, if anything was."""
        while self._left > 0 and not self.told.wrong:
            self.lives += 1
            await self._life(min(self._left, self.random.randint(10, 200)))
        if not self.told.wrong:
            await self._last_life()
        return [f"seed {self.seed}, process {self.lives}: {wrong}" for wrong in self.told.wrong]

    # --- one process ---------------------------------------------------------------------------

    async def _life(self, operations: int) -> None:
        random, told = self.random, self.told
        end = random.choice(("close", "settle", "drain", "kill", "kill", "kill"))
        one_in = random.choice((self.one_in, 5 * self.one_in))
        clock = trio.current_time if self.directory is None else time.monotonic
        faults = RandomFaults(random, one_in, self.modes, clock, 8.0 * self.pace)
        told.store = store = self._store(faults)
        self._until, self._busy = self._left - operations, trio.Event()
        async with (
            trio.open_nursery() as process,
            self._opened(store) as runtime,
            trio.open_nursery() as readers,
        ):
            hands = self._hands(runtime)
            for session_id in self._sessions():
                readers.start_soon(self._follow, hands, session_id)
            async with trio.open_nursery() as clients:
                for _ in range(_CLIENTS):
                    clients.start_soon(self._client, hands, readers, clients)
                await self._busy.wait()
                if end == "kill":
                    await trio.sleep(random.uniform(0, 2.0) * self.pace)
                    told.frozen = True
                    await self._keep(store)
                    process.cancel_scope.cancel()
                elif end == "drain":
                    self._draining = True
                    await runtime.drain(random.uniform(0, 5.0) * self.pace)
            if end == "settle":
                faults.on = False
                await self._settle(hands)
            readers.cancel_scope.cancel()
        if not told.frozen and isinstance(store, FaultyMemory):
            self._committed = list(store.committed)
        self.faults_struck += faults.struck
        await self._look_at_what_is_left(store, end)

    async def _look_at_what_is_left(self, store: Store, end: str) -> None:
        told = self.told
        self._draining = told.frozen = False
        for reason in store.refusals if isinstance(store, FaultyMemory) else ():
            told.check(False, f"the store was asked for what cannot be: {reason}")
        told.done[f"processes ended by {end}"] += 1
        told.store = left = self._store(NoFaults())
        async with left:
            await told.check_store(left, f"after a {end}")

    async def _last_life(self) -> None:
        """All that is queued is run; then all is looked at once more."""
        self.told.store = store = self._store(NoFaults())
        async with self._opened(store) as runtime:
            await self._settle(self._hands(runtime))
            await self.told.check_store(store, "at the end")

    def _hands(self, runtime: Runtime) -> Hands:
        settled = _SETTLED if self.directory is None else 60.0
        return Hands(runtime, self.told, self.pace, end_patience=settled)

    def _store(self, faults: Faults) -> Store:
        """What the process before has left."""
        if self.directory is None:
            return FaultyMemory(faults, self._committed)
        return FaultySQL(self.directory / f"{self._files}.db", faults)

    async def _keep(self, store: Store) -> None:
        """The process dies now: keep what is committed."""
        if isinstance(store, FaultyMemory):
            self._committed = list(store.committed)
        elif self.directory is not None:
            file = self.directory / f"{self._files}.db"
            self._files += 1
            copy = self.directory / f"{self._files}.db"
            await trio.to_thread.run_sync(copy_database, file, copy)

    @asynccontextmanager
    async def _opened(self, store: Store) -> AsyncIterator[Runtime]:
        """A runtime, opened as soon as the store lets it be."""
        while True:
            agent = make_agent(self.told, self.pace)
            idle = 5.0 * self.pace
            runtime = Runtime(store, agents=[agent], limits=_LIMITS, idle_after=idle)
            try:
                await runtime.__aenter__()
            except StoreUnavailable:
                await trio.sleep(self.pace)
            else:
                break
        try:
            yield runtime
        finally:
            await runtime.__aexit__(None, None, None)  # noqa: ASYNC102 it shields itself

    async def _settle(self, hands: Hands) -> None:
        """The faults are over: all that is queued and in flight ends by itself, in good time."""
        runtime, told = hands.runtime, self.told
        left = await self._unended(hands)
        with trio.move_on_after(hands.end_patience):
            while left:
                await trio.sleep(self.pace)
                left = await self._unended(hands)
        told.check(not left, f"still not ended: {left}")
        await hands.answered("the store being well", runtime.store.wait_until_well)
        ready = runtime.status().unready
        told.check(ready is None, f"the faults are over, and it is not ready: {ready}")
        for session_id in self._sessions():
            run = await hands.send(session_id, f"{self._number()}: 0")
            await hands.hear(run)
            told.check(run.status == "completed", f"after the faults, a run is {run.status}")

    async def _unended(self, hands: Hands) -> list[str]:
        """The runs that are queued or in flight.

        One that was refused, and was written all the same, is nobody's until the next start.
        """
        list_runs = partial(hands.runtime.store.runs, None, ("queued", "running"))
        rows = await hands.again("list", list_runs)
        certain, admitted = self.told.certain, self.told.admitted
        return [f"{row.id} {row.status}" for row in rows if certain or row.id in admitted]

    async def _follow(self, hands: Hands, session_id: str) -> None:
        try:
            await hands.follow(session_id)
        except (StoreError, NotFound):
            await trio.lowlevel.checkpoint()

    # --- clients -------------------------------------------------------------------------------

    async def _client(self, hands: Hands, readers: trio.Nursery, waiters: trio.Nursery) -> None:
        does: dict[Callable[[Hands, str, trio.Nursery], Awaitable[None]], int] = {
            self._submit: 40,
            self._submit_again: 10,
            self._submit_twice: 3,
            self._stream: 8,
            self._cancel_one: 10,
            self._cancel_queued: 5,
            self._cancel_tool: 5,
            self._update: 4,
            self._delete: 1,
            self._describe: 4,
            self._list: 2,
        }
        random = self.random
        while self._left > self._until:
            self._left -= 1
            if self._left == self._until:
                self._busy.set()
            await trio.sleep(random.choice((0, 0, 0.01, 0.1, 1.0)) * random.random() * self.pace)
            sessions = self._sessions()
            if not sessions or (len(sessions) < _MOST_SESSIONS and random.random() < 0.1):
                with suppress(ShuttingDown, NoAnswer):
                    session_id = await hands.create()
                    readers.start_soon(self._follow, hands, session_id)
                continue
            (do,) = random.choices(list(does), list(does.values()))
            session_id = random.choice(sessions)
            name = do.__name__[1:].replace("_", " ")
            self.told.done[f"operations: {name}"] += 1
            try:
                await do(hands, session_id, waiters)
            except _UNAVAILABLE as error:
                self.told.done[f"{name}: {error.code}"] += 1
                draining = self._draining or not isinstance(error, ShuttingDown)
                self.told.check(draining, f"{name}: {error.message}, and nobody has drained it")
            except (NotFound, SessionDeleted) as error:
                gone = session_id in self.told.deleting
                self.told.check(gone, f"{name}: {error.message}, and nobody had it deleted")
            except (SessionBusy, MailboxFull) as error:
                self.told.done[f"{name}: {error.code}"] += 1
            except NoAnswer:
                return

    def _sessions(self) -> list[str]:
        return sorted(self.told.created - self.told.deleting)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _text(self) -> str:
        """A message of up to three steps of up to three calls; some take long."""
        random = self.random
        steps = [
            " ".join(
                random.choice(("0", "0", "0.01", "0.3", "2", "20"))
                for _ in range(random.choice((1, 1, 2, 3)))
            )
            for _ in range(random.choice((0, 1, 1, 2, 3)))
        ]
        return f"{self._number()}: {' | '.join(steps)}"

    async def _submit(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        on_busy: OnBusy = self.random.choice(("queue", "queue", "queue", "interrupt", "reject"))
        run = await hands.submit(session_id, self._text(), on_busy=on_busy)
        waiters.start_soon(hands.hear, run)

    async def _submit_again(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        """A message with a request id: a new one, or one that was sent before, in any process."""
        if not self._requests or self.random.random() < 0.5:
            number = self._number()
            text = f"{number}: 0 0.1"
            self._requests.append((session_id, text, f"request-{number}"))
            del self._requests[:-20]
        session, text, request_id = self.random.choice(self._requests)
        if session in self.told.deleting:
            return
        try:
            run = await hands.submit(session, text, request_id=request_id)
        except (NotFound, SessionDeleted) as error:
            # Its session is another one than that of the operation.
            gone = session in self.told.deleting
            self.told.check(gone, f"submit again: {error.message}, and nobody had it deleted")
        else:
            waiters.start_soon(hands.hear, run)

    async def _submit_twice(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        """The same request at the same time: one run, or none."""
        text, request_id = self._text(), f"twice-{self._numbers}"
        taken: list[Run] = []

        async def send() -> None:
            try:
                taken.append(await hands.submit(session_id, text, request_id=request_id))
            except (*_UNAVAILABLE, MailboxFull, NotFound, SessionDeleted):
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            nursery.start_soon(send)
        self.told.check(len({run.id for run in taken}) <= 1, f"{request_id}: two runs")
        for run in taken:
            waiters.start_soon(hands.hear, run)

    async def _stream(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        """Follow a run's own events, and leave it now and then: it goes on without its reader."""
        run = await hands.submit(session_id, self._text())
        waiters.start_soon(hands.hear, run)
        with trio.move_on_after(self.random.choice((0.5, 60.0)) * self.pace):
            async with run.reader() as reader:
                last = 0
                while batch := await reader.receive():
                    for published in batch:
                        grew = published.id > last and published.run_id == run.id
                        self.told.check(grew, f"run {run.id}: event {published.id} after {last}")
                        last = published.id

    async def _cancel_one(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        runs = [run for run, (session, _) in self.told.admitted.items() if session == session_id]
        if runs:
            cancel = partial(hands.runtime.cancel_run, session_id, self.random.choice(runs[-8:]))
            await hands.cancel("cancel of a run", cancel)

    async def _cancel_queued(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        await hands.cancel("cancel of all", partial(hands.runtime.cancel, session_id, queued=True))

    async def _cancel_tool(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        store = hands.runtime.store
        for run in await store.runs(session_id, ("running",)):
            step = await store.pending_step(run.id)
            if step is not None:
                use = self.random.choice(step.message.tool_uses)
                ask = partial(hands.runtime.cancel_tool, session_id, run.id, use.id)
                receipt = await hands.answered("cancel of a tool", ask)
                stopped = all(tool.outcome for each in receipt.cancelled for tool in each.tools)
                self.told.check(stopped, f"a tool call has no outcome: {receipt}")
                return

    async def _update(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        if len(self.told.titles[session_id]) == 1:  # one client at a time
            await hands.retitle(session_id, f"Title {self._number()}")

    async def _delete(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        await hands.delete(session_id)

    async def _describe(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        # What is read while a change is under way may be older than its end.
        before = tuple(self.told.titles[session_id])
        view = await hands.answered("describe", partial(hands.runtime.describe, session_id))
        titles = (*before, *self.told.titles[session_id])
        self.told.check(view.title in titles, f"{session_id} is titled {view.title}, not {titles}")

    async def _list(self, hands: Hands, session_id: str, waiters: trio.Nursery) -> None:
        page = await hands.answered("list", partial(hands.runtime.sessions, 1000))
        shown = {view.id for view in page.sessions}
        back = shown & self.told.deleted
        self.told.check(not back, f"{back} were deleted, and are listed")
        await hands.answered("list", partial(hands.runtime.runs, session_id))
