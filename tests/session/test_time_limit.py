"""The one task that ends the runs of a process at their time limit."""

import pytest
import trio

from wingman.run import TimeLimit


async def watched(nursery: trio.Nursery, seconds: float) -> TimeLimit:
    limit = TimeLimit(seconds)
    nursery.start_soon(limit.watch)
    await trio.testing.wait_all_tasks_blocked()
    return limit


async def test_each_run_is_ended_when_it_has_had_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[tuple[str, float]] = []
    began = trio.current_time()

    async with trio.open_nursery() as nursery:
        limit = await watched(nursery, 10)
        for name in ("one", "two", "three"):
            limit.begin(lambda name=name: ended.append((name, trio.current_time() - began)))  # type: ignore[misc]
            await trio.sleep(3)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()

    assert [(name, pytest.approx(at)) for name, at in ended] == [
        ("one", 10),
        ("two", 13),
        ("three", 16),
    ]


async def test_a_run_that_has_ended_is_not_ended_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[str] = []

    def one() -> None:
        ended.append("one")

    def two() -> None:
        ended.append("two")

    async with trio.open_nursery() as nursery:
        limit = await watched(nursery, 10)
        limit.begin(one)
        await trio.sleep(1)
        limit.end(one)
        limit.end(one)  # a second time: nothing
        await trio.sleep(1)
        limit.begin(two)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()

    assert ended == ["two"]


async def test_runs_that_begin_while_none_was_there_are_looked_after_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[float] = []

    def expire() -> None:
        ended.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        limit = await watched(nursery, 10)
        expected = []
        for _ in range(3):
            expected.append(trio.current_time() + 10)
            limit.begin(expire)
            await trio.sleep(100)
        nursery.cancel_scope.cancel()

    assert ended == pytest.approx(expected)


async def test_a_turn_wakes_up_nobody_for_its_time_limit() -> None:
    steps: list[trio.lowlevel.Task] = []

    class Steps(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(task)

    def expire() -> None:
        raise AssertionError("it was not to end")

    async with trio.open_nursery() as nursery:
        limit = await watched(nursery, 1000)
        limit.begin(expire)
        await trio.testing.wait_all_tasks_blocked()
        limit.end(expire)
        trio.lowlevel.add_instrument(watch := Steps())
        for _ in range(10):
            limit.begin(expire)
            await trio.lowlevel.checkpoint()
            limit.end(expire)
        trio.lowlevel.remove_instrument(watch)
        nursery.cancel_scope.cancel()

    assert set(steps) == {trio.lowlevel.current_task()}
