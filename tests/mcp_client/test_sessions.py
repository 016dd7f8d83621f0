"""MCP servers in sessions: an agent has them, models call their tools, rules hold for them."""

import os
import signal
import sys

import pytest
import trio

from mcp_client.servers import Room, gone
from wingman import Agent, Runtime
from wingman.conversation import ToolResultBlock
from wingman.providers import Scripted, ToolCalls

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")


def agent(room: Room, *script: object, **more: object) -> Agent:
    return Agent("tester", provider=Scripted(list(script)), toolsets=[room.toolset()], **more)


async def results(session: object) -> list[ToolResultBlock]:
    history = await session.history()  # type: ignore[attr-defined]
    return [b for m in history for b in m.content if isinstance(b, ToolResultBlock)]


async def test_a_model_calls_a_servers_tool(room: Room) -> None:
    calls = ToolCalls(("fake_echo", {"text": "hello"}))
    async with Runtime() as runtime:
        session = await runtime.create_session(agent(room, calls, "ok"), work_dir=room.path)
        assert (await session.run("go")).response == "ok"
        [result] = await results(session)
    assert result.content == "hello"
    await gone(*room.heard("pid"))


async def test_a_rule_for_the_server_holds_for_all_its_tools_but_those_it_names(
    room: Room,
) -> None:
    calls = ToolCalls(("fake_echo", {"text": "hello"}), ("fake_environment", {}))
    rules = {"fake": "deny", "fake_echo": "allow"}
    async with Runtime() as runtime:
        session = await runtime.create_session(
            agent(room, calls, "ok", permissions=rules), work_dir=room.path
        )
        await session.run("go")
        allowed, denied = await results(session)
    assert (allowed.content, allowed.is_error) == ("hello", False)
    assert denied.is_error


async def test_a_cancelled_run_leaves_the_server_to_others(room: Room) -> None:
    toolset = room.toolset()
    script = [ToolCalls(("fake_hang", {})), ToolCalls(("fake_echo", {"text": "on"})), "ok"]
    tester = Agent("tester", provider=Scripted(script), toolsets=[toolset])
    async with Runtime() as runtime:
        session = await runtime.create_session(tester, work_dir=room.path)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: session.run("hang"))
            await room.until_heard("hanging")
            [cancelled] = (await session.cancel()).cancelled
            assert [call.outcome for call in cancelled.tools] == ["stopped"]
            nursery.cancel_scope.cancel()
        assert (await session.run("echo")).response == "ok"
    assert len(room.heard("pid")) == 1


async def test_a_server_that_died_is_started_again_by_the_next_call(room: Room) -> None:
    script = [
        ToolCalls(("fake_die", {})),
        ToolCalls(("fake_echo", {"text": "again"})),
        "ok",
    ]
    async with Runtime() as runtime:
        session = await runtime.create_session(agent(room, *script), work_dir=room.path)
        await session.run("go")
        died, again = await results(session)
    assert died.is_error
    assert "may have had its effect" in died.content
    assert again.content == "again"
    assert len(room.heard("pid")) == 2


async def test_a_server_that_is_killed_between_runs_is_started_again(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    calls = ToolCalls(("fake_echo", {"text": "hello"}))
    async with Runtime() as runtime:
        tester = agent(room, calls, "one", calls, "two")
        session = await runtime.create_session(tester, work_dir=room.path)
        await session.run("go")
        pid = room.heard("pid")[0]
        os.kill(pid, signal.SIGKILL)
        while "toolset lost" not in caplog.text:  # noqa: ASYNC110 it is told by another process
            await trio.sleep(0.005)
        assert (await session.run("go")).response == "two"
        assert [result.content for result in await results(session)] == ["hello", "hello"]
