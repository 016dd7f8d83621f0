"""Servers that we did not write: from npm, and from PyPI."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from mcp_client.servers import Room
from wingman.api import McpServer
from wingman.mcp import McpToolset
from wingman.tools import ToolOutput

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")

NODE_MODULES = Path(__file__).with_name("npm") / "node_modules" / "@modelcontextprotocol"
SCRIPTS = Path(sys.executable).parent


def of_npm(name: str, *arguments: str) -> McpServer:
    program = NODE_MODULES / name / "dist" / "index.js"
    if not program.exists() or shutil.which("node") is None:
        pytest.skip(f"npm install --prefix {program.parents[4]} is needed, and node")
    return McpServer(command=("node", str(program), *arguments))


def of_pypi(name: str, *arguments: str) -> McpServer:
    if not (SCRIPTS / name).exists():
        pytest.skip(f"pip install {name} is needed")
    return McpServer(command=(str(SCRIPTS / name), *arguments))


def within(room: Room, server: McpServer) -> McpToolset:
    toolset = McpToolset("real", server).within(room.path)
    assert isinstance(toolset, McpToolset)
    return toolset


async def call(toolset: McpToolset, room: Room, name: str, **input: Any) -> ToolOutput:
    tools = {tool.name: tool for tool in await toolset.tools()}
    output = await tools[f"real_{name}"].call(input, room.context())
    assert isinstance(output, ToolOutput)
    return output


async def test_everything(room: Room) -> None:
    async with within(room, of_npm("server-everything", "stdio")) as toolset:
        assert (await call(toolset, room, "echo", message="hello")).text == "Echo: hello"
        assert (await call(toolset, room, "get-tiny-image")).images
        weather = await call(toolset, room, "get-structured-content", location="New York")
        assert weather.structured["conditions"]
        links = await call(toolset, room, "get-resource-links", count=2)
        assert "demo://resource/dynamic/text/2" in links.text
        await call(toolset, room, "trigger-long-running-operation", duration=0.1, steps=2)
        assert room.progress == ["1/2\n", "2/2\n"]
        question = await call(toolset, room, "trigger-elicitation-request")
        assert "decline" in question.text
        began = trio.current_time()
    assert trio.current_time() - began < 1  # it does not end when its stdin is closed


async def test_filesystem_knows_the_sessions_directory(room: Room) -> None:
    (room.path / "a.txt").write_text("hello")
    async with within(room, of_npm("server-filesystem", str(room.path))) as toolset:
        path = str(room.path / "a.txt")
        assert (await call(toolset, room, "read_text_file", path=path)).text == "hello"
        assert (await call(toolset, room, "read_text_file", path="/etc/passwd")).is_error


async def test_git(room: Room) -> None:
    await trio.run_process(["git", "init", "-q"], cwd=room.path)
    (room.path / "a.txt").write_text("hello")
    async with within(room, of_pypi("mcp-server-git")) as toolset:
        status = await call(toolset, room, "git_status", repo_path=str(room.path))
        assert "a.txt" in status.text


async def test_fetch(room: Room) -> None:
    async with within(room, of_pypi("mcp-server-fetch")) as toolset:
        page = await call(toolset, room, "fetch", url="http://127.0.0.1:1/")
        assert page.is_error  # there is nobody, or it does not go there
