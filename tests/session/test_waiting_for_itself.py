"""A tool that waits for a run of its own session gets an error, not a deadlock."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from session_kit import agent, echo, idle, opened
from wingman import Runtime, Session, tool
from wingman.providers import ToolCalls


async def told(ask: Callable[[Session, Runtime], Any], *, in_child: bool = False) -> str:
    """What the model is told of a tool that asks its own session for something."""
    sessions: list[Session] = []

    @tool
    async def meddle() -> str:
        """Ask the session that calls this."""
        if in_child:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, sessions[0], runtime)
            return "never"
        return str(await ask(sessions[0], runtime))

    helper = agent([ToolCalls(("meddle", {})), "the end", "queued"], tools=(meddle,))
    async with opened(helper, echo()) as runtime:
        sessions.append(await runtime.create_session(helper))
        result = await sessions[0].run("go")
        assert result.response == "the end"
        [record, *_] = await runtime.store.runs(sessions[0].id)
        assert record.message == "go"
        with trio.move_on_after(10):
            while not idle(runtime):  # noqa: ASYNC110 a run that was submitted ends by itself
                await trio.sleep(0.1)
        assert idle(runtime)
        return result.tool_calls[0].output


async def run(session: Session, _: Runtime) -> str:
    return (await session.run("again")).response


async def stream(session: Session, _: Runtime) -> str:
    async with session.run_stream("again") as events:
        return str([event async for event in events])


async def submit_and_wait(session: Session, _: Runtime) -> str:
    return (await (await session.submit("again")).result()).response


async def wait_for_the_current(session: Session, runtime: Runtime) -> str:
    [view] = await runtime.runs(session.id)
    await (await runtime.run(session.id, view.id)).wait()
    return "never"


async def delete(session: Session, runtime: Runtime) -> str:
    await runtime.delete(session.id)
    return "never"


@pytest.mark.parametrize("ask", [run, stream, submit_and_wait, wait_for_the_current, delete])
@pytest.mark.parametrize("in_child", [False, True])
async def test_who_would_wait_for_its_own_session_is_told(
    ask: Callable[[Session, Runtime], Any], in_child: bool, autojump_clock: MockClock
) -> None:
    output = await told(ask, in_child=in_child)
    assert "WaitsForItself" in output
    assert "for ever" in output


async def test_in_a_thread_too() -> None:
    async def in_thread(session: Session, runtime: Runtime) -> str:
        return await trio.to_thread.run_sync(trio.from_thread.run, run, session, runtime)

    assert "WaitsForItself" in await told(in_thread)


async def test_a_message_that_nobody_waits_for_may_be_sent(autojump_clock: MockClock) -> None:
    async def submit(session: Session, _: Runtime) -> str:
        return (await session.submit("again")).status

    assert await told(submit) == "queued"


async def test_another_session_may_be_waited_for() -> None:
    async def ask_another(_: Session, runtime: Runtime) -> str:
        other = await runtime.create_session("echo")
        return (await other.run("hello")).response

    assert await told(ask_another) == "hello"


async def test_a_circle_of_sessions_is_seen(autojump_clock: MockClock) -> None:
    sessions: list[Session] = []

    @tool
    async def pass_on(to: int) -> str:
        """Ask another session."""
        return (await sessions[to].run("go")).tool_calls[0].output

    helpers = [
        agent(
            [ToolCalls(("pass_on", {"to": (n + 1) % 3})), "the end"], name=f"a{n}", tools=(pass_on,)
        )
        for n in range(3)
    ]
    async with opened(*helpers) as runtime:
        sessions += [await runtime.create_session(helper) for helper in helpers]
        with trio.fail_after(60):
            result = await sessions[0].run("go")
        assert "WaitsForItself" in result.tool_calls[0].output
        assert idle(runtime)
