"""Servers for the tests, and what a call of their tools needs."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import trio

from wingman.api import McpServer
from wingman.mcp import McpToolset
from wingman.tools import Tool, ToolContext, ToolOutput

PROGRAM = Path(__file__).with_name("fake_server.py")


def fake(*settings: str, **more: Any) -> McpServer:
    """The fake server, with these settings of its own (`name=value`) and of ours."""
    # -I -S: it starts in 30 ms.
    command = (sys.executable, "-I", "-S", str(PROGRAM), *settings)
    return McpServer(command=command, **more)


@attrs.define
class Room:
    """A directory in which a server is tried."""

    path: Path
    progress: list[str] = attrs.field(factory=list)

    @property
    def log(self) -> str:
        """The setting that has the fake server write down what it hears."""
        return f"log={self.path / 'log'}"

    def heard(self, key: str) -> list[Any]:
        """What it has written down under a key."""
        file = self.path / "log"
        entries = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
        return [entry[key] for entry in entries if key in entry]

    async def until_heard(self, key: str, value: Any = None) -> Any:
        """Wait until it has."""
        while True:
            if found := [each for each in self.heard(key) if value is None or each == value]:
                return found[0]
            await trio.sleep(0.005)  # it is another process: there is no event

    def toolset(self, *settings: str, **more: Any) -> McpToolset:
        toolset = McpToolset("fake", fake(self.log, *settings, **more)).within(self.path)
        assert isinstance(toolset, McpToolset)
        return toolset

    def context(self, **more: Any) -> ToolContext:
        return ToolContext(self.path, progress=self.progress.append, **more)


async def tool_of(toolset: McpToolset, name: str) -> Tool:
    return next(tool for tool in await toolset.tools() if tool.name == name)


async def call(
    toolset: McpToolset, room: Room, name: str, input: Mapping[str, Any] | None = None, **more: Any
) -> str:
    """Call a tool of the fake server's: the text that it gives."""
    tool = await tool_of(toolset, f"fake_{name}")
    output = await tool.call(input or {}, room.context(**more))
    assert isinstance(output, ToolOutput)
    return output.text


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended as it was read
        return False
    return state not in "ZX"


async def gone(*pids: int) -> None:
    """Wait until these processes are."""
    while any(map(is_alive, pids)):  # noqa: ASYNC110 they are other processes: there is no event
        await trio.sleep(0.005)
