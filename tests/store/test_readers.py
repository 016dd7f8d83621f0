"""Threads that read, without a database."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from wingman.errors import StoreUnavailable
from wingman.store.readers import Readers


class Connection:
    """Says which thread made it, and holds up whoever reads until it is let go."""

    free = threading.Event()

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.closed = threading.Event()

    def close(self) -> None:
        assert threading.get_ident() == self.thread
        self.closed.set()


class Bench:
    """Two readers, and what they were asked."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.asked: list[str] = []
        self.connections: list[Connection] = []
        self.readers = Readers(2, self.connect)

    def connect(self) -> Connection:
        self.connections.append(Connection())
        return self.connections[-1]

    async def ask(self, name: str) -> str:
        def work(connection: Connection) -> str:
            assert threading.get_ident() == connection.thread
            self.asked.append(name)
            assert self.free.wait(5)
            return name

        return await self.readers.run(work)


@asynccontextmanager
async def opened() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.readers.open()
    yield bench
    bench.free.set()
    bench.readers.close()
    for connection in bench.connections:
        assert connection.closed.wait(5)


async def test_each_thread_has_one_connection_for_its_whole_life() -> None:
    async with opened() as bench:
        bench.free.set()
        for number in range(10):
            assert await bench.ask(str(number)) == str(number)
        assert len(bench.connections) == 2


async def test_more_reads_than_threads_take_their_turns_in_order() -> None:
    async with opened() as bench, trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(bench.ask, str(number))
            await wait_all_tasks_blocked()
        assert len(bench.asked) <= 2
        bench.free.set()
    assert sorted(bench.asked[:2]) == ["0", "1"]
    assert sorted(bench.asked) == ["0", "1", "2", "3", "4", "5"]


async def test_one_who_is_cancelled_goes_on_at_once_and_leaves_nothing_in_the_queue() -> None:
    async with opened() as bench:
        for number in range(100):
            with trio.move_on_after(0) as scope:
                await bench.ask(str(number))
            assert scope.cancelled_caught
        assert len(bench.readers._waiting) == 0
        bench.free.set()
        assert await bench.ask("last") == "last"
        # The two that the threads had begun with, and no other of the hundred.
        assert sorted(bench.asked) == ["0", "1", "last"]


async def test_what_a_reading_raises_is_raised_where_it_was_asked_for() -> None:
    def fail(_: Connection) -> None:
        raise ValueError("ours")

    async with opened() as bench:
        for _ in range(5):
            with pytest.raises(ValueError, match="ours"):
                await bench.readers.run(fail)


async def test_closing_tells_those_who_wait_for_a_thread() -> None:
    async with opened() as bench, trio.open_nursery() as nursery:

        async def refused() -> None:
            with pytest.raises(StoreUnavailable, match="not open"):
                await bench.ask("late")

        nursery.start_soon(bench.ask, "0")
        nursery.start_soon(bench.ask, "1")
        await wait_all_tasks_blocked()
        nursery.start_soon(refused)
        await wait_all_tasks_blocked()
        bench.readers.close()
        bench.free.set()
    with pytest.raises(StoreUnavailable, match="not open"):
        await bench.ask("later")
    assert sorted(bench.asked) == ["0", "1"]


async def test_those_who_wait_can_be_told_that_there_is_no_answer_and_the_threads_go_on() -> None:
    async with opened() as bench, trio.open_nursery() as nursery:
        told: list[str] = []

        async def ask(name: str) -> None:
            with pytest.raises(StoreUnavailable, match="silent"):
                await bench.ask(name)
            told.append(name)

        nursery.start_soon(ask, "read")
        nursery.start_soon(ask, "read too")
        while len(bench.asked) < 2:  # noqa: ASYNC110  (threads)
            await trio.sleep(0.001)
        nursery.start_soon(ask, "in the queue")
        await wait_all_tasks_blocked()
        bench.readers.give_up("silent")
        await wait_all_tasks_blocked()
        assert sorted(told) == ["in the queue", "read", "read too"]
        bench.free.set()
        assert await bench.ask("another") == "another"
        assert "in the queue" not in bench.asked
