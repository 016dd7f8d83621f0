"""What a page of runs costs a store in memory: the page, however many other runs there are."""

from collections.abc import Sequence

import pytest

from store.samples import run, session
from wingman.api import Status
from wingman.store import MemoryStore, RunQueued, RunStatus, SessionDeleting, SessionSaved
from wingman.store.memory import kept, order

FEW, MANY, LIMIT = 100, 1_000, 10


async def filled(count: int) -> MemoryStore:
    """So many runs: of each ten, one is of a session of its own, and one has failed."""
    store = MemoryStore()
    await store.write(*(SessionSaved(session(id)) for id in ("s1", "s2", "s3"))).wait()
    for number in range(count):
        status: RunStatus = "failed" if number % 10 == 3 else "completed"
        new = run(f"r{number}", "s2" if number % 10 == 7 else "s1", status=status)
        await store.write(RunQueued(new), RunQueued(run(f"gone{number}", "s3"))).wait()
    await store.write(SessionDeleting("s3")).wait()
    return store


@pytest.mark.parametrize("session_id", [None, "s1", "s2"])
@pytest.mark.parametrize(
    "statuses",
    [(), ("completed",), ("failed",), ("failed", "completed"), ("queued",), ("cancelling",)],
    ids=lambda statuses: "+".join(statuses) or "any",
)
async def test_a_page_of_runs_looks_at_as_many_among_few_and_many(
    monkeypatch: pytest.MonkeyPatch, session_id: str | None, statuses: Sequence[Status]
) -> None:
    looks = {}
    for count in (FEW, MANY):
        store = await filled(count)
        looks[count] = 0

        def seq(run: kept.Run) -> int:
            looks[count] += 1  # noqa: B023  (called before the next round)
            return run.seq

        def places(runs: Sequence[kept.Run], before: int | None, backwards=order._backwards):
            for each in backwards(runs, before):
                looks[count] += 1  # noqa: B023
                yield each

        with monkeypatch.context() as patch:
            patch.setattr(order, "_seq", seq)
            patch.setattr(order, "_backwards", places)
            for before in (None, count, 30):
                await store.run_page(session_id, statuses, LIMIT, before, {"r5", "r17"})
    # More only by the steps of a binary search.
    assert looks[MANY] <= looks[FEW] + 80


async def test_runs_of_a_session_that_is_being_deleted_cost_a_page_nothing() -> None:
    store = await filled(FEW)
    page = await store.run_page(None, (), 1_000)
    assert [each.record.id for each in page.runs] == [f"r{n}" for n in reversed(range(FEW))]
    assert set(store._ledger.order._things) == {
        (session_id, status)
        for session_id in (None, "s1", "s2")
        for status in (None, "completed", "failed")
        if (session_id, status) != ("s2", "failed")
    }
