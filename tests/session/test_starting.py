"""A start: what an earlier process has left is taken up in few reads, while messages are taken."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import echo, idle, opened
from store.samples import recorded, run, session, started
from wingman import Limits
from wingman.errors import NotFound
from wingman.metrics import Metrics
from wingman.session.recovery import settle_leftovers
from wingman.store import MemoryStore, RunQueued, SessionSaved
from wingman.store.sqlite import SQLStore

MANY = 300


class CountedStore(MemoryStore):
    """Counts what is read, and holds up the reading of queues until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.most_asked = 0
        self.free = trio.Event()

    def __getattribute__(self, name: str) -> Any:
        if name in ("runs", "run", "session", "session_with_queue", "cut_off", "pending_step"):
            self.reads[name] += 1
        return super().__getattribute__(name)

    async def queues(self, session_ids: Sequence[str]) -> Any:
        self.reads["queues"] += 1
        if len(session_ids) > 1:
            self.most_asked = max(self.most_asked, len(session_ids))
            await self.free.wait()
        return await super().queues(session_ids)


def fill(store: Any, sessions: int, queued: int = 1) -> None:
    """Sessions of the agent `echo`, each with so many queued runs."""
    for number in range(sessions):
        store.write(SessionSaved(session(f"s{number}", agent_id="echo", work_dir="/")))
        for turn in range(queued):
            text = f"{number}, {turn}"
            store.write(
                RunQueued(run(f"r{number}-{turn}", f"s{number}", message=text, agent_id="echo"))
            )


async def until(true: Callable[[], bool]) -> None:
    """Wait until this is true."""
    while not true():  # noqa: ASYNC110
        await trio.sleep(0.1)


async def test_queued_runs_are_read_in_batches_and_all_of_them_end(
    autojump_clock: MockClock,
) -> None:
    store = CountedStore()
    fill(store, MANY)
    async with opened(echo(), store=store, limits=Limits(runs=16)) as runtime:
        assert store.reads["queues"] == store.reads["session_with_queue"] == 0
        assert runtime.status().waiting == MANY
        store.free.set()
        await until(lambda: idle(runtime))
        assert {each.status for each in await store.runs()} == {"completed"}
        assert store.reads["queues"] == 3
        assert store.reads["session_with_queue"] == 0


async def test_sessions_become_live_as_there_is_room_and_not_all_at_once(
    autojump_clock: MockClock,
) -> None:
    store = CountedStore()
    store.free.set()
    fill(store, MANY)
    helper = echo(delay=1)
    async with opened(helper, store=store, limits=Limits(runs=2), idle_after=5) as runtime:
        most = 0
        while not idle(runtime):  # noqa: ASYNC110
            most = max(most, len(runtime._host.active.all()))
            assert runtime.status().in_flight <= 2
            await trio.sleep(1)
        assert {each.status for each in await store.runs()} == {"completed"}
        assert most <= 128 + 16


async def test_a_session_whose_queue_is_not_taken_up_yet_is_seen_and_served_as_one_that_is(
    autojump_clock: MockClock,
) -> None:
    store = CountedStore()
    fill(store, 12, queued=2)
    async with opened(echo(), store=store, limits=Limits(runs=3)) as runtime:
        await wait_all_tasks_blocked()
        assert not runtime._host.active.all()
        assert (await runtime.describe("s0")).status == "queued"
        assert {each.status for each in (await runtime.sessions()).sessions} == {"queued"}
        # Its handle, and its result.
        assert (await (await runtime.run("s1", "r1-1")).result()).response == "1, 1"
        assert (await (await runtime.find_run("r2-0")).result()).response == "2, 0"
        # A wait for its end.
        assert (await runtime.describe_run("s3", "r3-1", wait=5)).status == "completed"
        # A new message, which comes after those that waited.
        new = await (await runtime.session("s4")).submit("new")
        assert (await new.result()).response == "new"
        assert [each.status for each in await store.runs("s4")] == ["completed"] * 3
        # Its events.
        reader = await runtime.follow("s5", 0)
        async with reader:
            assert await reader.receive()
        # Cancels: of one run, of what is in flight, of all.
        (cancelled,) = (await runtime.cancel_run("s6", "r6-1")).cancelled
        assert (cancelled.run_id, cancelled.was) == ("r6-1", "queued")
        assert [each.run_id for each in (await runtime.cancel("s7")).cancelled] == ["r7-0"]
        assert len((await runtime.cancel("s8", queued=True)).cancelled) == 2
        # A change of it.
        await runtime.update_session("s9", title="Later")
        # A delete.
        await runtime.delete("s10")
        with pytest.raises(NotFound):
            await runtime.describe("s10")
        await wait_all_tasks_blocked()
        assert runtime.status().waiting == 4  # s0 and s11
        store.free.set()
        await until(lambda: idle(runtime))
        ended = Counter(each.status for each in await store.runs())
        assert ended == {"completed": 19, "cancelled": 4}
        assert (await runtime.describe("s9")).title == "Later"


async def test_a_drain_leaves_what_is_not_taken_up_to_the_next_start(
    autojump_clock: MockClock,
) -> None:
    store = CountedStore()
    fill(store, 200)
    async with opened(echo(), store=store) as runtime:
        await wait_all_tasks_blocked()
        await runtime.drain(1)
        store.free.set()
        await wait_all_tasks_blocked()
        assert not runtime._host.active.all()
    assert {each.status for each in await store.runs()} == {"queued"}
    async with opened(echo(), store=store) as runtime:
        await until(lambda: idle(runtime))
    assert {each.status for each in await store.runs()} == {"completed"}


async def test_runs_that_wait_for_an_agent_keep_no_other_from_being_taken_up(
    autojump_clock: MockClock,
) -> None:
    store = CountedStore()
    store.free.set()
    for number in range(MANY):
        owner = f"s{number}"
        store.write(SessionSaved(session(owner, agent_id="lost", work_dir="/")))
        name = "lost" if number < MANY - 1 else "echo"
        store.write(RunQueued(run(f"r{number}", owner, message="Hi", agent_id=name)))
    async with opened(echo(), store=store, limits=Limits(runs=1)) as runtime:
        with trio.fail_after(60):
            last = await runtime.run(f"s{MANY - 1}", f"r{MANY - 1}")
            assert (await last.result()).response == "Hi"
        await until(lambda: not runtime._host.active.backlog.first(1))
        waiting = await runtime.describe_run("s0", "r0")
        assert waiting.waiting_for is not None


async def test_many_runs_that_were_cut_off_end_in_few_reads_and_commits(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    async with SQLStore(path, synchronous="normal") as store:
        for number in range(MANY):
            ids = f"r{number}", f"s{number % 100}"
            store.write(SessionSaved(session(ids[1], agent_id="echo", work_dir="/")))
            store.write(RunQueued(run(*ids, agent_id="echo")), started(*ids), recorded(*ids))
        await store.write(SessionSaved(session("last"))).wait()
    async with SQLStore(path, synchronous="normal") as store:
        reads: list[object] = []
        commits: list[int] = []
        read, write = store._readers.run, store._database.commit

        async def reading(work: Any) -> Any:
            reads.append(work)
            return await read(work)

        def writing(calls: Any) -> None:
            commits.append(len(calls))
            write(calls)

        store._readers.run = reading  # type: ignore[method-assign, assignment]
        store._database.commit = writing  # type: ignore[method-assign]
        await settle_leftovers(store, Metrics())
        assert len(reads) <= 5, "three batches, their end, and what is being deleted"
        assert len(commits) <= 12
        runs = await store.runs()
        assert {(each.status, each.steps) for each in runs} == {("interrupted", 1)}
        sessions = (await store.sessions(1000)).sessions
        usage = {each.usage for each in sessions if each.id != "last"}
        assert usage == {runs[0].usage + runs[0].usage + runs[0].usage}
