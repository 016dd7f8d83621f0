"""Memory: what a process holds after many turns, after large ones, and for one live session.

Each measurement has a process of its own, over SQLite, set as `wingman serve` sets it. *Warm* is
after the first turns, whose sessions are passivated; then come many more, in ever new sessions, and
these are passivated as well: what is left beyond what was there when warm has leaked, or waits for
a collection. A live session is measured after one answer of 4,000 pieces.
"""

import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import trio

from bench._machine import memory
from bench._models import text
from bench._report import Row
from bench._servers import as_served
from wingman import Agent, Runtime

TURNS_EACH: Final = 10
AT_ONCE: Final = 16
DELTAS: Final = 4_000
GOAL: Final = "≤ 1.3"
MEGABYTE: Final = 1024 * 1024

SHORT: Final = text("short", "A short answer.")
LARGE: Final = text("large", *["x" * 1024] * 1024)
PIECES: Final = text("pieces", *["word "] * DELTAS)

Measurement: TypeAlias = Callable[[Path, int], Awaitable[dict[str, float]]]


async def many(database: Path, turns: int) -> dict[str, float]:
    """RSS after a few turns and after many, each time when all sessions are passivated."""
    return await _growth(database, SHORT, turns // TURNS_EACH, TURNS_EACH, warm=100)


async def large(database: Path, turns: int) -> dict[str, float]:
    """The same with turns of a megabyte each."""
    return await _growth(database, LARGE, turns, 1, warm=4)


async def _growth(
    database: Path, agent: Agent, sessions: int, turns: int, warm: int
) -> dict[str, float]:
    async with Runtime(database, agents=[agent], idle_after=0.2) as runtime:
        await _talk(runtime, agent, warm, turns)
        await _all_passivated(runtime)
        before = memory()
        await _talk(runtime, agent, sessions, turns)
        await _all_passivated(runtime)
        after = memory()
        gc.collect()
        return {"warm": before, "after": after, "collected": memory()}


async def _talk(runtime: Runtime, agent: Agent, sessions: int, turns: int) -> None:
    """So many new sessions, some at a time, with so many turns each."""
    left = iter(range(sessions))

    async def work() -> None:
        for _ in left:
            session = await runtime.create_session(agent)
            for _ in range(turns):
                await session.run("go")

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(work)


async def _all_passivated(runtime: Runtime) -> None:
    with trio.fail_after(60):
        while runtime.status().actors:  # noqa: ASYNC110 a runtime does not tell this
            await trio.sleep(0.1)


async def live(database: Path, sessions: int) -> dict[str, float]:
    """RSS before and after so many sessions have had an answer of many pieces, and stay live."""
    async with Runtime(database, agents=[PIECES], idle_after=None) as runtime:
        await _talk(runtime, PIECES, 4, 1)
        gc.collect()
        before = memory()
        await _talk(runtime, PIECES, sessions, 1)
        gc.collect()
        return {"before": before, "after": memory()}


MEASUREMENTS: Final[dict[str, Measurement]] = {"many": many, "large": large, "live": live}


def _in_a_process(name: str, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "bench.memory", name, f"{directory}/bench.db", str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(quick: bool) -> list[Row]:
    """Measure all of it; a minute, or some seconds."""
    turns, megabytes, sessions = (2_000, 20, 10) if quick else (45_000, 150, 100)
    small = _in_a_process("many", turns)
    big = _in_a_process("large", megabytes)
    kept = _in_a_process("live", sessions)
    grown = small["after"] / small["warm"]
    held = (kept["after"] - kept["before"]) / sessions
    rows = [
        Row("RSS, warm", small["warm"] / MEGABYTE, "MB"),
        Row(f"RSS after {turns:,} turns", small["after"] / MEGABYTE, "MB"),
        Row(f"RSS after {turns:,} turns", grown, "×", "warm", None if quick else GOAL),
        Row(f"RSS after {turns:,} turns, collected", small["collected"] / MEGABYTE, "MB"),
        Row("RSS, warm with turns of 1 MB", big["warm"] / MEGABYTE, "MB"),
        Row(f"RSS after {megabytes} turns of 1 MB", big["after"] / MEGABYTE, "MB"),
        Row(f"RSS after {megabytes} turns of 1 MB", big["after"] / big["warm"], "×", "warm"),
        Row(f"RSS after {megabytes} turns of 1 MB, collected", big["collected"] / MEGABYTE, "MB"),
        Row(f"a live session after {DELTAS:,} pieces", held / 1024, "KB"),
    ]
    if quick:
        why = f"With --quick there are {turns:,}."
        rows.append(Row.unmeasured("RSS after 45,000 turns ÷ warm", why, GOAL))
    return rows


if __name__ == "__main__":
    name, database, count = sys.argv[1:]
    with as_served():
        print(json.dumps(trio.run(MEASUREMENTS[name], Path(database), int(count))))
