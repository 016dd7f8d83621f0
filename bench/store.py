"""The store: appends a second from 50 writers, one commit each against group commits.

Both append the same rows of 1 KiB to the same tables, in a new database each round. The naive one
does what one would write first: a thread for each append, an INSERT and a COMMIT in it, one writer
at a time.
"""

import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio

from bench._report import Row
from bench._rounds import Comparison, Contender, Stopwatch, Took, compare
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

TEXT = "x" * 1024
USAGE = Usage(1000, 100)

Append: TypeAlias = Callable[[int, int], Awaitable[None]]
"""Append once: the writer's number, and how often it has appended before."""

Kind: TypeAlias = Callable[[Path, Synchronous, float], Awaitable[Took]]
"""One way to append: a new database's path, its mode, and for how many seconds."""

_INSERT = """
INSERT INTO runs (id, session_id, message, agent_id, status, created_at, steps, usage)
VALUES (?, ?, ?, 'a', 'queued', '2025-05-17T12:00:00Z', 0, '{}')"""


async def appending(append: Append, seconds: float, writers: int = WRITERS) -> Took:
    """An append, while all writers together append for so long."""
    appended = 0

    async def write(writer: int) -> None:
        nonlocal appended
        mine = 0
        while time.perf_counter() < end:
            await append(writer, mine)
            mine += 1
            appended += 1

    watch = Stopwatch()
    end = time.perf_counter() + seconds
    with watch.running():
        async with trio.open_nursery() as nursery:
            for writer in range(writers):
                nursery.start_soon(write, writer)
    return watch.each(appended)


async def naive(path: Path, synchronous: Synchronous, seconds: float) -> Took:
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
        return await appending(append, seconds)
    finally:
        connection.close()


async def grouped(path: Path, synchronous: Synchronous, seconds: float) -> Took:
    async with SQLStore(path, synchronous=synchronous) as store:
        await _sessions(store)

        async def append(writer: int, number: int) -> None:
            await store.write(RunQueued(_run(writer, number))).wait()

        return await appending(append, seconds)


async def turns(path: Path, synchronous: Synchronous, seconds: float) -> Took:
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

        return await appending(turn, seconds)


async def alone(path: Path, synchronous: Synchronous, seconds: float) -> Took:
    """One who awaits each of its writes, alone."""
    async with SQLStore(path, synchronous=synchronous) as store:
        await _sessions(store)

        async def append(_writer: int, number: int) -> None:
            await store.write(CeilingRaised("session-0", number)).wait()

        return await appending(append, seconds, writers=1)


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


async def _in_a_new_database(kind: Kind, synchronous: Synchronous, seconds: float) -> Took:
    with tempfile.TemporaryDirectory() as directory:
        return await kind(Path(directory) / "bench.db", synchronous, seconds)


async def _measured(quick: bool) -> Comparison:
    kinds: dict[str, Kind] = {"naive": naive, "grouped": grouped, "turns": turns, "alone": alone}
    modes: tuple[Synchronous, ...] = ("normal", "full")
    seconds = 0.2 if quick else 0.6
    contenders: dict[str, Contender] = {
        f"{kind}, {mode}": partial(_in_a_new_database, kinds[kind], mode, seconds)
        for mode in modes
        for kind in kinds
    }
    return await compare(contenders, rounds=3 if quick else 9)


def measure(quick: bool) -> list[Row]:
    """Measure all of it, on the temporary directory's disk."""
    found = trio.run(_measured, quick)
    rows: list[Row] = []
    for mode, goal in (("normal", "≥ 4"), ("full", "≥ 10")):
        ratio = found.speed(f"grouped, {mode}", f"naive, {mode}")
        rows += [
            Row(f"naive append, {mode}", found.rate(f"naive, {mode}"), "a second"),
            Row(f"group commit, {mode}", found.rate(f"grouped, {mode}"), "a second"),
            Row(f"group commit, {mode}", ratio, "×", "naive append", goal),
            Row(f"text turns, {mode}", found.rate(f"turns, {mode}"), "a second"),
            Row(f"one awaiter's write, {mode}", found.each(f"alone, {mode}") * 1e6, "µs"),
        ]
    return rows
