"""The agent of a run is kept as it was at admission, and once for all runs that have it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from store.samples import agent, ended, run, session, started
from wingman.store import RunQueued, SessionErased, SessionSaved, Store
from wingman.store.sqlite import SQLStore

LONG = msgspec.structs.replace(agent(), instructions="Be brief. " * 2000)
OTHER = msgspec.structs.replace(LONG, max_steps=8)


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[tuple[SQLStore, Path]]:
    path = tmp_path / "w.db"
    async with SQLStore(path, synchronous="normal") as store:
        yield store, path


def versions(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM agent_versions").fetchone()
        return int(count)


async def test_a_run_keeps_its_agent_as_it_was_whatever_becomes_of_others(store: Store) -> None:
    store.write(SessionSaved(session("s1")), SessionSaved(session("s2")))
    store.write(RunQueued(run("r1", "s1", agent=LONG)))
    store.write(RunQueued(run("r2", "s1", agent=OTHER)), RunQueued(run("r3", "s2", agent=LONG)))
    await store.write(RunQueued(run("r4", "s2"))).wait()
    assert [each.agent for each in await store.runs()] == [LONG, OTHER, LONG, None]
    await store.write(SessionErased("s1")).wait()
    assert [each.agent for each in await store.runs()] == [LONG, None]
    found = await store.session_with_queue("s2")
    assert found is not None
    assert [each.agent for each in found[1]] == [LONG, None]


async def test_twenty_kilobytes_of_instructions_cost_a_turn_next_to_nothing(
    file: tuple[SQLStore, Path],
) -> None:
    store, path = file
    await store.write(SessionSaved(session("s1")), RunQueued(run("r0", agent=LONG))).wait()

    def size() -> int:
        with closing(sqlite3.connect(path)) as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            return int(pages) * 4096

    before = size()
    for number in range(1, 101):
        id = f"r{number}"
        store.write(RunQueued(run(id, agent=LONG)), started(id))
        await store.write(ended(id)).wait()
    assert (size() - before) / 100 < 2500
    assert versions(path) == 1


async def test_a_version_goes_with_the_last_run_that_has_it(file: tuple[SQLStore, Path]) -> None:
    store, path = file
    for number in range(150):
        store.write(SessionSaved(session(f"s{number}")))
        store.write(RunQueued(run(f"r{number}", f"s{number}", agent=LONG if number else OTHER)))
    await store.write(RunQueued(run("lost", "nowhere", agent=agent()))).wait()
    assert versions(path) == 2
    await store.write(SessionErased("s0")).wait()
    assert versions(path) == 1
    await store.write(*(SessionErased(f"s{number}") for number in range(1, 150))).wait()
    assert versions(path) == 0


async def test_a_version_that_comes_as_the_last_run_with_it_goes_stays(
    file: tuple[SQLStore, Path],
) -> None:
    store, path = file
    for id in ("s1", "s2"):
        store.write(SessionSaved(session(id)))
    await store.write(RunQueued(run("r1", "s1", agent=LONG))).wait()
    store.write(SessionErased("s1"))
    await store.write(RunQueued(run("r2", "s2", agent=LONG))).wait()
    assert versions(path) == 1
    [record] = await store.runs()
    assert record.agent == LONG
