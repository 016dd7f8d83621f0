"""What a turn costs of the scheduler, and what it is not to cost: fairness, and isolation."""

import contextvars
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from session_kit import agent, assert_valid, opened
from wingman import Agent, Limits, Runtime, Session, tool
from wingman.conversation import ToolUseBlock
from wingman.providers import Finished, Part, Request, TextDelta, ToolCalls, Transport
from wingman.run.apart import apart


class Instant:
    """A provider that waits for nothing: one text, or first a call of each of these tools."""

    id = "instant"
    model = "instant"

    def __init__(self, *tools: str, steps: int = 1) -> None:
        self.tools = tools
        self.steps = steps

    async def stream(self, request: Request, transport: Transport) -> AsyncIterator[Part]:
        done = sum(1 for message in request.messages if message.tool_uses)
        if self.tools and (done < self.steps or request.messages[-1].text):
            for name in self.tools:
                yield ToolUseBlock("", name, {})
            yield Finished("tool_use")
            return
        yield TextDelta("done")
        yield Finished("end_turn")


@tool
async def nothing() -> str:
    """Do nothing."""
    return "nothing"


@attrs.define(eq=False)
class Counts(trio.abc.Instrument):
    """What the scheduler does."""

    steps: int = 0
    spawned: int = 0
    scopes: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.spawned += 1


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    counts = Counts()
    enter = trio.CancelScope.__enter__

    def counting(scope: trio.CancelScope) -> trio.CancelScope:
        counts.scopes += 1
        return enter(scope)

    with monkeypatch.context() as patch:
        patch.setattr(trio.CancelScope, "__enter__", counting)
        trio.lowlevel.add_instrument(counts)
        yield counts
        trio.lowlevel.remove_instrument(counts)


@pytest.mark.parametrize(
    ("tools", "cost"),
    [
        ((), (2, 0, 0)),
        (("nothing",), (2, 0, 1)),
    ],
)
async def test_a_turn_that_waits_for_nothing_costs_two_wake_ups(
    tools: tuple[str, ...], cost: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = Agent("a", provider=Instant(*tools), tools=[nothing])
    async with Session(helper) as session:
        await session.run("once")
        taken = []
        for _ in range(50):  # on a machine that is busy elsewhere, a turn may take too long
            with counted(monkeypatch) as counts:
                await session.run("again")
            taken.append((counts.steps, counts.spawned, counts.scopes))
            if taken[-1] == cost:
                break
        assert min(taken) == cost


async def test_parallel_calls_cost_a_task_each_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    helper = Agent("a", provider=Instant(*["nothing"] * 8), tools=[nothing])
    async with Session(helper) as session:
        await session.run("once")
        taken = []
        for _ in range(5):
            with counted(monkeypatch) as counts:
                await session.run("again")
            taken.append((counts.steps, counts.spawned, counts.scopes))
        assert min(taken) == (2 + 8 + 1, 8, 9)  # the nursery waits once, and has a scope


async def test_a_session_with_many_messages_lets_others_run_between_them() -> None:
    helper = Agent("a", provider=Instant())
    async with Session(helper) as session:
        runs = [await session.submit(str(number)) for number in range(50)]
        begun = sum(not run.ended for run in runs)
        turns = 0
        while not runs[-1].ended:
            turns += 1
            await trio.lowlevel.checkpoint()
        assert turns >= begun


async def test_a_run_of_many_steps_that_wait_for_nothing_lets_others_run() -> None:
    @tool
    async def compute() -> str:
        """Keep the thread busy, and wait for nothing."""
        end = time.perf_counter() + 0.006
        while time.perf_counter() < end:
            pass
        return "computed"

    helper = Agent("a", provider=Instant("compute", steps=20), tools=[compute])
    async with Session(helper) as session:
        run = await session.submit("go")
        turns = 0
        while not run.ended:
            turns += 1
            await trio.lowlevel.checkpoint()
        assert turns >= 20


async def test_a_run_can_be_cancelled_while_its_steps_wait_for_nothing() -> None:
    @tool
    async def compute() -> str:
        """Keep the thread busy, and wait for nothing."""
        time.sleep(0.006)  # noqa: ASYNC251 that is the point
        return "computed"

    helper = Agent("a", provider=Instant("compute", steps=1000), tools=[compute])
    async with Session(helper, limits=Limits(steps=2000)) as session:
        run = await session.submit("go")
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        receipt = await run.cancel()
        assert [each.run_id for each in receipt.cancelled] == [run.id]
        assert run.status == "cancelled"
        assert run.record.steps < 100
        assert_valid(await session.history())


# --- a single call has no task of its own ---------------------------------------------------------

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.mark.parametrize("parallel", [1, 2])
async def test_what_a_call_sets_of_context_variables_is_gone_with_it(parallel: int) -> None:
    @tool
    async def mark() -> str:
        """Look at the variable, and set it."""
        seen = VARIABLE.get()
        VARIABLE.set("set by a call")
        await trio.lowlevel.checkpoint()
        return f"{seen}, {VARIABLE.get()}"

    provider = Instant(*["mark"] * parallel, steps=2)
    async with Session(Agent("a", provider=provider, tools=[mark])) as session:
        for _ in range(2):
            result = await session.run("go")
            assert {call.output for call in result.tool_calls} == {"unset, set by a call"}


async def left_scope() -> str:
    trio.CancelScope().__enter__()
    return "left"


async def left_cancelled_scope() -> str:
    scope = trio.CancelScope()
    scope.__enter__()
    scope.cancel()
    return "left"


async def left_nursery() -> str:
    nursery = await trio.open_nursery().__aenter__()
    nursery.start_soon(trio.sleep_forever)
    return "left"


async def left_two_nurseries() -> str:
    await trio.open_nursery().__aenter__()
    (await trio.open_nursery().__aenter__()).start_soon(trio.sleep_forever)
    await trio.lowlevel.checkpoint()
    raise ValueError("and failed")


@pytest.mark.parametrize(
    "function", [left_scope, left_cancelled_scope, left_nursery, left_two_nurseries]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_call_that_leaves_something_open_fails_alone(function: object) -> None:
    leave = tool(name="leave", description="Leave something open.")(function)  # type: ignore[arg-type]
    living = trio.lowlevel.current_statistics().tasks_living
    async with Runtime(agents=[Agent("a", provider=Instant("leave"), tools=[leave])]) as runtime:
        session = await runtime.create_session("a")
        for _ in range(3):
            result = await session.run("go")
            assert result.response == "done"
            (call,) = result.tool_calls
            assert call.is_error
            assert "Cancel scope stack corrupted" in call.output
        assert [info.restarts for info in runtime._root.services.system.snapshot()] == [0]
    await trio.testing.wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == living
    gc.collect()


async def test_apart_hands_on_what_is_raised_and_what_is_thrown() -> None:
    async def fails() -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("inside")

    async def cancelled() -> str:
        try:
            await trio.sleep_forever()
        finally:
            VARIABLE.set("unwound")

    with pytest.raises(ValueError, match="inside"):
        await apart(fails())
    with trio.move_on_after(0.01) as scope:
        await apart(cancelled())
    assert scope.cancelled_caught
    assert VARIABLE.get() == "unset"


async def test_apart_ends_with_the_coroutine_that_awaits_it() -> None:
    closed: list[str] = []

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            closed.append("inner")

    async def outer() -> None:
        await apart(work())

    coroutine = outer()
    coroutine.send(None)  # as far as the first wait, in no task's name
    coroutine.close()
    assert closed == ["inner"]


# --- the time limit -------------------------------------------------------------------------------


async def test_each_run_has_its_own_time_however_many_are_under_way(
    autojump_clock: MockClock,
) -> None:
    waits = [ToolCalls(("wait", {"seconds": 1000.0}))] * 4
    helper = agent(waits)
    ended: list[tuple[int, float, str]] = []
    async with opened(helper, limits=Limits(seconds=10)) as runtime:
        sessions = [await runtime.create_session(helper) for _ in range(4)]
        start = trio.current_time()

        async def run(number: int) -> None:
            await trio.sleep(number * 3)
            result = await sessions[number].run("go")
            ended.append((number, trio.current_time() - start, result.stop_reason))

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(run, number)
    assert ended == [(n, pytest.approx(n * 3 + 10), "time_limit") for n in range(4)]


async def test_a_session_goes_on_after_a_run_whose_time_was_up(autojump_clock: MockClock) -> None:
    helper = agent([ToolCalls(("wait", {"seconds": 100.0})), "well"])
    async with opened(helper, limits=Limits(seconds=10)) as runtime:
        session = await runtime.create_session(helper)
        first = await session.submit("go")
        second = await session.submit("next")
        assert (await first.result()).stop_reason == "time_limit"
        assert first.status == "completed"
        assert (await second.result()).response == "well"
        assert_valid(await session.history())
        assert [info.restarts for info in runtime._root.services.system.snapshot()] == [0]


async def test_a_run_that_is_cancelled_before_its_time_is_up_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    helper = agent([ToolCalls(("stubborn", {"seconds": 30.0}))])
    async with opened(helper, limits=Limits(seconds=10)) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await trio.sleep(5)
        run.request_cancel()
        await run.wait()
        assert run.status == "cancelled"
