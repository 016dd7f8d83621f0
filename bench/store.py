"""Appends a second from 50 writers: one commit each, against the store's group commit.

Both append the same rows of 1 KiB to the same tables. The naive one does what one would write
first: a thread for each append, an INSERT and a COMMIT in it, one writer at a time.
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import trio

from bench._report import Row
from wingman.conversation import Message, TextBlock, Usage
from wingman.events import Result
from wingman.store import (
    CeilingRaised,
    RunEnded,
    RunQueued,
    RunRecord,
    RunStarted,
    SessionRecord,
    SessionSaved,
)
from wingman.store.sqlite import SQLStore, Synchronous

NOW = datetime(2025, 5, 17, 12, tzinfo=UTC)
WRITERS = 50
ROUNDS = 5
SECONDS = 0.6

TEXT = "x" * 1024
USAGE = Usage(1000, 100)

Append: TypeAlias = Callable[[int, int], Awaitable[None]]
"""Append once: the writer's number, and how often it has appended before."""

_INSERT = """
INSERT INTO runs (id, session_id, message, agent_id, status, created_at, steps, usage)
VALUES (?, ?, ?, 'a', 'queued', '2025-05-17T12:00:00Z', 0, '{}')"""


async def rate(append: Append) -> float:
    """How often a second all writers together append."""
    appended = 0

    async def write(writer: int) -> None:
        nonlocal appended
        mine = 0
        while time.perf_counter() < end:
            await append(writer, mine)
            mine += 1
            appended += 1

    begin = time.perf_counter()
    end = begin + SECONDS
    async with trio.open_nursery() as nursery:
        for writer in range(WRITERS):
            nursery.start_soon(write, writer)
    return appended / (time.perf_counter() - begin)


async def naive(path: Path, synchronous: Synchronous) -> float:
    async with SQLStore(path):
        pass  # the tables
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    one_at_a_time = trio.CapacityLimiter(1)

    def insert(run_id: str, session_id: str) -> None:
        connection.execute("BEGIN")
        connection.execute(_INSERT, (run_id, session_id, TEXT))
        connection.execute("COMMIT")

    async def append(writer: int, number: int) -> None:
        await trio.to_thread.run_sync(
            insert, _id(writer, number), f"session-{writer}", limiter=one_at_a_time
        )

    try:
        return await rate(append)
    finally:
        connection.close()


async def grouped(path: Path, synchronous: Synchronous) -> float:
    async with SQLStore(path, synchronous=synchronous) as store:
        await _sessions(store)

        async def append(writer: int, number: int) -> None:
            await store.write(RunQueued(_run(writer, number))).wait()

        return await rate(append)


async def turns(path: Path, synchronous: Synchronous) -> float:
    """Text turns: three writes, of which the first and the last are awaited."""
    async with SQLStore(path, synchronous=synchronous) as store:
        await _sessions(store)

        async def turn(writer: int, number: int) -> None:
            run = _run(writer, number)
            await store.write(RunQueued(run)).wait()
            message = Message.user(TEXT)
            store.write(RunStarted(run.session_id, run.id, run.created_at, message, 1000))
            answer = Message("assistant", (TextBlock(TEXT),))
            ended = RunEnded(
                session_id=run.session_id,
                run_id=run.id,
                status="completed",
                ended_at=run.created_at,
                steps=1,
                usage=USAGE,
                messages=(answer,),
                result=Result(run.id, TEXT, "end_turn", 1, (), USAGE),
                session_usage=USAGE,
                last_event_id=number,
            )
            await store.write(ended).wait()

        return await rate(turn)


async def alone(path: Path, synchronous: Synchronous) -> float:
    """The median time, in microseconds, that one who awaits each of its writes waits for one."""
    async with SQLStore(path, synchronous=synchronous) as store:
        await _sessions(store)
        took: list[float] = []
        end = time.perf_counter() + SECONDS
        while (begin := time.perf_counter()) < end:
            await store.write(CeilingRaised("session-0", len(took))).wait()
            took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1e6


async def _sessions(store: SQLStore) -> None:
    records = (
        SessionRecord(
            id=f"session-{writer}",
            work_dir="/",
            title=None,
            agent_id="a",
            created_at=NOW,
            updated_at=NOW,
        )
        for writer in range(WRITERS)
    )
    await store.write(*map(SessionSaved, records)).wait()


def _id(writer: int, number: int) -> str:
    """Ids grow with time, as the runtime's do."""
    return f"run-{number:09}-{writer:02}"


def _run(writer: int, number: int) -> RunRecord:
    return RunRecord(
        id=_id(writer, number),
        session_id=f"session-{writer}",
        message=TEXT,
        agent_id="a",
        agent=None,
        created_at=NOW,
    )


def measure() -> list[Row]:
    """Medians of interleaved rounds, on the temporary directory's disk."""
    return trio.run(_measure)


async def _measure() -> list[Row]:
    kinds = {"naive": naive, "grouped": grouped, "turns": turns, "alone": alone}
    modes: tuple[Synchronous, ...] = ("normal", "full")
    rates: dict[tuple[str, Synchronous], list[float]] = {
        (kind, mode): [] for mode in modes for kind in kinds
    }
    for _ in range(ROUNDS):
        for (kind, mode), measured in rates.items():
            with tempfile.TemporaryDirectory() as directory:
                measured.append(await kinds[kind](Path(directory) / "bench.db", mode))
    rows: list[Row] = []
    for mode, goal in zip(modes, ("≥ 4", "≥ 10"), strict=True):
        naive_rate, grouped_rate, turn_rate, latency = (
            statistics.median(rates[kind, mode]) for kind in kinds
        )
        rows += [
            Row(f"naive append, {mode}", naive_rate, "/s"),
            Row(f"group commit, {mode}", grouped_rate, "/s"),
            Row(f"group commit, {mode}", grouped_rate / naive_rate, "×", "naive append", goal),
            Row(f"text turns, {mode}", turn_rate, "/s"),
            Row(f"one awaiter's write, {mode}", latency, "µs"),
        ]
    return rows
