"""The page of the runtime: what is alive, what runs, models, MCP servers."""

import sys
from pathlib import Path

import pytest
import trio

from browser_kit import Chromium
from console_kit import console
from mcp_client.servers import PROGRAM, Room
from server_kit import call
from wingman import tool

COMMAND = [sys.executable, "-I", "-S", str(PROGRAM)]
IN_MEMORY = "section:has(h2:text('In memory')) tbody tr"
SERVER = "section:has(h2:text('MCP servers')) tbody tr"


@tool
async def stay() -> str:
    """Stay until the call is cancelled."""
    await trio.sleep_forever()
    return ""


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path.resolve())


async def test_the_runtime_is_shown_and_no_key(chromium: Chromium) -> None:
    async with console(chromium, tools=[stay]) as (server, page):
        session_id = await server.session(tools=["stay"])
        server.stage.play(call("stay"))
        await server.start(session_id, "A run that stays")
        await page.goto(f"{server.url}/#/runtime")
        assert "running" in await page.shown("tr:has-text('A run that stays')")
        assert "processing" in await page.shown("section:has(h2:text('In memory')) tbody tr")
        await page.click("tr:has-text('anthropic') >> text=Set a key…")
        await page.fill("#provider-key", "sk-very-secret")
        await page.click("dialog button[type=submit]")
        await page.shown("tr:has-text('anthropic') .yes")
        assert "sk-very-secret" not in await page.evaluate(
            "() => document.documentElement.outerHTML"
        )
        await page.click("tr:has-text('A run that stays') >> text=Cancel")
        assert "Stopped in" in await page.shown("dialog .receipt")


async def test_a_session_has_the_same_name_in_the_list_and_in_the_runtime(
    chromium: Chromium,
) -> None:
    async with console(chromium, tools=[stay]) as (server, page):
        session_id = await server.session(tools=["stay"])
        server.stage.play(call("stay"))
        await server.start(session_id, "Words without a title")
        await page.goto(f"{server.url}/#/runtime")
        assert await page.shown(".sessions .name") == "Words without a title"
        await page.shown(f"{IN_MEMORY} >> text=Words without a title")
        assert await page.count("main >> text=Untitled session") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")
async def test_mcp_servers_are_shown_connected_and_disconnected(
    chromium: Chromium, room: Room
) -> None:
    async with console(chromium, page={"dark": True}) as (server, page):
        await page.goto(f"{server.url}/#/runtime")
        assert "There are none" in await page.shown("section:has(h2:text('MCP servers')) .muted")
        await server.client.put("/mcp/fake", json={"command": [*COMMAND, room.log]})
        await server.client.put("/mcp/broken", json={"command": [*COMMAND, "exit=1"]})
        fake, broken = (f"{SERVER}:has(strong:text-is('{name}'))" for name in ("fake", "broken"))
        assert "idle" in await page.shown(fake)
        await page.click(f"{broken} >> text=Connect")
        assert "exit code 1" in await page.shown(f"{broken} >> .complaint")
        await page.click(f"{fake} >> text=Connect")
        shown = await page.shown(f"{fake}:has-text('connected')")
        assert " tools" in shown
        assert "process " in shown
        await page.shown(f"{IN_MEMORY} >> text=toolset fake")
        assert [each["id"] for each in await page.violations()] == []
        await page.click(f"{fake} >> text=Disconnect")
        await page.shown(f"{SERVER} >> text=idle")
        assert await page.complaints() == []
