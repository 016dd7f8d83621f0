"""The console for everybody: screen readers, the keyboard alone, a phone, either theme."""

import pytest

from browser_kit import Chromium, Page
from console_kit import console, eventually, open_session, send
from server_kit import Gate, Server, call, thought
from wingman import tool

MARKDOWN = """\
# One

- [x] two

| a | b |
|---|---|
| 1 | 2 |

```py
x = 1
```

> three `four` [five](https://example.org)
"""
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
TOO_WIDE = """() => [...document.querySelectorAll('main *')]
    .filter(e => e.getBoundingClientRect().right > 376 && !e.closest('.table, pre'))
    .map(e => e.outerHTML.slice(0, 200))"""
ANNOUNCED = (
    "await page.locator('#announcer', {hasText: text}).waitFor({state: 'attached', timeout: 20000})"
)


@tool
async def say(text: str) -> str:
    """Say something."""
    return f"{text} \u001b[32mwas\u001b[0m said\n" * 30


@tool
async def guarded(text: str) -> str:
    """Say something, if one may."""
    return text


async def full_session(server: Server, page: Page) -> None:
    """A session that has something of everything, and waits."""
    await open_session(server, page, tools=["say", "guarded"], permissions={"guarded": "ask"})
    server.stage.play(
        thought("Well."), MARKDOWN, call("say", "t1", text="a"), call("say", "t2", text="b")
    )
    server.stage.play(RuntimeError("broken"))
    await send(page, "First.")
    await page.shown(".outcome")
    gate = Gate()
    server.stage.play(
        "Let me see.", call("guarded", "t3", text="one\ntwo"), call("say", "t4", text="c")
    )
    server.stage.play(gate)
    await send(page, "Second.")
    await page.shown(".approval")
    await send(page, "Third.")
    await page.shown(".queue li")


async def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, in a line each."""
    return [f"{each['id']}: {each['nodes']}" for each in await page.violations()]


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
async def test_axe_finds_nothing_wrong(chromium: Chromium, dark: bool) -> None:
    async with console(chromium, tools=[say, guarded], page={"dark": dark}) as (server, page):
        await page.goto(server.url)
        await page.shown("text=Create it and start a session")
        assert await violations(page) == []
        await full_session(server, page)
        await page.do("await page.locator('.call-head').first().click()")
        assert await violations(page) == []
        await page.click("[title='More about this session']")
        assert await violations(page) == []
        await page.press("Escape")
        for place in ("approvals", "runtime", "agents", "new"):
            await page.goto(f"{server.url}/#/{place}")
            await page.shown("h1")
            assert await violations(page) == []


async def test_axe_finds_nothing_wrong_with_the_login(chromium: Chromium) -> None:
    async with console(chromium, token="secret") as (server, page):
        await page.goto(server.url)
        await page.shown("#token")
        assert await violations(page) == []


async def test_all_is_done_by_the_keyboard_alone(chromium: Chromium) -> None:
    async with console(chromium, tools=[say]) as (server, page):
        await page.goto(server.url)
        await page.shown("#agent-name")
        await page.press("Escape")
        await tab_to(page, "Create it and start a session")
        await page.press("Enter")
        await page.shown(".hints")
        await eventually(lambda: focused(page), "Message")
        for text in ("!say one", "!say two"):
            await page.do("await page.keyboard.type(text)", text=text)
            await page.press("Shift+Enter" if text == "!say one" else "Enter")
        assert "Done, as told" in await page.shown(".said")
        await eventually(lambda: page.count(".call"), 2)
        await page.press("Escape")
        await page.press("a")
        await page.shown("h1 >> text=Approvals")
        await page.press("r")
        await page.shown("h1 >> text=Runtime")
        await page.press("/")
        await eventually(lambda: focused(page), "Search the sessions")
        await page.press("Escape")
        await page.press("j")
        await page.shown(".status")
        await page.press("Escape")
        await page.press("?")
        await page.shown("dialog >> text=Single letters work as keys")
        await tab_to(page, "Single letters work as keys")
        await page.press("Space")
        await page.press("Escape")
        await page.gone("dialog")
        await page.press("Escape")
        await page.press("a")
        assert await page.count("h1 >> text=Approvals") == 0


async def test_a_question_is_answered_by_the_keyboard_alone(chromium: Chromium) -> None:
    async with console(chromium, tools=[say]) as (server, page):
        await open_session(server, page, tools=["say"], permissions={"say": "ask"})
        server.stage.play(call("say", text="it"))
        await page.do("await page.keyboard.type('Go.')")
        await page.press("Enter")
        await page.shown(".approval")
        await tab_to(page, "Go there", backwards=True)
        await page.press("Enter")
        await eventually(lambda: focused(page), "Allow once")
        await page.press("Enter")
        await page.shown(".outcome")


async def focused(page: Page) -> str:
    """The name of what has the focus, as a screen reader would say it."""
    return str(
        await page.evaluate(
            "() => { const e = document.activeElement; return e.getAttribute('aria-label')"
            " || e.labels?.[0]?.textContent || e.textContent.trim() }"
        )
    )


async def tab_to(page: Page, name: str, *, backwards: bool = False) -> None:
    for _ in range(60):
        if await focused(page) == name:
            return
        await page.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"The keyboard does not reach {name!r}.")


async def test_a_phone_shows_it_without_scrolling_sideways(chromium: Chromium) -> None:
    async with console(chromium, tools=[say, guarded], page={"width": 375, "height": 700}) as (
        server,
        page,
    ):
        await full_session(server, page)
        assert await page.evaluate(SIDEWAYS) == 0
        assert await page.evaluate(TOO_WIDE) == []
        await page.click(".up")
        await page.click(".sessions a")
        await page.shown(".approval")
        for place in ("approvals", "runtime", "agents", "new"):
            await page.goto(f"{server.url}/#/{place}")
            await page.shown("h1")
            assert await page.evaluate(SIDEWAYS) == 0
            assert await page.evaluate(TOO_WIDE) == []


async def test_nothing_moves_for_those_who_do_not_want_it(chromium: Chromium) -> None:
    options = {"reducedMotion": "reduce"}
    async with console(chromium, tools=[say], page=options) as (server, page):
        await open_session(server, page)
        gate = Gate()
        server.stage.play("Hm.", gate)
        await send(page, "Go.")
        await page.shown(".status[data-state=running]")
        assert await page.evaluate("() => document.getAnimations().length") == 0
        gate.open()


async def test_the_end_of_a_run_and_a_question_are_announced(chromium: Chromium) -> None:
    async with console(chromium, tools=[say]) as (server, page):
        await open_session(server, page, tools=["say"], permissions={"say": "ask"})
        server.stage.play(call("say", text="it"))
        await send(page, "Go.")
        await page.do(ANNOUNCED, text="say waits for your answer.")
        await page.click("text=Allow once")
        await page.do(ANNOUNCED, text="The run is completed.")


async def test_the_first_paint_comes_at_once(chromium: Chromium) -> None:
    async with console(chromium) as (server, page):
        await page.goto(server.url)
        await page.shown(".brand")
        paint = await page.evaluate(
            "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        assert paint < 10_000
        print(paint)
