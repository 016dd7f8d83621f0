"""Claims: a start, lists, and sessions of a dead node, with 100,000 sessions stored in PostgreSQL.

Stored sessions have had one turn each, on a node that is dead: so the first message to one of them
has it claimed and read. What is done among them is measured in process, and set against the same
among few. PostgreSQL is a private server on this machine, with its defaults.
"""

import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import trio

from bench._among import in_any_store, names, repeated
from bench._models import TEXT
from bench._report import Row
from bench._rounds import Comparison, Contender, Figure, compare
from bench._servers import as_served, free_port, started
from bench._stored import store_sessions
from wingman import Runtime

# The PostgreSQL server belongs to the tests, and pytest finds it there too.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from postgres_kit import a_cluster, is_installed

DONE: Final = (
    "a turn in a session of a dead node",
    "a turn in a new session, and its end",
    "a page of sessions",
    "a page of runs",
    "a page of failed runs",
)


def _among(runtime: Runtime, stored: int, times: int) -> dict[str, Contender]:
    """What is done among so many stored sessions; each is claimed once at most."""
    left = iter(names(stored))

    async def claim_and_talk() -> None:
        session = await runtime.session(next(left))
        await session.run("go")

    done = (claim_and_talk, *in_any_store(runtime))
    return {what: partial(repeated, work, times) for what, work in zip(DONE, done, strict=True)}


async def _measured(urls: dict[int, str], times: int, rounds: int) -> Comparison:
    contenders: dict[str, Contender] = {}
    async with AsyncExitStack() as stack:
        for count, url in urls.items():
            runtime = await stack.enter_async_context(Runtime(url, agents=[TEXT]))
            for what, work in _among(runtime, count, times).items():
                contenders[f"{what}, {count}"] = work
        return await compare(contenders, rounds)


async def _healthy_after(url: str) -> float:
    port = free_port()
    command = [sys.executable, "-m", "wingman", "serve", "--port", str(port), "--db", url]
    async with started(command, port) as server:
        return server.healthy_after


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some minutes, or some seconds."""
    if not is_installed():
        return [Row.unmeasured("many sessions in PostgreSQL", "PostgreSQL is not installed")]
    few, many = (200, 1_000) if quick else (1_000, 100_000)
    with a_cluster() as cluster, as_served():
        urls = {count: cluster.database(f"stored{count}") for count in (few, many)}
        for count, url in urls.items():
            trio.run(store_sessions, url, names(count), TEXT.name)
            cluster.run("ANALYZE", f"stored{count}")
        starts = {
            count: Figure.of(trio.run(_healthy_after, url) for _ in range(1 if quick else 5))
            for count, url in urls.items()
        }
        found = trio.run(_measured, urls, 5 if quick else 20, 2 if quick else 7)
    rows = [Row(f"healthy after, {count:,} stored", starts[count], "s") for count in urls]
    for what in DONE:
        beside = found.dearness(f"{what}, {many}", f"{what}, {few}")
        rows += [
            Row(f"{what}, {few:,} stored", found.each(f"{what}, {few}") * 1e3, "ms"),
            Row(f"{what}, {many:,} stored", beside, "×", f"{few:,}"),
        ]
    return rows
