"""Group commit, without a database."""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from store.samples import session
from wingman.errors import StoreError, StoreUnavailable
from wingman.store import Chain, Change, SessionSaved
from wingman.store.disk import InDoubt
from wingman.store.writer import Writer

CHANGE = (SessionSaved(session()),)


class Disk:
    """Takes batches, and holds each of them up until it is let go."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.free = threading.Event()
        self.free.set()
        self.begun = threading.Event()
        self.broken = False
        self.closed = threading.Event()
        self.threads: list[int] = []

    def open(self) -> None:
        self.threads.append(threading.get_ident())

    def close(self) -> None:
        self.threads.append(threading.get_ident())
        self.closed.set()

    def commit(self, calls: Sequence[tuple[Change, ...]]) -> None:
        self.threads.append(threading.get_ident())
        self.batches.append(len(calls))
        self.begun.set()
        self.free.wait(5)
        self.probe()

    def probe(self) -> None:
        if self.broken:
            raise StoreUnavailable("the disk is gone")

    async def busy(self) -> None:
        """Return when a commit is under way."""
        assert await trio.to_thread.run_sync(self.begun.wait, 5)


@asynccontextmanager
async def writing(disk: Disk) -> AsyncIterator[Writer]:
    writer = Writer(disk, probe_every=0.01)
    await writer.open()
    yield writer
    await writer.close()


async def test_what_is_written_in_one_tick_shares_a_commit() -> None:
    disk = Disk()
    async with writing(disk) as writer, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(lambda: writer.submit(CHANGE).wait())
    assert disk.batches == [20]


async def test_what_is_written_during_a_commit_shares_the_next() -> None:
    disk = Disk()
    disk.free.clear()
    async with writing(disk) as writer:
        writer.submit(CHANGE)
        await disk.busy()
        for _ in range(7):
            writer.submit(CHANGE)
        disk.free.set()
    assert disk.batches == [1, 7]


async def test_the_tasks_that_one_commit_wakes_share_the_next() -> None:
    disk = Disk()

    async def twice() -> None:
        await writer.submit(CHANGE).wait()
        await writer.submit(CHANGE).wait()

    async with writing(disk) as writer, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(twice)
    assert disk.batches == [10, 10]


async def test_a_waiter_goes_on_only_when_its_changes_are_safe() -> None:
    disk = Disk()
    disk.free.clear()
    async with writing(disk) as writer:
        call = writer.submit(CHANGE)
        await disk.busy()
        with trio.move_on_after(0.02) as impatient:
            await call.wait()
        assert impatient.cancelled_caught
        disk.free.set()
        await call.wait()


async def test_a_waiter_that_is_cancelled_takes_nothing_back_and_holds_up_nobody() -> None:
    disk = Disk()
    disk.free.clear()
    safe: list[str] = []

    async def wait(name: str) -> None:
        await call.wait()
        safe.append(name)

    async with writing(disk) as writer, trio.open_nursery() as nursery:
        call = writer.submit(CHANGE)
        impatient = trio.CancelScope()

        async def wait_impatiently() -> None:
            with impatient:
                await wait("impatient")

        nursery.start_soon(wait_impatiently)
        nursery.start_soon(wait, "patient")
        await disk.busy()
        impatient.cancel()
        await wait_all_tasks_blocked()
        disk.free.set()
    assert safe == ["patient"]
    assert disk.batches == [1]


async def test_a_dead_disk_fails_everybody_and_the_writer_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk()
    disk.broken = True
    async with writing(disk) as writer:
        lost = [writer.submit(CHANGE) for _ in range(3)]
        for call in lost:
            with pytest.raises(StoreError, match="the disk is gone"):
                await call.wait()
        disk.broken = False
        await writer.submit(CHANGE).wait()
    assert "3 of 3 writes failed: the disk is gone" in caplog.text


async def test_closing_commits_what_is_queued() -> None:
    disk = Disk()
    async with writing(disk) as writer:
        await wait_all_tasks_blocked()
        call = writer.submit(CHANGE)
    await call.wait()
    assert disk.batches == [1]


async def test_a_writer_that_is_not_open_takes_nothing() -> None:
    disk = Disk()
    with pytest.raises(StoreError, match="not open"):
        Writer(disk).submit(CHANGE)
    async with writing(disk) as writer:
        pass
    with pytest.raises(StoreError, match="not open"):
        writer.submit(CHANGE)


async def test_giving_up_tells_those_who_wait() -> None:
    disk = Disk()
    disk.free.clear()
    writer = Writer(disk)
    await writer.open()
    under_way = writer.submit(CHANGE)
    await disk.busy()
    queued = writer.submit(CHANGE)
    with trio.move_on_after(0.02):
        await writer.close()
    writer.give_up()
    disk.free.set()
    for call in (under_way, queued):
        with pytest.raises(StoreError, match="closed before this was safe"):
            await call.wait()
    assert await trio.to_thread.run_sync(disk.closed.wait, 5)
    assert disk.batches == [1]  # what was told that it failed is not committed afterwards


class Doubtful(Disk):
    """Loses the answers of some commits, and finds them out when it is told to."""

    def __init__(self, *answers: bool) -> None:
        super().__init__()
        self.answers = list(answers)
        self.reachable = threading.Event()
        self.asked = 0

    def commit(self, calls: Sequence[tuple[Change, ...]]) -> None:
        super().commit(calls)
        if self.answers:
            raise InDoubt(self.outcome)

    def outcome(self) -> bool:
        self.asked += 1
        if not self.reachable.is_set():
            raise StoreUnavailable("the line is dead")
        return self.answers.pop(0)


async def until_doubtful(writer: Writer) -> None:
    with trio.fail_after(5):
        while writer.failure is None:  # noqa: ASYNC110  (it is the thread's news)
            await trio.sleep(0.001)


@pytest.mark.parametrize(("answers", "commits"), [((True,), 1), ((False,), 2), ((False, True), 2)])
async def test_a_commit_in_doubt_is_looked_up_and_made_again_if_it_was_not(
    answers: tuple[bool, ...], commits: int, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Doubtful(*answers)
    disk.reachable.set()
    async with writing(disk) as writer:
        await writer.submit(CHANGE).wait()
        assert writer.failure is None
    assert disk.batches == [1] * commits
    assert caplog.records == []


async def test_who_waits_for_a_commit_in_doubt_waits_and_all_others_are_told_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk, chain = Doubtful(True), Chain()
    disk.free.clear()
    async with writing(disk) as writer:
        doubtful = writer.submit(CHANGE, chain)
        await disk.busy()
        queued, follows = writer.submit(CHANGE), writer.submit(CHANGE, chain)
        disk.free.set()
        await until_doubtful(writer)
        assert disk.asked > 1
        for call in (queued, follows, writer.submit(CHANGE), writer.submit(CHANGE, chain)):
            with pytest.raises(StoreUnavailable, match="the line is dead"):
                await call.wait()
        assert not doubtful.safe
        disk.reachable.set()
        await doubtful.wait()
        await writer.wait_until_well()
        await writer.submit(CHANGE).wait()
        with pytest.raises(StoreUnavailable):  # its chain had ended before it was known
            await writer.submit(CHANGE, chain).wait()
    assert disk.batches == [1, 1]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_giving_up_ends_a_doubt() -> None:
    disk = Doubtful(True)
    writer = Writer(disk, probe_every=60)
    await writer.open()
    call = writer.submit(CHANGE)
    await disk.busy()
    with trio.move_on_after(0.02):
        await writer.close()
    writer.give_up()
    with pytest.raises(StoreUnavailable, match="closed before this was safe"):
        await call.wait()
    assert await trio.to_thread.run_sync(disk.closed.wait, 5)
