"""Chains, whatever is written on them in whatever order, whichever commits fail."""

import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from store.faults import FailingCommits
from store.samples import run, session
from wingman.errors import StoreError
from wingman.store import Chain, Commit, RunQueued, SessionSaved
from wingman.store.sqlite import SQLStore

CHAINS = 3


@attrs.frozen
class Write:
    """One run is queued. `chain` is None for a write that depends on nothing; a bad one fails."""

    chain: int | None
    bad: bool


@attrs.frozen
class Pause:
    """So many turns of the event loop, in which commits are made."""

    turns: int


writes = st.builds(
    Write, st.none() | st.integers(0, CHAINS - 1), st.sampled_from([False] * 7 + [True])
)
scripts = st.lists(
    writes | st.builds(Pause, st.sampled_from([1, 2, 5, 50])), min_size=1, max_size=40
)
codes = st.sampled_from([sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR])


@attrs.frozen
class Written:
    """A write, and what was told of it: by `then`, by `wait`."""

    id: str
    write: Write
    commit: Commit
    told: list[StoreError | None] = attrs.Factory(list)

    async def failure(self) -> StoreError | None:
        try:
            await self.commit.wait()
        except StoreError as error:
            return error
        return None


async def check(
    script: Sequence[Write | Pause], chosen: set[int], code: int, directory: Path
) -> None:
    store = SQLStore(directory / "w.db", synchronous="normal", probe_every=0.001)
    faults = FailingCommits(store, chosen, code)
    async with store:
        while not await store.sessions_with_queue():  # a run that is there, to collide with
            try:
                await store.write(SessionSaved(session()), RunQueued(run("r"))).wait()
            except StoreError:
                await store.wait_until_well()
        chains = [Chain() for _ in range(CHAINS)]
        written: list[Written] = []
        for number, step in enumerate(script):
            if isinstance(step, Pause):
                for _ in range(step.turns):
                    await trio.sleep(0.0001 if step.turns == 50 else 0)
                continue
            chain = None if step.chain is None else chains[step.chain]
            id = "r" if step.bad else f"r{number}"
            one = Written(id, step, store.write(RunQueued(run(id)), chain=chain))
            one.commit.then(one.told.append)
            written.append(one)
        for chain in chains:
            await chain.settled()
        failures = [await one.failure() for one in written]
        kept = [each.id for each in await store.runs()]
    async with SQLStore(directory / "w.db") as store:
        assert [each.id for each in await store.runs()] == kept  # what was said last is true
    # Each commit told the truth, the same to all, and once; what is kept came in order.
    assert kept == ["r", *(w.id for w, f in zip(written, failures, strict=True) if f is None)]
    for one, failure in zip(written, failures, strict=True):
        assert [str(told) for told in one.told] == [str(failure)]
        assert failure is not None or not one.write.bad
    # Of each chain, what came before its first failure is kept, and nothing of what came after.
    for index, chain in enumerate(chains):
        of_chain = [f for w, f in zip(written, failures, strict=True) if w.write.chain == index]
        first = next((place for place, f in enumerate(of_chain) if f is not None), len(of_chain))
        reasons = {str(failure) for failure in of_chain[first:]}
        assert reasons == (set() if chain.failure is None else {str(chain.failure)})
    assert faults.commits > 0


@settings(max_examples=60, deadline=None)
@given(scripts, st.sets(st.integers(1, 12), max_size=4), codes)
def test_a_chain_keeps_all_before_its_first_failure_and_nothing_after_it(
    script: list[Write | Pause], chosen: set[int], code: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        trio.run(check, script, chosen, code, Path(directory))
