"""The official client of the Model Context Protocol, on Trio, against a served runtime."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
import trio
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from mcp_kit import NEW, OLD
from server_kit import Gate, Server, call, serving
from wingman import tool
from wingman.errors import ProviderError

# The client leaves the generators of httpx2 behind, where it has read an answer.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Async generator 'httpx2:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <async_generator:pytest.PytestUnraisableExceptionWarning"
    ),
]

MODES = {"auto": NEW, "legacy": OLD}


@pytest.fixture(params=list(MODES))
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def connected(server: Server, mode: str) -> AsyncIterator[Client]:
    async with Client(f"{server.url}/mcp", mode=mode) as client:
        yield client


async def test_it_finds_the_server_and_its_tools(server: Server, mode: str) -> None:
    await server.agent(name="Reviewer")
    async with connected(server, mode) as client:
        assert client.protocol_version == MODES[mode]
        assert client.server_info is not None
        assert client.server_info.name == "wingman"
        assert client.server_capabilities.tools is not None
        tools = {each.name: each for each in (await client.list_tools()).tools}
    assert list(tools) == ["run_agent", "list_sessions", "get_session", "cancel"]
    assert "Reviewer" in str(tools["run_agent"].description)
    for each in tools.values():
        assert each.title
        assert each.input_schema["type"] == "object"
        assert each.annotations is not None
    assert tools["get_session"].annotations.read_only_hint is True
    assert tools["run_agent"].annotations.read_only_hint is False


async def test_it_runs_an_agent_and_goes_on_in_its_session(server: Server, mode: str) -> None:
    await server.agent(name="Actor")
    async with connected(server, mode) as client:
        first = await client.call_tool("run_agent", {"agent": "Actor", "message": "Say hello."})
        assert not first.is_error
        assert first.content[0].text == "Hello."
        ran = first.structured_content
        assert ran["status"] == "completed"
        assert ran["usage"] == {"input_tokens": 10, "output_tokens": 5}
        server.stage.play("And again.")
        second = await client.call_tool(
            "run_agent", {"session": ran["session_id"], "message": "Again."}
        )
        assert second.structured_content["session_id"] == ran["session_id"]
        assert second.structured_content["response"] == "And again."

        [listed] = (await client.call_tool("list_sessions")).structured_content["sessions"]
        assert listed["session_id"] == ran["session_id"]
        assert (listed["title"], listed["agent"]) == ("Say hello.", "Actor")
        read = await client.call_tool("get_session", {"session": ran["session_id"]})
        messages = read.structured_content["messages"]
        assert [(one["role"], one["text"]) for one in messages] == [
            ("user", "Say hello."),
            ("assistant", "Hello."),
            ("user", "Again."),
            ("assistant", "And again."),
        ]
        assert read.structured_content["last_run"]["response"] == "And again."
    assert len((await server.client.get("/sessions")).json()) == 1


async def test_it_is_told_of_the_progress(mode: str) -> None:
    @tool
    async def look(at: str) -> str:
        """Look."""
        await trio.lowlevel.checkpoint()
        return at

    async with serving(tools=[look]) as server:
        session_id = await server.session(tools=["look"])
        server.stage.play("Let me see. ", call("look", at="the sky"))
        told: list[tuple[float, str | None]] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            told.append((done, message))

        async with connected(server, mode) as client:
            result = await client.call_tool(
                "run_agent", {"session": session_id, "message": "go"}, progress_callback=progress
            )
        assert result.structured_content["tool_calls"] == 1
        texts = [message for _, message in told]
        assert texts[0] is not None
        assert session_id in texts[0]
        assert texts[1:] == [
            "Step 1: the model is asked.",
            'Calls look {"at":"the sky"}',
            "look is done.",
            "Step 2: the model is asked.",
        ]
        assert [done for done, _ in told] == sorted({done for done, _ in told})


async def test_a_call_that_it_cancels_cancels_the_run(server: Server, mode: str) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play("So far, ", gate, "never.")
    async with connected(server, mode) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                client.call_tool, "run_agent", {"session": session_id, "message": "go"}
            )
            await gate.reached.wait()
            nursery.cancel_scope.cancel()
        run = (await server.client.get(f"/sessions/{session_id}/runs")).json()[0]
        ended = await server.ended(session_id, run["id"])
        assert ended["status"] == "cancelled"
        assert ended["result"]["response"] == "So far, "
        # The connection is as good as before.
        result = await client.call_tool("run_agent", {"session": session_id, "message": "on"})
        assert result.structured_content["response"] == "Hello."


async def test_a_client_that_ends_cancels_what_it_waits_for(server: Server, mode: str) -> None:
    session_id = await server.session()
    gate = Gate()
    server.stage.play(gate, "never.")
    with trio.CancelScope() as scope:
        async with connected(server, mode) as client, trio.open_nursery() as nursery:
            nursery.start_soon(
                client.call_tool, "run_agent", {"session": session_id, "message": "go"}
            )
            await gate.reached.wait()
            scope.cancel()
    run = (await server.client.get(f"/sessions/{session_id}/runs")).json()[0]
    assert (await server.ended(session_id, run["id"]))["status"] == "cancelled"


async def test_errors_of_wingman_are_errors_of_the_tool(server: Server, mode: str) -> None:
    await server.agent(name="Actor")
    async with connected(server, mode) as client:
        for given, code in (
            ({"agent": "Nobody", "message": "go"}, "agent_not_found"),
            ({"session": "01NONE", "message": "go"}, "session_not_found"),
            ({"agent": "Actor", "message": "go", "work_dir": "/no/such"}, "invalid_request"),
            ({"message": "go"}, "invalid_request"),
            ({"agent": "Actor", "message": ""}, "invalid_request"),
            ({"agent": "Actor", "message": "go", "colour": "red"}, "invalid_request"),
        ):
            result = await client.call_tool("run_agent", given)
            assert result.is_error, given
            assert result.content[0].text.startswith(f"{code}: "), result.content[0].text
            assert result.meta["wingman/error"]["code"] == code
        unknown = await client.call_tool("run_agent", {"agent": "Nobody", "message": "go"})
        assert "There are: Actor." in unknown.content[0].text
        server.stage.play(ProviderError("no luck", provider="stage"))
        failed = await client.call_tool("run_agent", {"agent": "Actor", "message": "go"})
        assert failed.is_error
        assert failed.structured_content["status"] == "failed"
        assert failed.structured_content["error"]["code"] == "provider_error"
        with pytest.raises(MCPError, match="there are: run_agent"):
            await client.call_tool("run_nothing")
    # What was refused has made no session.
    assert len((await server.client.get("/sessions")).json()) == 1


async def test_it_runs_in_the_background_and_cancels(server: Server, mode: str) -> None:
    await server.agent(name="Actor")
    gate = Gate()
    server.stage.play("So far. ", gate)
    async with connected(server, mode) as client:
        started = await client.call_tool(
            "run_agent", {"agent": "Actor", "message": "go", "background": True}
        )
        ids = started.structured_content
        await gate.reached.wait()
        read = await client.call_tool("get_session", {"session": ids["session_id"]})
        assert read.structured_content["status"] == "running"
        assert read.structured_content["in_progress"]["text"] == "So far. "
        cancelled = await client.call_tool("cancel", {"run": ids["run_id"]})
        [receipt] = cancelled.structured_content["cancelled"]
        assert receipt["run_id"] == ids["run_id"]
        read = await client.call_tool("get_session", {"session": ids["session_id"]})
        assert read.structured_content["last_run"]["status"] == "cancelled"
        again = await client.call_tool("cancel", {"session": ids["session_id"]})
        assert again.structured_content == {"cancelled": []}


async def test_it_gives_the_token_and_comes_by_no_other_way(mode: str) -> None:
    async with serving(token="s3cret") as server:
        url = f"{server.url}/mcp"
        with pytest.RaisesGroup(MCPError, flatten_subgroups=True, allow_unwrapped=True):
            async with Client(url, mode=mode):
                pass
        headers = {"Authorization": "Bearer s3cret"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            assert (await client.list_tools()).tools
