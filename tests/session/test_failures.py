"""A provider that fails: what had arrived is kept and marked, and the next message works."""

import logging
from collections.abc import AsyncGenerator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import agent, assert_sendable, assert_valid, idle, last_text, opened, requests_of
from wingman import Agent, Event, RunStream, Session
from wingman.conversation import ToolUseBlock
from wingman.errors import ProviderError, ProviderTimeout, RunFailed
from wingman.events import Error
from wingman.providers import Delay, Fail, Finished, Part, Parts, Request, TextDelta, Transport

LOST = ProviderTimeout("it fell silent", provider="scripted")


async def test_a_failure_before_the_first_part_fails_the_run_and_not_the_session() -> None:
    helper = agent([Fail(LOST), "next"])
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("hello")
        with pytest.raises(ProviderTimeout, match="fell silent"):
            await run.result()
        assert run.status == "failed"
        stored = await runtime.store.run(session.id, run.id)
        assert stored is not None
        assert stored.error is not None
        assert (stored.status, stored.error.code) == ("failed", "provider_timeout")
        assert [message.role for message in await session.history()] == ["user"]
        assert (await session.run("again")).response == "next"
        assert_sendable(requests_of(helper)[-1])
        assert idle(runtime)


async def test_a_failure_in_the_middle_keeps_the_text_and_marks_it() -> None:
    helper = agent([Fail(LOST, after="The answer is"), "next"])
    async with Session(helper) as session:
        with pytest.raises(ProviderTimeout):
            await session.run("hello")
        history = await session.history()
        assert (history[-1].text, history[-1].cut_short) == ("The answer is", "failed")
        assert (await session.run("again")).response == "next"
        assert_sendable(requests_of(helper)[-1])


async def test_a_call_that_had_arrived_when_the_stream_broke_is_answered_and_not_executed() -> None:
    # Parts without Finished: the stream ends without saying so.
    helper = agent([Parts(ToolUseBlock("t1", "say", {"text": "never"})), "next"])
    async with Session(helper) as session:
        with pytest.raises(ProviderError, match="without saying so"):
            await session.run("hello")
        history = await session.history()
        assert_valid(history)
        assert history[1].cut_short == "failed"
        assert "Not executed" in str(history[2].content)
        assert (await session.run("again")).response == "next"
        assert_sendable(requests_of(helper)[-1])


async def collect(stream: RunStream, events: list[Event]) -> None:
    async for event in stream:
        events.append(event)  # noqa: PERF401 also those before an error


async def test_an_error_that_is_a_bug_tells_the_log_and_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    helper = agent([Fail(KeyError("sk-secret"), after="Well"), "next"])
    async with Session(helper) as session:
        async with session.run_stream("hello") as stream:
            events: list[Event] = []
            with pytest.raises(RunFailed) as caught:
                await collect(stream, events)
        assert caught.value.code == "internal_error"
        assert "sk-secret" not in str(caught.value)
        assert not any(isinstance(event, Error) for event in events)
        assert "sk-secret" not in str(await session.history())
        assert (await session.run("again")).response == "next"
    assert [r.levelno for r in caplog.records if r.name == "wingman.run"] == [logging.ERROR]


class Unclosing:
    """A provider that answers, or fails, and whose stream cannot be closed."""

    id = model = "unclosing"

    def __init__(self, *said: Part | Exception) -> None:
        self.said = iter(said)

    def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        return self  # type: ignore[return-value]

    def __aiter__(self) -> "Unclosing":
        return self

    async def __anext__(self) -> Part:
        for said in self.said:
            if isinstance(said, Exception):
                raise said
            return said
        raise StopAsyncIteration

    async def aclose(self) -> None:
        raise RuntimeError("it does not close")


async def test_a_stream_that_does_not_close_hides_neither_its_failure_nor_its_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = (TextDelta("Hello."), Finished("end_turn"))
    async with Session(Agent("a", provider=Unclosing(TextDelta("He"), LOST))) as session:
        with pytest.raises(ProviderTimeout, match="fell silent"):
            await session.run("hello")
    async with Session(Agent("a", provider=Unclosing(*whole))) as session:
        assert (await session.run("hello")).response == "Hello."
    assert caplog.text.count("does not close: RuntimeError: it does not close") == 2


async def test_an_error_while_a_run_is_cancelled_leaves_it_cancelled(
    autojump_clock: MockClock,
) -> None:
    async def speak(request: object) -> str:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("the connection was gone already")

    helper = agent(lambda asked: speak(asked) if last_text(asked.messages) == "hello" else "next")
    async with Session(helper) as session:
        run = await session.submit("hello")
        await wait_all_tasks_blocked()
        await run.cancel()
        assert run.status == "cancelled"
        assert (await session.run("again")).response == "next"


async def test_all_who_wait_for_a_run_are_told_of_its_failure(autojump_clock: MockClock) -> None:
    told: list[str] = []
    async with Session(agent([Delay(Fail(LOST), first=1)])) as session:
        run = await session.submit("hello")

        async def wait_for_it() -> None:
            try:
                await run.result()
            except ProviderTimeout as error:
                told.append(error.code)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait_for_it)
    assert told == ["provider_timeout"] * 3


async def test_text_without_an_end_is_a_broken_stream() -> None:
    async with Session(agent([Parts(TextDelta("half"))])) as session:
        with pytest.raises(ProviderError, match="without saying so"):
            await session.run("hello")
        assert (await session.history())[-1].text == "half"
