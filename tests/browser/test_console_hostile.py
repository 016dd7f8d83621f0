"""What models, tools and people write is shown in the console. It may not act, hide, or stop it."""

import json

import pytest

from browser_kit import Chromium
from console_kit import console, open_session, send
from server_kit import call
from wingman import tool
from wingman.run import Limits

SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
MARKDOWN = f"""# {SCRIPT}

[a](javascript:window.hacked=3) [b](data:text/html,x) [c](JAVASCRIPT:window.hacked=4)
<a href="javascript:window.hacked=5">d</a>

![e](https://evil.example/pixel.png) [f](https://evil.example/ "{SCRIPT}")
<https://evil.example/auto>

| {SCRIPT} | javascript:window.hacked=6 |
|---|---|
| `{SCRIPT}` | ![x](javascript:window.hacked=7) |

```{SCRIPT}
{SCRIPT}
```

evil\u202egnp.exe \u0007\u001b[2J\u001b]0;title\u0007
"""

DEPTH = """() => {
    let deepest = 0;
    for (const each of document.querySelectorAll('*')) {
        let depth = 0;
        for (let at = each; at; at = at.parentElement) depth += 1;
        deepest = Math.max(deepest, depth);
    }
    return deepest;
}"""


@tool
async def shout(text: str) -> str:
    """Give back what is said."""
    return (
        f"{text}{SCRIPT}\u001b[31mred\u001b[0m\u202e\u001b]8;;javascript:window.hacked=8\u0007link"
    )


@tool
async def flood(lines: int, length: int) -> str:
    """Give so many lines of so many characters."""
    return "\n".join(f"{number} ".ljust(length, "x") for number in range(lines))


async def test_hostile_words_are_words(chromium: Chromium) -> None:
    async with console(chromium, tools=[shout]) as (server, page):
        session_id = await open_session(
            server, page, name=SCRIPT, tools=["shout"], permissions={"shout": "ask"}
        )
        await server.client.put(f"/sessions/{session_id}", json={"title": SCRIPT + "\u202e"})
        server.stage.play(
            MARKDOWN, call("shout", "t1", text=SCRIPT), call(SCRIPT, "t2", **{SCRIPT: SCRIPT})
        )
        server.stage.play(MARKDOWN)
        await send(page, MARKDOWN)
        await page.click(".approval >> text=Allow once")
        await page.shown(".outcome")
        await page.do(
            "for (const each of await page.locator('.call-head').all()) await each.click()"
        )
        for place in ("approvals", "runtime", "agents", "new"):
            await page.goto(f"{server.url}/#/{place}")
            await page.shown("h1")
        await page.goto(f"{server.url}/#/session/{session_id}")
        await page.shown(".outcome")
        assert await page.evaluate("() => window.hacked ?? null") is None
        assert (
            await page.evaluate(
                "() => document.querySelectorAll('script, iframe, object, embed').length"
            )
            == 1
        )
        sources = await page.evaluate(
            "() => [...document.querySelectorAll('img')].map(image => image.src)"
        )
        assert all(source.startswith(server.url) for source in sources)
        links = await page.evaluate(
            "() => [...document.querySelectorAll('main a[target]')].map(a => [a.protocol, a.rel])"
        )
        assert links
        assert all(link == ["https:", "noopener noreferrer"] for link in links)
        assert all(asked.startswith(server.url) for asked in await page.asked())
        assert await page.complaints() == []
        text = await page.evaluate("() => document.documentElement.textContent + document.title")
        assert "\u202e" not in text
        assert "‹U+202E›" in text
        assert "\u001b" not in text


async def test_an_answer_to_a_question_shows_what_would_run(chromium: Chromium) -> None:
    async with console(chromium, tools=[shout]) as (server, page):
        await open_session(server, page, tools=["shout"], permissions={"shout": "ask"})
        server.stage.play(call("shout", text="rm -rf build " + " " * 5000 + "; rm -rf ~ #\u202e"))
        await send(page, "Go.")
        await page.shown(".approval")
        shown = await page.shown(".approval .input dd")
        assert "rm -rf ~ #‹U+202E›" in shown or await page.count(".approval .input button")


@pytest.mark.parametrize("shape", ["lines", "one line"])
async def test_five_megabytes_of_output_do_not_stop_the_page(
    chromium: Chromium, shape: str
) -> None:
    lines, length = (100_000, 50) if shape == "lines" else (1, 5_000_000)
    limits = Limits(tool_output=6_000_000)
    async with console(chromium, tools=[flood], limits=limits) as (server, page):
        await open_session(server, page, tools=["flood"])
        server.stage.play(call("flood", lines=lines, length=length))
        await send(page, "Go.")
        await page.shown(".outcome")
        for _ in range(3):
            await page.do("await page.locator('.call .rest button').first().click()")
        assert (
            await page.evaluate("() => document.querySelector('main').textContent.length") < 400_000
        )
        await page.do("await page.reload()")
        await page.shown(".outcome")
        assert (
            await page.evaluate("() => document.querySelector('main').textContent.length") < 100_000
        )
        assert await page.longest_task() < 2_000


async def test_ten_thousand_events_do_not_stop_the_page(chromium: Chromium) -> None:
    async with console(chromium, tools=[shout]) as (server, page):
        await open_session(server, page, tools=["shout"], max_steps=1000)
        words = [
            f"word {number} of *many*\n\n" if number % 10 == 0 else f"word {number} "
            for number in range(9_000)
        ]
        server.stage.play(*words, call("shout", text="it"))
        for step in range(400):
            server.stage.play(f"Step {step}.", call("shout", f"s{step}", text="x"))
        await send(page, "Go.")
        assert "Completed" in await page.shown(".outcome")
        assert await page.evaluate("() => document.querySelectorAll('main *').length") < 8_000
        await page.click(".earlier button")
        await page.do("await page.reload()")
        await page.shown(".outcome")
        assert await page.longest_task() < 2_000


async def test_a_deep_and_a_long_text_are_shown(chromium: Chromium) -> None:
    deep = ">" * 5000 + " deep\n\n" + "\n".join(" " * depth + "- x" for depth in range(1000))
    async with console(chromium) as (server, page):
        await open_session(server, page)
        server.stage.play(deep + "\n\n" + "y" * 1_000_000 + "\n\nThe end.")
        await send(page, "Go.")
        await page.shown(".said >> text=The end.")
        await page.shown(".outcome")
        assert await page.evaluate(DEPTH) < 60
        assert await page.longest_task() < 2_000


async def test_what_the_api_says_wrongly_is_a_sentence(chromium: Chromium) -> None:
    async with console(chromium) as (server, page):
        await page.do(
            "await page.route('**/permissions*', ask => ask.fulfill({status: 500, body: text}))",
            text=json.dumps({"error": SCRIPT}),
        )
        await page.goto(server.url)
        assert "500" in await page.shown(".trouble:not(:empty)")
