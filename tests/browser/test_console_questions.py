"""What tools ask people while they run, answered on the page."""

from typing import Any

from browser_kit import Chromium, Page
from console_kit import calls_are, console, open_session, send
from server_kit import Server, call
from wingman import ToolContext, tool

FLAT = {
    "type": "object",
    "properties": {
        "branch": {"type": "string", "description": "The branch <b>to</b> push to", "minLength": 2},
        "remote": {"type": "string", "enum": ["origin", "fork"], "enumNames": ["Ours", "A fork"]},
        "times": {"type": "integer", "title": "How often", "minimum": 1, "default": 2},
        "force": {"type": "boolean", "default": True},
        "who": {"type": "array", "items": {"type": "string", "enum": ["ada", "bob", "eve"]}},
        "note": {"type": "string"},
    },
    "required": ["branch", "remote"],
}
STRICT = {**FLAT, "properties": {"branch": {"type": "string", "pattern": "^[a-z]+$"}}}
NESTED = {"type": "object", "properties": {"place": {"type": "object"}}, "required": ["place"]}
SCHEMAS: dict[str, Any] = {
    "flat": FLAT,
    "strict": {**STRICT, "required": ["branch"]},
    "nested": NESTED,
    "empty": {"type": "object", "properties": {}},
}
FIRST = ".call .approval"


@tool
async def push(text: str, context: ToolContext) -> str:
    """Push, as the user says."""
    assert context.elicit is not None
    answer = await context.elicit(f"Where to?\nIt is {text}.", SCHEMAS[text])
    return "declined" if answer is None else f"pushed {sorted(dict(answer).items())}"


async def asked(server: Server, page: Page, *schemas: str) -> str:
    """A session whose calls ask these questions."""
    session_id = await open_session(server, page, tools=["push"], permissions={"push": "allow"})
    server.stage.play(*(call("push", f"t{at}", text=name) for at, name in enumerate(schemas)))
    await send(page, "Go.")
    await page.do("await page.locator('.call .approval').nth(n).waitFor()", n=len(schemas) - 1)
    return session_id


async def test_a_question_has_a_field_for_each_property(chromium: Chromium) -> None:
    async with console(chromium, tools=[push]) as (server, page):
        await asked(server, page, "flat")
        assert "Where to?\nIt is flat." in await page.shown(".question .output")
        await calls_are(page, "push: asks you")
        assert await page.count(f"{FIRST} >> text=Always allow") == 0
        assert await page.count(f"{FIRST} >> text=Edit the input") == 0
        assert [each["id"] for each in await page.violations()] == []
        await page.click("button:text-is('Answer')")
        assert await page.count(".approval.answered") == 0  # what is required is missing
        await page.do(
            "await page.getByLabel('The branch <b>to</b> push to (required)').fill('main')"
        )
        await page.do("await page.getByLabel('remote').selectOption('A fork')")
        await page.do("await page.getByLabel('How often').fill('3')")
        await page.do("await page.getByLabel('force').uncheck()")
        await page.do("await page.getByLabel('eve').check()")
        await page.click("button:text-is('Answer')")
        output = await page.shown(".call > div > .output")
        assert output.strip() == (
            "pushed [('branch', 'main'), ('force', False), ('remote', 'fork'),"
            " ('times', 3), ('who', ['eve'])]"
        )
        await calls_are(page, "push: answered")
        assert await page.complaints() == []


async def test_an_answer_that_does_not_fit_is_said_and_the_form_stays(chromium: Chromium) -> None:
    async with console(chromium, tools=[push]) as (server, page):
        await asked(server, page, "strict")
        await page.fill(f"{FIRST} input", "MAIN")
        await page.press("Enter")
        assert "does not fit the question's `schema`" in await page.shown(f"{FIRST} .complaint")
        await page.fill(f"{FIRST} input", "main")
        await page.press("Enter")
        assert "'branch', 'main'" in await page.shown(".call > div > .output")


async def test_questions_are_declined_and_answered_as_json_among_the_approvals(
    chromium: Chromium,
) -> None:
    async with console(chromium, tools=[push]) as (server, page):
        await asked(server, page, "nested", "empty", "flat")
        await page.do("await page.reload()")
        await page.do("await page.locator('.call .question').nth(2).waitFor()")
        await page.click("nav >> text=Approvals")
        await page.do("await page.locator('.asked .question').nth(2).waitFor()")
        assert [each["id"] for each in await page.violations()] == []
        at = "await page.locator('.asked li', {hasText: words})"
        await page.do(
            f"{at}.getByRole('textbox', {{name: 'as JSON'}}).fill('{{\"place\": {{\"x\": 1}}}}');"
            f"{at}.getByText('Answer', {{exact: true}}).click()",
            words="It is nested.",
        )
        await page.do(f"{at}.getByText('Answer', {{exact: true}}).click()", words="It is empty.")
        await page.do(f"{at}.getByText('Decline').click()", words="It is flat.")
        await page.shown("text=Nothing waits for you.")
        await page.click(".sessions a")
        await page.shown(".outcome")
        outputs = await page.evaluate(
            "() => [...document.querySelectorAll('.call > div > .output')].map(e => e.innerText)"
        )
        assert [each.strip() for each in outputs] == [
            "pushed [('place', {'x': 1})]",
            "pushed []",
            "declined",
        ]


async def test_a_question_is_answered_on_a_phone(chromium: Chromium) -> None:
    async with console(chromium, tools=[push], page={"width": 375}) as (server, page):
        await asked(server, page, "flat")
        wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(wide) == 0
