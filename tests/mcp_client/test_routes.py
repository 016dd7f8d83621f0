"""MCP servers over HTTP, by the client, and from the command line."""

import json
import sys
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from mcp_client.servers import PROGRAM, Room
from server_kit import Server, call, serving
from wingman.api import McpServer
from wingman.cli import main
from wingman.client import Client, SyncClient
from wingman.errors import McpUnavailable, NotFound

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")

COMMAND = [sys.executable, "-I", "-S", str(PROGRAM)]


async def test_a_server_is_put_connected_and_removed_over_http(room: Room) -> None:
    async with serving() as server:
        http = server.client
        body = {"command": [*COMMAND, room.log], "env": {"KEY": "s3cr3t-k3y"}}
        answer = await http.put("/mcp/fake", json=body)
        assert (answer.status_code, answer.json()["status"]) == (200, "idle")
        where = {"work_dir": str(room.path)}
        view = (await http.post("/mcp/fake/connect", json=where)).json()
        assert view["status"] == "connected"
        assert view["connections"][0]["work_dir"] == str(room.path)
        assert "s3cr3t" not in json.dumps(view)
        assert view["env"] == ["KEY"]
        assert [each["name"] for each in (await http.get("/mcp")).json()] == ["fake"]
        tools = (await http.get("/mcp/fake/tools", params=where)).json()
        assert "fake_echo" in [each["name"] for each in tools]
        assert (await http.post("/mcp/fake/disconnect")).json()["status"] == "idle"
        assert (await http.delete("/mcp/fake")).json() == {"status": "deleted"}
        assert (await http.get("/mcp/fake")).status_code == 404


async def test_what_is_wrong_with_a_server_is_said_over_http(room: Room) -> None:
    async with serving() as server:
        http = server.client
        for body in ({}, {"command": []}, {"command": ["a"], "url": "http://a/"}, {"url": "x"}):
            assert (await http.put("/mcp/fake", json=body)).status_code == 400
        assert (await http.put("/mcp/a_b", json={"command": ["a"]})).status_code == 400
        await http.put("/mcp/fake", json={"command": [*COMMAND, "exit=1"]})
        view = (await http.post("/mcp/fake/connect")).json()
        assert (view["status"], "exit code 1" in view["reason"]) == ("failed", True)
        answer = await http.get("/mcp/fake/tools")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "mcp_unavailable")
        nowhere = {"work_dir": str(room.path / "none")}
        assert (await http.post("/mcp/fake/connect", json=nowhere)).status_code == 400


async def test_an_mcp_client_that_looks_for_a_stream_is_told_that_there_is_none() -> None:
    async with serving() as server:
        answer = await server.client.get("/mcp", headers={"Accept": "text/event-stream"})
        assert answer.status_code == 405
        assert (await server.client.get("/mcp", headers={"Accept": "*/*"})).status_code == 200


async def test_a_tools_command_cannot_change_servers(room: Room) -> None:
    async with serving() as server:
        await server.client.put("/mcp/fake", json={"command": [*COMMAND, room.log]})
        session_id = await server.session(tools=["bash"])
        for arguments in (
            '-X PUT {}/mcp/other -d \'{{"command": ["true"]}}\'',
            "-X DELETE {}/mcp/fake",
            "-X POST {}/mcp/fake/connect",
        ):
            json_body = "-H 'Content-Type: application/json'"
            command = f"curl -s -m 20 {json_body} {arguments.format(server.url)}"
            server.stage.play(call("bash", command=command))
            result = (await server.send(session_id)).json()
            assert '"code":"forbidden_tool"' in result["tool_calls"][0]["output"]
        assert [each["name"] for each in (await server.client.get("/mcp")).json()] == ["fake"]
        assert room.heard("pid") == []


async def test_the_client_has_all_of_it(room: Room) -> None:
    async with serving() as server, Client(server.url) as client:
        new = McpServer(command=(*COMMAND, room.log))
        assert (await client.mcp.put("fake", new)).status == "idle"
        view = await client.mcp.connect("fake", work_dir=str(room.path))
        assert view.status == "connected"
        assert await client.mcp.list() == (await client.mcp.get("fake"),)
        tools = await client.mcp.tools("fake", work_dir=str(room.path))
        assert "fake_echo" in [tool.name for tool in tools]
        assert (await client.mcp.disconnect("fake")).status == "idle"
        await client.mcp.put("fake", McpServer(command=("no-such-program",)))
        with pytest.raises(McpUnavailable, match="no-such-program"):
            await client.mcp.tools("fake")
        await client.mcp.delete("fake")
        with pytest.raises(NotFound):
            await client.mcp.get("fake")


def with_sync_client(url: str, room: Room) -> None:
    with SyncClient(url) as client:
        client.mcp.put("fake", McpServer(command=(*COMMAND, room.log)))
        assert client.mcp.connect("fake", work_dir=str(room.path)).status == "connected"
        assert [view.name for view in client.mcp.list()] == ["fake"]
        assert len(client.mcp.tools("fake", work_dir=str(room.path))) > 3
        assert client.mcp.disconnect("fake").status == client.mcp.get("fake").status == "idle"
        client.mcp.delete("fake")


async def test_the_client_without_async_has_it_too(room: Room) -> None:
    async with serving() as server:
        await trio.to_thread.run_sync(with_sync_client, server.url, room)


async def wingman(server: Server, *arguments: str) -> Result:
    def run() -> Result:
        return CliRunner().invoke(
            main, ["mcp", *arguments[:1], "--server", server.url, *arguments[1:]]
        )

    return await trio.to_thread.run_sync(run)


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


async def test_the_command_line_adds_lists_and_removes(room: Room) -> None:
    async with serving() as server:
        options = ("--env", "KEY=s3cr3t", "--tools", "echo,die", "--timeout", "5")
        added = await wingman(server, "add", "fake", *options, "--", *COMMAND, room.log)
        assert added.exit_code == 0, added.output
        [view] = lines(added)
        assert (view["status"], view["env"], view["execution_timeout"]) == ("connected", ["KEY"], 5)
        assert [each["name"] for each in lines(await wingman(server, "list"))] == ["fake"]
        tools = lines(await wingman(server, "tools", "fake"))
        assert [each["name"] for each in tools] == ["fake_echo", "fake_die"]
        assert (await wingman(server, "disconnect", "fake")).exit_code == 0
        assert (await wingman(server, "remove", "fake")).exit_code == 0
        assert (await wingman(server, "show", "fake")).exit_code == 6

        failed = await wingman(server, "add", "fake", "--", "no-such-program")
        assert failed.exit_code == 1
        assert "no-such-program" in lines(failed)[0]["reason"]
        assert (await wingman(server, "connect", "fake")).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("fake",),
        ("fake", "--url", "http://a/", "--", "true"),
        ("fake", "--url", "here"),
        ("fake", "--env", "s3cr3t", "--", "true"),
    ],
)
async def test_what_is_wrong_with_the_command_line_is_said(arguments: tuple[str, ...]) -> None:
    def run() -> Result:
        return CliRunner().invoke(main, ["mcp", "add", *arguments])

    result = await trio.to_thread.run_sync(run)
    assert result.exit_code == 2
    assert "s3cr3t" not in result.output
