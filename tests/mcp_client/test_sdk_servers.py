"""A server made with the official SDK, over stdio and over HTTP on Hypercorn."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from mcp_client.servers import Room
from wingman.api import McpServer
from wingman.errors import ToolError
from wingman.mcp import McpFailed, McpToolset
from wingman.tools import ToolOutput

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")

PROGRAM = Path(__file__).with_name("sdk_server.py")
SECRET = "s3cr3t-k3y"
KEY = {"x-key": SECRET}


def listening() -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(PROGRAM), "http", SECRET]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def port_of(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port at which one listens."""
    with listening() as process:
        yield port_of(process)
        process.kill()


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest) -> McpServer:
    if request.param == "stdio":
        return McpServer(command=(sys.executable, str(PROGRAM)))
    return McpServer(url=f"http://127.0.0.1:{request.getfixturevalue('port')}/mcp", headers=KEY)


def within(room: Room, server: McpServer) -> McpToolset:
    toolset = McpToolset("sdk", server).within(room.path)
    assert isinstance(toolset, McpToolset)
    return toolset


async def call(toolset: McpToolset, room: Room, name: str, **input: Any) -> ToolOutput:
    tools = {tool.name: tool for tool in await toolset.tools()}
    output = await tools[f"sdk_{name}"].call(input, room.context())
    assert isinstance(output, ToolOutput)
    return output


async def test_all_that_a_server_gives_arrives(room: Room, server: McpServer) -> None:
    async with within(room, server) as toolset:
        assert (await call(toolset, room, "add", a=1, b=2)).text == "3"
        weather = await call(toolset, room, "weather", place="here")
        assert weather.structured == {"degrees": 21.5}
        assert json.loads(weather.text) == weather.structured
        [image] = (await call(toolset, room, "picture")).images
        assert image.media_type == "image/png"
        assert (await call(toolset, room, "fail")).is_error
        with pytest.raises(ToolError, match=r"\$\.a"):
            await call(toolset, room, "add", a="one", b=2)

        with trio.move_on_after(10) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: call(toolset, room, "slow"))
                while not room.progress:  # noqa: ASYNC110 the server is another process
                    await trio.sleep(0.005)
                nursery.cancel_scope.cancel()
        assert not scope.cancelled_caught
        assert room.progress == ["half of it (1/2)\n"]
        while True:
            if (await call(toolset, room, "was_cancelled")).text == "true":
                break
            await trio.sleep(0.005)

        await call(toolset, room, "grow")
        while True:
            if "sdk_grown" in {tool.name for tool in await toolset.tools()}:
                break
            await trio.sleep(0.005)
        assert (await call(toolset, room, "grown")).text == "new"


@pytest.mark.parametrize(
    ("url", "headers", "reason"),
    [
        ("http://{}/mcp", {}, "answered with the HTTP status 401 Unauthorized"),
        ("http://{}/mcp", {"x-key": "wr0ng-k3y"}, "answered with the HTTP status 401 Unauthorized"),
        ("http://me:p4ssw0rd@{}/mcp?key=qu3ry-k3y", {}, "answered with the HTTP status 401"),
        ("http://{}/none", KEY, "answered with the HTTP status 404 Not Found"),
        ("http://{}/moved", KEY, "Redirect to http://127.0.0.2:1/mcp not followed"),
        ("https://{}/mcp", KEY, "TLS with https://{}/mcp failed"),
        ("http://127.0.0.1:1/mcp", KEY, "There is no connection to http://127.0.0.1:1/mcp"),
        ("http://{}/mcp", {"x-key": "lïne-k3y\r\n"}, "header 'x-key' has characters"),
    ],
)
async def test_why_a_server_cannot_be_reached_is_said_without_a_secret(
    port: int,
    url: str,
    headers: dict[str, str],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    place = f"127.0.0.1:{port}"
    toolset = McpToolset("sdk", McpServer(url=url.format(place), headers=headers))
    with pytest.raises(McpFailed) as raised:
        async with toolset:
            raise AssertionError("it was entered")
    words = str(raised.value)
    assert words.startswith("The MCP server 'sdk' cannot be used. ")
    assert reason.format(place) in words
    for text in (words, caplog.text, repr(toolset)):
        assert not any(secret in text for secret in (SECRET, "k3y", "p4ss"))


async def test_a_server_at_a_url_that_dies_is_lost(room: Room) -> None:
    with listening() as process:
        port = await trio.to_thread.run_sync(port_of, process)
        url = f"http://127.0.0.1:{port}/mcp"
        told: list[str] = []

        async def late(toolset: McpToolset) -> None:
            process.kill()
            process.wait()
            with pytest.raises(ToolError) as raised:
                await call(toolset, room, "add", a=1, b=2)
            told.append(str(raised.value))

        async with trio.open_nursery() as nursery:
            with pytest.raises(McpFailed, match=r"no connection|broke"):  # noqa: PT012
                async with within(room, McpServer(url=url, headers=KEY)) as toolset:
                    nursery.start_soon(late, toolset)
                    await trio.sleep_forever()
    assert "may have had its effect" in told[0]
