"""The face that people meet first, used as it is shown to them."""

import pytest
import trio
from trio.testing import MockClock

from session_kit import agent, assert_valid, echo, idle, live_of, opened, say, wait
from wingman import (
    Agent,
    Done,
    Event,
    Message,
    Result,
    Session,
    Step,
    Text,
    ToolCallResult,
    ToolResult,
    ToolUse,
    Usage,
)
from wingman.errors import InvalidRequest, ProviderError, RunFailed
from wingman.providers import Fail, Scripted, ToolCalls


async def test_a_run_gives_its_response_its_tool_calls_its_usage_and_why_it_ended() -> None:
    helper = agent([ToolCalls(("say", {"text": "README.md"}), text="Let me look."), "One file."])
    async with Session(helper) as session:
        result = await session.run("What files are here?")
        assert isinstance(result, Result)
        assert result.response == "One file."
        assert result.stop_reason == "end_turn"
        assert result.steps == 2
        assert result.tool_calls == (
            ToolCallResult("toolu_1", "say", {"text": "README.md"}, "README.md", is_error=False),
        )
        assert isinstance(result.usage, Usage)
        assert result.usage.input_tokens > 0
        history = await session.history()
        assert [message.role for message in history] == ["user", "assistant", "user", "assistant"]
        assert history[0] == Message.user("What files are here?")
        assert_valid(history)


async def test_a_stream_gives_each_event_and_then_the_result() -> None:
    script = [ToolCalls(("say", {"text": "hi"}), text="Well: "), "That is all."]
    async with Session(agent(script)) as session, session.run_stream("Go") as stream:
        with pytest.raises(RunFailed, match="not ended"):
            stream.result
        events: list[Event] = [event async for event in stream]
        match events:
            case [
                Step(step=1),
                Text(text="Well: "),
                ToolUse(id=id, name="say", input={"text": "hi"}),
                ToolResult(tool_use_id=answered, content="hi", is_error=False),
                Step(step=2),
                Text(text=end),
                Done(result=result),
            ]:
                assert id == answered
                assert end == "That is all."
                assert stream.result == result
                assert result.run_id == stream.run.id
            case _:
                pytest.fail(f"{events}")


async def test_a_session_remembers_what_was_said() -> None:
    script = Scripted(lambda request: f"{len(request.messages)} messages")
    async with Session(Agent("counter", provider=script)) as session:
        assert (await session.run("one")).response == "1 messages"
        assert (await session.run("two")).response == "3 messages"


async def test_instructions_and_tools_are_sent_to_the_model() -> None:
    script = Scripted(["ok"])
    helper = Agent("helper", instructions="Be brief.", provider=script, tools=[say, wait])
    async with Session(helper) as session:
        await session.run("hello")
    assert script.requests[0].system == "Be brief."
    assert [spec.name for spec in script.requests[0].tools] == ["say", "wait"]


async def test_a_program_may_submit_and_ask_for_the_result_later() -> None:
    async with Session(echo()) as session:
        run = await session.submit("hello")
        assert run.status in ("queued", "running")
        assert (await run.result()).response == "hello"
        assert run.status == "completed"
        assert (await run.result()) == run.outcome()


async def test_a_failed_run_raises_its_error_from_run_stream_and_result() -> None:
    error = ProviderError("no", provider="scripted")
    async with Session(agent([Fail(error), Fail(error)])) as session:
        with pytest.raises(ProviderError, match="no"):
            await session.run("one")
        async with session.run_stream("two") as stream:
            assert isinstance(await anext(stream), Step)
            with pytest.raises(ProviderError, match="no"):
                await anext(stream)
        with pytest.raises(ProviderError, match="no"):
            stream.result


async def test_two_messages_at_once_are_answered_one_after_the_other(
    autojump_clock: MockClock,
) -> None:
    helper = echo(delay=1.0)
    results: list[str] = []
    async with Session(helper) as session:

        async def ask(text: str) -> None:
            results.append((await session.run(text)).response)

        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "one")
            nursery.start_soon(ask, "two")
        assert sorted(results) == ["one", "two"]
        assert trio.current_time() - start == 2.0
        assert_valid(await session.history())


async def test_two_sessions_run_side_by_side(autojump_clock: MockClock) -> None:
    helper = echo(delay=1.0)
    async with opened(helper) as runtime:
        sessions = [await runtime.create_session(helper) for _ in range(2)]
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for session in sessions:
                nursery.start_soon(session.run, "hello")
        assert trio.current_time() - start == 1.0
        assert idle(runtime)


async def test_leaving_a_stream_early_cancels_its_run(autojump_clock: MockClock) -> None:
    helper = agent(["a long story " * 50, "next"])
    helper.provider.piece_delay = 1.0  # type: ignore[attr-defined]
    async with Session(helper) as session:
        async with session.run_stream("tell me") as stream:
            async for event in stream:
                if isinstance(event, Text):
                    break
        assert stream.run.status == "cancelled"
        assert stream.result.stop_reason == "cancelled"
        history = await session.history()
        assert history[-1].cut_short == "cancelled"
        assert history[-1].text == "a long story a l"
        assert (await session.run("again")).response == "next"


async def test_a_callers_cancel_scope_cancels_its_run_and_the_session_is_ready_at_once(
    autojump_clock: MockClock,
) -> None:
    helper = agent([ToolCalls(("wait", {"seconds": 1000})), "next"])
    async with Session(helper) as session:
        start = trio.current_time()
        with trio.move_on_after(30) as scope:
            await session.run("a long job")
        assert scope.cancelled_caught
        assert (await session.run("again")).response == "next"
        assert trio.current_time() - start == 30.0
        assert_valid(await session.history())


async def test_a_run_whose_caller_is_cancelled_before_it_is_durable_does_not_go_on() -> None:
    helper = echo()
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        for use_stream in (False, True):
            with trio.CancelScope() as scope:
                scope.cancel()
                if use_stream:
                    async with session.run_stream("hello"):
                        pytest.fail("the stream began")
                else:
                    await session.run("hello")
            assert scope.cancelled_caught
        assert live_of(runtime, session.id).runs == {}
        statuses = {run.status for run in await runtime.store.runs(session.id)}
        assert statuses <= {"cancelled"}
        assert idle(runtime)


async def test_a_session_that_is_not_open_says_so() -> None:
    session = Session(echo())
    with pytest.raises(RuntimeError, match="not open"):
        await session.run("hello")
    async with session:
        await session.run("hello")
    with pytest.raises(RuntimeError, match="not open"):
        await session.run("hello")
    with pytest.raises(RuntimeError, match="not open"):
        async for _ in session.run_stream("hello"):
            pass


async def test_a_session_may_be_opened_again_and_is_then_a_new_one() -> None:
    session = Session(echo())
    async with session:
        await session.run("hello")
        first = session.id
    async with session:
        assert session.id != first
        assert await session.history() == ()


async def test_what_cannot_be_is_refused_before_anything_is_kept(tmp_path: object) -> None:
    with pytest.raises(InvalidRequest, match="does not exist"):
        async with Session(echo(), work_dir=f"{tmp_path}/nowhere"):
            pass
    async with Session(echo()) as session:
        with pytest.raises(InvalidRequest, match="max_steps"):
            await session.run("hello", max_steps=0)
        with pytest.raises(InvalidRequest, match="Unicode"):
            await session.run("\ud800")
        assert await session.history() == ()


async def test_an_error_in_the_block_of_a_session_comes_out_as_it_is(
    autojump_clock: MockClock,
) -> None:
    async def program() -> None:
        async with Session(echo(delay=100)) as session:
            await session.submit("hello")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await program()
