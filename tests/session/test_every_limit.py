"""Each limit strikes cleanly, and names itself where it does."""

from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import agent, assert_valid, echo, idle, opened
from wingman import Limits, Result, Runtime, Session, tool
from wingman.errors import MailboxFull, Overloaded
from wingman.face import Followed, Resynced
from wingman.providers import ToolCalls
from wingman.session import Run

Case = Callable[[], Awaitable[None]]
CASES: dict[str, Case] = {}


def strikes(case: Case) -> Case:
    """The case of the limit that it is named after."""
    CASES[case.__name__] = case
    return case


async def limited(limits: Limits, *script: object) -> Result:
    """One run under these limits, to an end that leaves the session in order."""
    helper = agent([*script, "next"])  # type: ignore[list-item]
    async with opened(helper, limits=limits) as runtime:
        session = await runtime.create_session(helper)
        result = await session.run("go")
        assert_valid(await session.history())
        assert idle(runtime)
        return result


def waits(seconds: float, times: int = 1) -> ToolCalls:
    return ToolCalls(*[("wait", {"seconds": seconds})] * times)


@strikes
async def steps() -> None:
    result = await limited(Limits(steps=2), waits(1), waits(1), waits(1))
    assert (result.stop_reason, result.steps) == ("step_limit", 2)
    assert "step limit (2)" in (result.detail or "")


@strikes
async def seconds() -> None:
    result = await limited(Limits(seconds=7), waits(1000))
    assert result.stop_reason == "time_limit"
    assert "time limit (7 s)" in (result.detail or "")
    assert "time limit" in result.tool_calls[0].output


@strikes
async def tokens() -> None:
    result = await limited(Limits(tokens=1), waits(1), waits(1))
    assert (result.stop_reason, result.steps) == ("token_limit", 1)
    assert "token limit (1)" in (result.detail or "")


@strikes
async def tool_seconds() -> None:
    result = await limited(Limits(tool_seconds=3), waits(1000), "go on")
    assert (result.stop_reason, result.detail) == ("end_turn", None)
    assert "time limit (3 s)" in result.tool_calls[0].output


@strikes
async def tool_output() -> None:
    says = ToolCalls(("say", {"text": "x" * 5000}))
    result = await limited(Limits(tool_output=100), says, "go on")
    assert "4,900 characters cut: the limit is 100" in result.tool_calls[0].output


@strikes
async def parallel_tools() -> None:
    """It makes the others wait: there is nothing to be told."""
    at_once = most = 0

    @tool
    async def count() -> str:
        """Count how many run at once."""
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(1)
        at_once -= 1
        return "ok"

    helper = agent([ToolCalls(*[("count", {})] * 10), "done"], tools=[count])
    async with Session(helper, limits=Limits(parallel_tools=3)) as session:
        result = await session.run("go")
    assert most == 3
    assert [call.output for call in result.tool_calls] == ["ok"] * 10


@strikes
async def queued() -> None:
    async with Session(echo(delay=10), limits=Limits(queued=2)) as session:
        taken = [await session.submit(f"{number}") for number in range(3)]
        with pytest.raises(MailboxFull, match=r"2 messages are waiting in session .* the limit"):
            await session.submit("one too many")
        assert [(await run.result()).response for run in taken] == ["0", "1", "2"]


@strikes
async def runs() -> None:
    """It makes the others wait: there is nothing to be told."""
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(runs=2)) as runtime:
        sessions = [await runtime.create_session(helper) for _ in range(5)]
        admitted = [await session.submit("hello") for session in sessions]
        await wait_all_tasks_blocked()
        assert [run.status for run in admitted].count("running") == 2
        assert [(await run.result()).response for run in admitted] == ["hello"] * 5


@strikes
async def waiting() -> None:
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(runs=1, waiting=2)) as runtime:
        sessions = [await runtime.create_session(helper) for _ in range(4)]
        for session in sessions[:3]:
            await session.submit("hello")
            await wait_all_tasks_blocked()
        with pytest.raises(Overloaded, match=r"2 runs are waiting for their turn, .* the limit"):
            await sessions[3].submit("hello")


@strikes
async def message_bytes() -> None:
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(message_bytes=10_000)) as runtime:
        first, second = [await runtime.create_session(helper) for _ in range(2)]
        taken = [await first.submit("x" * 4000) for _ in range(2)]
        with pytest.raises(Overloaded, match=r"messages that wait or run .* 10,000 is the limit"):
            await second.submit("x" * 4000)
        assert [(await run.result()).stop_reason for run in taken] == ["end_turn"] * 2
        await (await second.submit("x" * 4000)).result()


@strikes
async def event_bytes() -> None:
    helper = echo()
    async with opened(helper, limits=Limits(event_bytes=10_000)) as runtime:
        first, second = [await runtime.create_session(helper) for _ in range(2)]
        async with first.follow() as news:
            for session in (first, second):
                await session.run("x" * 8000)
            assert isinstance(await anext(news), Resynced)
            await first.run("hello")
            assert isinstance(await anext(news), Followed)


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(Limits)])
async def test_a_limit_strikes_cleanly_and_names_itself(
    name: str, autojump_clock: MockClock
) -> None:
    await CASES[name]()


@pytest.mark.parametrize("places", [1, 3])
async def test_a_session_with_fifty_queued_messages_does_not_starve_another(
    places: int, autojump_clock: MockClock
) -> None:
    helper = echo(delay=10)
    async with opened(helper, limits=Limits(runs=places)) as runtime:
        greedy = [await runtime.create_session(helper) for _ in range(places)]
        late = await runtime.create_session(helper)
        crowd = [await session.submit("me") for session in greedy for _ in range(50)]
        await wait_all_tasks_blocked()
        start = trio.current_time()
        for _ in range(3):
            assert (await late.run("and me")).response == "and me"
        # It waits for the runs in flight when it comes, never for those behind them.
        assert trio.current_time() - start <= 3 * 20
        assert sum(run.ended for run in crowd) <= 3 * 2 * places
        await _all(crowd, runtime)


async def _all(crowd: list[Run], runtime: Runtime) -> None:
    for run in crowd:
        assert (await run.result()).response == "me"
    assert idle(runtime)
