"""Scale: with few and with many sessions stored, live ones, and queued runs at the start.

Stored sessions have had one turn each. What is done among them is measured in process, over
SQLite, and set against the same among few. A start is `wingman serve` over a database in which so
many sessions have a queued run each, until `/health` says that all is well.
"""

import gc
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import trio

from bench._among import in_any_store, names, repeated
from bench._machine import memory
from bench._models import TEXT
from bench._report import Row
from bench._rounds import Comparison, Contender, Figure, compare
from bench._servers import as_served, wingman_serve
from bench._stored import NOW, store_queue, store_sessions
from wingman import Runtime
from wingman.api import AgentRecord, ProviderConfig

KEYLESS: Final = AgentRecord(
    "keyless", "keyless", "", (), ProviderConfig("scripted"), None, None, NOW, NOW
)

GOAL: Final = "≤ 1.5"
"""Seconds until a server is healthy that starts with 10,000 queued runs."""

DONE: Final = (
    "a new session's turn, and its end",
    "reading a session",
    "a page of sessions",
    "a page of runs",
    "a page of failed runs",
)


def _among(runtime: Runtime, stored: int, times: int) -> dict[str, Contender]:
    """What is done among so many stored sessions; each is read once at most."""
    left = iter(names(stored))

    async def read() -> None:
        await runtime.describe(next(left))

    create_and_talk, *lists = in_any_store(runtime)
    done = (create_and_talk, read, *lists)
    return {what: partial(repeated, work, times) for what, work in zip(DONE, done, strict=True)}


async def _stored(counts: tuple[int, ...], times: int, rounds: int) -> Comparison:
    contenders: dict[str, Contender] = {}
    async with AsyncExitStack() as stack:
        for count in counts:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            database = Path(directory, "bench.db")
            await store_sessions(database, names(count), TEXT.name)
            runtime = await stack.enter_async_context(Runtime(database, agents=[TEXT]))
            for what, work in _among(runtime, count, times).items():
                contenders[f"{what}, {count}"] = work
        return await compare(contenders, rounds)


async def _live(counts: tuple[int, ...], times: int) -> list[Row]:
    """A turn among so many live sessions, and what each of these holds."""
    rows: list[Row] = []
    few: Figure | None = None
    for count in counts:
        async with Runtime(agents=[TEXT], idle_after=None) as runtime:
            gc.collect()
            before = memory()
            sessions = [await runtime.create_session(TEXT) for _ in range(count)]
            for session in sessions:
                await session.run("go")
            held = (memory() - before) / count
            watches = []
            for _ in range(5):
                took = await repeated(partial(sessions[0].run, "go"), times)
                watches.append(took.cpu)
        turn = Figure.of(watches)
        few = few or turn
        rows.append(Row(f"turn among {count:,} live, CPU", turn * 1e6, "µs"))
        if count > counts[0]:
            rows.append(Row(f"turn among {count:,} live", turn * (1 / few.value), "×", "among 10"))
            rows.append(Row(f"a live session, of {count:,}", held / 1024, "KB"))
    return rows


async def healthy_after(queued: int) -> float:
    """Seconds until a server is healthy that starts with so many queued runs."""
    with tempfile.TemporaryDirectory() as directory:
        database = Path(directory, "bench.db")
        await store_queue(database, KEYLESS, queued)
        async with wingman_serve(database) as server:
            return server.healthy_after


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some minutes, or some seconds."""
    few, many = (100, 1_000) if quick else (1_000, 100_000)
    live = (10, 200) if quick else (10, 1_000, 10_000)
    queued = (0, 200) if quick else (0, 1_000, 10_000)
    rows: list[Row] = []
    with as_served():
        found = trio.run(_stored, (few, many), 5 if quick else 20, 2 if quick else 7)
        for what in DONE:
            beside = found.dearness(f"{what}, {many}", f"{what}, {few}")
            rows += [
                Row(f"{what}, {few:,} stored", found.each(f"{what}, {few}") * 1e3, "ms"),
                Row(f"{what}, {many:,} stored", beside, "×", f"{few:,}"),
            ]
        rows += trio.run(_live, live, 10 if quick else 50)
    for count in queued:
        goal = GOAL if count == 10_000 else None
        after = Figure.of(trio.run(healthy_after, count) for _ in range(1 if quick else 3))
        rows.append(Row(f"healthy with {count:,} queued runs after", after, "s", goal=goal))
    if quick:
        why = f"With --quick there are {queued[-1]}."
        rows.append(Row.unmeasured("healthy with 10,000 queued runs after", why, GOAL))
    return rows
