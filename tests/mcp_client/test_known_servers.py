"""The MCP servers that a runtime knows: kept, shown, replaced, and connected to for its agents."""

import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from mcp_client.servers import Room, fake, gone, is_alive
from wingman import Agent, Runtime
from wingman.api import McpServer, NewAgent, ProviderConfig
from wingman.conversation import ToolResultBlock
from wingman.errors import InvalidRequest, McpUnavailable, NotFound
from wingman.mcp import McpToolset
from wingman.providers import Scripted, ToolCalls
from wingman.runtime import Settings
from wingman.tools import Tools, tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")


def failing(room: Room) -> McpServer:
    return fake(room.log, "exit=7", "stderr=no key")


async def test_a_server_that_is_put_is_there_after_a_restart(room: Room) -> None:
    database = room.path / "w.db"
    async with Runtime(database) as runtime:
        assert runtime.mcp.list() == ()
        view = await runtime.mcp.put("fake", fake(room.log, env={"KEY": "s3cr3t"}))
        assert (view.name, view.origin, view.status, view.env) == (
            "fake",
            "store",
            "idle",
            ("KEY",),
        )
    async with Runtime(database) as runtime:
        assert [view.name for view in runtime.mcp.list()] == ["fake"]
        await runtime.mcp.delete("fake")
    async with Runtime(database) as runtime:
        assert runtime.mcp.list() == ()
        with pytest.raises(NotFound, match="There is no MCP server 'fake'"):
            runtime.mcp.get("fake")


async def test_how_a_server_stands_is_shown(room: Room) -> None:
    async with Runtime() as runtime:
        await runtime.mcp.put("fake", fake(room.log))
        view = await runtime.mcp.connect("fake", room.path)
        [connection] = view.connections
        assert view.status == connection.status == "connected"
        assert connection.work_dir == str(room.path)
        assert connection.pid == room.heard("pid")[0]
        tools = await runtime.mcp.tools("fake", room.path)
        assert connection.tools == len(tools)
        assert "fake_echo" in {tool.name for tool in tools}
        assert (await runtime.mcp.disconnect("fake")).status == "idle"
        await gone(*room.heard("pid"))
        assert len(room.heard("pid")) == 1


async def test_why_a_server_has_failed_is_shown_and_it_is_tried_again_when_asked(
    room: Room,
) -> None:
    async with Runtime() as runtime:
        await runtime.mcp.put("fake", failing(room))
        view = await runtime.mcp.connect("fake", room.path)
        assert view.status == "failed"
        assert view.reason is not None
        assert "exit code 7. It wrote to stderr: no key" in view.reason
        with pytest.raises(McpUnavailable, match="exit code 7"):
            await runtime.mcp.tools("fake", room.path)
        await runtime.mcp.put("fake", fake(room.log))
        assert runtime.mcp.get("fake").status == "idle"
        assert (await runtime.mcp.connect("fake", room.path)).status == "connected"


async def test_a_server_that_is_disabled_is_not_reached(room: Room) -> None:
    async with Runtime() as runtime:
        await runtime.mcp.put("fake", fake(room.log, enabled=False))
        assert (await runtime.mcp.connect("fake", room.path)).status == "disabled"
        with pytest.raises(McpUnavailable, match="is not enabled"):
            await runtime.mcp.tools("fake", room.path)
        assert room.heard("pid") == []


@pytest.mark.parametrize("name", ["", "a_b", "-a", "a b", "x" * 33, "../a", "bash", "edit"])
async def test_a_name_that_is_none_or_is_a_tools_is_refused(name: str) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidRequest):
            await runtime.mcp.put(name, McpServer(command=("true",)))


async def test_a_name_that_is_taken_elsewhere_is_refused(room: Room) -> None:
    toolsets = [McpToolset("code", fake(room.log)), Tools("plain", [])]
    settings = Settings(mcp={"file": fake(room.log)})
    async with Runtime(toolsets=toolsets, settings=settings) as runtime:
        origins = {view.name: view.origin for view in runtime.mcp.list()}
        assert origins == {"code": "code", "file": "configuration"}
        for name, why in (
            ("code", "program's code"),
            ("file", "configuration"),
            ("plain", "another toolset"),
        ):
            with pytest.raises(InvalidRequest, match=why):
                await runtime.mcp.put(name, McpServer(command=("true",)))
        for name in ("code", "file"):
            with pytest.raises(InvalidRequest):
                await runtime.mcp.delete(name)


async def test_a_server_of_the_settings_that_changes_is_left_and_the_new_one_is_used(
    room: Room,
) -> None:
    async with Runtime(settings=Settings(mcp={"fake": fake(room.log)})) as runtime:
        await runtime.mcp.connect("fake", room.path)
        runtime.configure(Settings(mcp={"fake": fake(room.log, "tools=2")}))
        await gone(*room.heard("pid"))
        tools = {tool.name for tool in await runtime.mcp.tools("fake", room.path)}
        assert "fake_more1" in tools
        runtime.configure(Settings())
        await gone(*room.heard("pid"))
        assert runtime.mcp.list() == ()


async def test_a_name_of_the_settings_that_is_a_tools_is_refused_as_a_whole(room: Room) -> None:
    async with Runtime(settings=Settings(mcp={"fake": fake(room.log)})) as runtime:
        with pytest.raises(InvalidRequest, match="'bash'"):
            runtime.configure(Settings(mcp={"bash": fake(room.log)}))
        assert [view.name for view in runtime.mcp.list()] == ["fake"]


def librarian() -> NewAgent:
    return NewAgent(name="Librarian", toolsets=("fake",), provider=ProviderConfig("scripted"))


async def outputs(session: Any) -> list[str]:
    history = await session.history()
    return [b.content for m in history for b in m.content if isinstance(b, ToolResultBlock)]


async def test_an_agent_of_the_store_has_the_tools_of_a_server_that_it_names(room: Room) -> None:
    async with Runtime() as runtime:
        with pytest.raises(InvalidRequest, match="toolset 'fake'"):
            await runtime.agents.create(librarian())
        await runtime.mcp.put("fake", fake(room.log))
        agent = await runtime.agents.create(librarian())
        session = await runtime.create_session(agent.id, work_dir=room.path)
        await session.run('!fake_echo {"text": "hello"}')
        assert await outputs(session) == ["hello"]


async def test_a_server_that_is_replaced_ends_once_its_calls_have(room: Room) -> None:
    calls = [ToolCalls(("fake_late", {})), ToolCalls(("fake_more1", {})), "ok"]
    async with Runtime() as runtime:
        await runtime.mcp.put("fake", fake(room.log, execution_timeout=1))
        agent = Agent(
            "tester", provider=Scripted(calls), toolsets=[runtime.agents.toolsets.named("fake")]
        )
        session = await runtime.create_session(agent, work_dir=room.path)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.run, "go")
            await room.until_heard("late")
            [pid] = room.heard("pid")
            await runtime.mcp.put("fake", fake(room.log, "tools=2"))
            assert runtime.mcp.get("fake").connections == ()
            assert is_alive(pid)
        await gone(pid)
        late, new = await outputs(session)
    assert "not answered within 1 s" in late
    assert new == "The MCP server answered with an error: no tool more1"  # by the new one


async def test_a_wrapped_server_of_code_is_no_server_here(room: Room) -> None:
    @tool
    async def other() -> str:
        """Another tool."""
        return ""

    async with Runtime(toolsets=[Tools("others", [other])]) as runtime:
        assert runtime.mcp.list() == ()
        with pytest.raises(NotFound):
            await runtime.mcp.connect("others", Path("/"))
