"""What the tests of the console share: a server, and its page in Chromium."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from browser_kit import Chromium, Page
from server_kit import Server, serving

__all__ = ["calls_shown", "console", "open_session", "send"]


@asynccontextmanager
async def console(
    chromium: Chromium, *, store: Any = "memory", tools: Any = (), page: Any = None, **options: Any
) -> AsyncIterator[tuple[Server, Page]]:
    """A server, and a page that is not at it yet. `page` are the options of the page."""
    async with (
        serving(store, tools=tools, **options) as server,
        chromium.page(**(page or {})) as shown,
    ):
        yield server, shown


async def open_session(server: Server, page: Page, **agent: Any) -> str:
    """A new session, opened in the console; its id."""
    agent_id = await server.agent(**agent)
    answer = await server.client.post("/sessions", json={"agent_id": agent_id, "work_dir": "/tmp"})
    session_id = str(answer.json()["id"])
    await page.goto(f"{server.url}/#/session/{session_id}")
    await page.shown(".status")
    return session_id


async def send(page: Page, text: str) -> None:
    """Write a message and send it."""
    await page.fill("#message", text)
    await page.click(".composer button.primary")


async def calls_shown(page: Page) -> list[str]:
    """How the tool calls stand, as one reads it: `bash: running`."""
    return list(
        await page.evaluate(
            "() => [...document.querySelectorAll('.call')].map(call =>"
            " `${call.querySelector('.tool').textContent}:"
            " ${call.querySelector('.state').textContent}`)"
        )
    )
