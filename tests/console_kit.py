"""What the tests of the console share: a server, and its page in Chromium."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from browser_kit import Chromium, Page
from server_kit import Server, serving

__all__ = ["calls_are", "console", "eventually", "open_session", "send", "texts_of"]


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


async def eventually(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Wait until what is seen is what is wanted: a page shows things when it comes to know them."""
    with trio.move_on_after(20):
        while await look() != wanted:  # noqa: ASYNC110
            await trio.sleep(0.05)
    assert await look() == wanted


async def calls_are(page: Page, *wanted: str) -> None:
    """Wait until the tool calls stand like this, as one reads it: `bash: running`."""
    await eventually(
        lambda: page.evaluate(
            "() => [...document.querySelectorAll('.call')].map(call =>"
            " `${call.querySelector('.tool').textContent}:"
            " ${call.querySelector('.state').textContent}`)"
        ),
        list(wanted),
    )


async def texts_of(page: Page, ends: int) -> list[str]:
    """What the transcript says, without the times that things took, once the page knows all of it:
    that many ends of runs, their times, and their messages."""
    await page.do(f"await page.waitForFunction({WHOLE}, ends)", ends=ends)
    return list(await page.evaluate(TEXTS))


WHOLE = """ends => {
    const all = (found) => [...document.querySelectorAll(found)];
    return all('.outcome').length === ends
        && all('.outcome').every(end => / m?s\\b/.test(end.innerText))
        && all('.user').every(item => item.querySelector('.when').textContent);
}"""
TEXTS = """() => [...document.querySelectorAll('.item')].map(item =>
    item.innerText.replace(/ · [0-9.]+ m?s\\b/g, '').replace(/[0-9.]+ m?s$/gm, ''))"""
