"""Usage and cost: right for each step and for the run, whatever becomes of its inferences."""

import pytest
import trio
from trio.testing import MockClock

from session_kit import TOOLS, BreakableStore, opened
from wingman import Agent, Price, Step, Usage
from wingman.conversation import ToolUseBlock
from wingman.errors import ProviderError, ProviderStreamError
from wingman.providers import (
    Delay,
    Fail,
    Fallback,
    Finished,
    Part,
    Parts,
    Provider,
    Scripted,
    TextDelta,
    UsageUpdate,
)

PRICES = {
    "scripted/small": Price(input=1.0, output=10.0, cache_read=0.1, cache_write=2.0),
    "scripted/large": Price(input=100.0, output=1000.0),
}
CACHED = Usage(1000, 100, cache_read_tokens=600, cache_write_tokens=300)


def says(*parts: Part) -> Parts:
    finish = "tool_use" if any(isinstance(part, ToolUseBlock) for part in parts) else "end_turn"
    return Parts(*parts, Finished(finish))  # type: ignore[arg-type]


def called(usage: Usage) -> Parts:
    return says(ToolUseBlock("", "say", {"text": "x"}), UsageUpdate(usage))


def answered(usage: Usage) -> Parts:
    return says(TextDelta("done"), UsageUpdate(Usage(1, 1)), UsageUpdate(usage))


def agent_of(provider: Provider) -> Agent:
    return Agent("a", provider=provider, tools=TOOLS)


def test_each_kind_of_token_has_its_price() -> None:
    assert PRICES["scripted/small"].cost(CACHED) == pytest.approx((100 + 60 + 600 + 1000) / 1e6)
    assert PRICES["scripted/large"].cost(CACHED) == pytest.approx((100_000 + 100_000) / 1e6)


async def test_each_step_tells_what_went_before_and_the_result_the_sum() -> None:
    agent = agent_of(Scripted([called(CACHED), answered(Usage(2000, 50))], model="small"))
    async with opened(agent, prices=PRICES) as runtime:
        session = await runtime.create_session(agent)
        async with session.run_stream("go") as stream:
            steps = [event async for event in stream if isinstance(event, Step)]
        assert steps == [Step(1, Usage(0, 0)), Step(2, CACHED, 0.00176)]
        assert stream.result.usage == CACHED + Usage(2000, 50)
        assert stream.result.cost == 0.00426


@pytest.mark.parametrize("prices", [None, PRICES])
async def test_without_a_price_there_is_no_cost(prices: dict[str, Price] | None) -> None:
    agent = agent_of(Scripted([answered(CACHED)], model="unknown"))
    async with opened(agent, prices=prices) as runtime:
        session = await runtime.create_session(agent)
        assert (await session.run("go")).cost is None


async def test_one_model_without_a_price_makes_the_cost_unknown() -> None:
    provider = Fallback(
        Scripted([called(CACHED), Fail(ProviderError("down", provider="scripted"))], model="small"),
        Scripted([answered(CACHED)], model="unknown"),
    )
    agent = agent_of(provider)
    async with opened(agent, prices=PRICES) as runtime:
        session = await runtime.create_session(agent)
        result = await session.run("go")
        assert (result.cost, result.usage) == (None, CACHED + CACHED)


async def test_each_step_costs_what_the_model_does_that_answered_it() -> None:
    provider = Fallback(
        Scripted([called(CACHED), Fail(ProviderError("down", provider="scripted"))], model="small"),
        Scripted([answered(CACHED)], model="large"),
    )
    agent = agent_of(provider)
    async with opened(agent, prices=PRICES) as runtime:
        session = await runtime.create_session(agent)
        assert (await session.run("go")).cost == 0.20176


async def test_an_inference_that_broke_off_has_its_cost_too(autojump_clock: MockClock) -> None:
    class Breaking:
        id, model = "scripted", "small"
        broken = False

        async def stream(self, request, transport):  # type: ignore[no-untyped-def]
            yield UsageUpdate(CACHED)
            if not self.broken:
                self.broken = True
                raise ProviderStreamError("it broke", provider="scripted")
            yield TextDelta("done")
            yield Finished("end_turn")

    agent = agent_of(Breaking())
    async with opened(agent, prices=PRICES) as runtime:
        session = await runtime.create_session(agent)
        result = await session.run("go")
        assert (result.cost, result.usage) == (0.00352, CACHED + CACHED)


async def test_the_cost_is_stored_with_the_result() -> None:
    agent = agent_of(Scripted([answered(CACHED)], model="small"))
    async with opened(agent, prices=PRICES) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        await run.result()
        stored = await runtime.store.run(session.id, run.id)
        assert stored is not None
        assert stored.result is not None
        assert stored.result.cost == 0.00176


async def test_a_run_that_fails_has_a_cost() -> None:
    script = [called(CACHED), called(Usage(2000, 50)), Fail(ProviderError("no", provider="x"))]
    agent = agent_of(Scripted(script, model="small"))
    async with opened(agent, prices=PRICES) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        await run.wait()
        view = await runtime.describe_run(session.id, run.id)
        assert (view.status, view.cost) == ("failed", 0.00426)


async def test_an_interrupted_run_has_its_cost_after_the_restart(
    autojump_clock: MockClock,
) -> None:
    script = [called(CACHED), Delay(answered(Usage(2000, 50)), first=100)]
    agent = agent_of(Scripted(script, model="small"))
    store = BreakableStore()
    async with opened(agent, store=store, prices=PRICES) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        await trio.sleep(1)
        store.break_down()
    store.mend()
    async with opened(agent, store=store, prices=PRICES) as runtime:
        view = await runtime.describe_run(session.id, run.id)
        assert (view.status, view.usage, view.cost) == ("interrupted", CACHED, 0.00176)
        assert view.result is not None
        assert view.result.cost == 0.00176
        assert runtime.metrics.runs == {"interrupted": 1}
