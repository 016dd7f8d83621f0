"""The console, as people use it: each of its features, clicked in a real browser."""

import base64

import trio

from browser_kit import Chromium
from console_kit import calls_are, console, eventually, open_session, send, texts_of
from pictures import plain
from server_kit import Gate, Server, call, lingering, serving, thought
from wingman import ToolContext, tool

ASK = {"say": "ask"}


@tool
async def say(text: str, context: ToolContext) -> str:
    """Say something, and go on saying it until it is cancelled, where it is to wait."""
    context.progress(f"{text} is being said\n")
    if text.startswith("wait"):
        await trio.sleep_forever()
    return f"{text} was said"


async def test_somebody_new_makes_a_session_answers_cancels_and_reads_the_receipt(
    chromium: Chromium,
) -> None:
    async with serving() as server, chromium.page() as page:
        await page.goto(server.url)
        await page.click("text=Create it and start a session")
        await page.shown(".hints h2 >> text=no language model")
        await page.fill("#message", "!bash echo one; sleep 60\n!bash echo two")
        await page.press("Enter")
        await page.do("await page.locator('.approval').nth(1).waitFor()")
        await eventually(lambda: page.evaluate("() => document.title.slice(0, 4)"), "(2) ")
        await page.do("await page.locator('.call').nth(0).getByText('Allow once').click()")
        await page.do("await page.locator('.call').nth(1).getByText('Reject').click()")
        await page.do(
            "await page.locator('.call').nth(0).getByText('one', {exact: true}).waitFor()"
        )
        await page.do("await page.reload()")
        await page.do(
            "await page.locator('.call').nth(0).getByText('one', {exact: true}).waitFor()"
        )
        await calls_are(page, "bash: running, allowed once", "bash: rejected")
        await page.click("text=Cancel the run")
        receipt = await page.shown(".receipt")
        assert "Stopped in " in receipt
        assert "no process of it is left" in receipt
        assert "Cancelled" in await page.shown(".outcome")
        assert await page.complaints() == []
        assert all(asked.startswith(server.url) for asked in await page.asked())


async def test_a_transcript_is_shown_as_it_streams_and_the_same_after_a_reload(
    chromium: Chromium,
) -> None:
    async with console(chromium, tools=[say]) as (server, page):
        await open_session(server, page, tools=["say"])
        gate = Gate()
        server.stage.play(
            thought("Hm, "),
            thought("well."),
            "# A **title**\n\n- one\n- t",
            gate,
            "wo\n",
            call("say", text="it"),
        )
        server.stage.play("All `done`.")
        await send(page, "Do it.")
        assert await page.shown(".prose h2") == "A title"
        assert await page.shown(".prose li:last-child") == "t"
        assert "Thinking, 9 characters" in await page.shown(".thinking summary")
        assert await page.count(".thinking[open]") == 0
        gate.open()
        assert "1 step" in await page.shown(".outcome") or "2 steps" in await page.shown(".outcome")
        assert await page.shown(".prose li:last-child") == "two"
        assert "it was said" in await page.shown(".call .output")
        before = await texts_of(page, 1)
        await page.do("await page.reload()")
        assert await texts_of(page, 1) == before


async def test_a_call_can_be_answered_with_a_word_with_another_input_and_for_good(
    chromium: Chromium,
) -> None:
    async with console(chromium, tools=[say]) as (server, page):
        session_id = await open_session(server, page, tools=["say"], permissions=ASK)
        server.stage.play(
            call("say", "t1", text="one"),
            call("say", "t2", text="two"),
            call("say", "t3", text="three"),
        )
        run_id = await server.start(session_id)
        await page.do("await page.locator('.approval').nth(2).waitFor()")
        await page.click("nav >> text=Approvals")
        first = "await page.locator('.asked > li').nth(0)"
        await page.do(
            f"{first}.getByRole('textbox', {{name: 'A word to the model'}}).fill('Not this.')"
        )
        await page.do(f"{first}.getByText('Reject').click()")
        await page.do("await page.locator('.asked > li').nth(2).waitFor({state: 'detached'})")
        await page.do(f"{first}.getByText('Edit the input').click()")
        await page.do(f"{first}.getByRole('textbox', {{name: 'as JSON'}}).fill('{{\"text\": 1')")
        await page.do(f"{first}.getByText('Allow once').click()")
        assert "is no JSON" in await page.shown(".asked .complaint")
        await page.do(
            f"{first}.getByRole('textbox', {{name: 'as JSON'}}).fill('{{\"text\": \"2\"}}')"
        )
        await page.do(f"{first}.getByText('Allow once').click()")
        await page.do("await page.locator('.asked > li').nth(1).waitFor({state: 'detached'})")
        await page.click("text=Always allow")
        await page.shown("text=Nothing waits for you.")
        run = await server.ended(session_id, run_id)
        outputs = [each["output"] for each in run["result"]["tool_calls"]]
        assert "Not this." in outputs[0]
        assert "2 was said" in outputs[1]
        assert outputs[2] == "three was said"
        await page.do("await page.waitForFunction(() => document.title === 'Approvals · Wingman')")


async def test_one_call_is_cancelled_and_the_others_and_the_run_go_on(chromium: Chromium) -> None:
    async with console(chromium, tools=[say]) as (server, page):
        await open_session(server, page, tools=["say"])
        server.stage.play(call("say", "t1", text="wait"), call("say", "t2", text="wait, too"))
        await send(page, "Go.")
        await page.do("await page.locator('.call').nth(1).getByText('is being said').waitFor()")
        await page.do(
            "await page.locator('.call').nth(1).getByRole('button', {name: 'Cancel'}).click()"
        )
        assert "say stopped" in await page.shown(".receipt")
        await calls_are(page, "say: running", "say: cancelled")
        await page.do(
            "await page.locator('.call').nth(0).getByRole('button', {name: 'Cancel'}).click()"
        )
        assert "Hello." in await page.shown(".said")


async def test_what_did_not_stop_is_said(chromium: Chromium) -> None:
    may_stop = trio.Event()
    async with console(chromium, tools=[lingering(may_stop)]) as (server, page):
        await open_session(server, page, tools=["lingers"])
        server.stage.play(call("lingers"))
        await send(page, "Go.")
        await page.do("await page.locator('.call[data-state=running]').waitFor()")
        await page.click("text=Cancel the run")
        assert "cancelling" in await page.shown(".status[data-state=cancelling]")
        may_stop.set()
        await page.shown(".receipt")


async def test_messages_wait_are_taken_back_and_steer(chromium: Chromium) -> None:
    async with console(chromium, tools=[say]) as (server, page):
        await open_session(server, page, tools=["say"])
        gate = Gate()
        server.stage.play("First.", gate, call("say", text="it"))
        await send(page, "one")
        await page.shown(".status[data-state=running]")
        await send(page, "two")
        assert "waits for its turn" in await page.shown(".queue li")
        await page.click(".queue >> text=Take back")
        assert "it never began" in await page.shown(".receipt")
        await page.gone(".queue li")
        assert await page.evaluate("() => document.querySelector('#message').value") == "two"
        await page.click("text=Steer")
        await page.fill("#message", "to the left")
        await page.press("Enter")
        assert "is read at the next step" in await page.shown(".queue li")
        gate.open()
        await page.shown(".user >> text=You, to the run under way")
        await page.gone(".queue li")
        await page.shown(".outcome")


async def test_images_are_sent_and_shown(chromium: Chromium) -> None:
    async with console(chromium) as (server, page):
        session_id = await open_session(server, page)
        picture = base64.b64encode(plain(size=(8, 8))).decode()
        await page.do(
            "await page.locator('input[type=file]').setInputFiles("
            "{name: 'a.png', mimeType: 'image/png', buffer: Buffer.from(data, 'base64')})",
            data=picture,
        )
        assert "a.png" in await page.shown(".attached li")
        await send(page, "What is it?")
        await page.shown(".outcome")
        width = "() => document.querySelector('.user img').naturalWidth"
        await page.shown(".user img")
        await eventually(lambda: page.evaluate(width), 8)
        await page.do("await page.reload()")
        await page.shown(".user img")
        await eventually(lambda: page.evaluate(width), 8)
        content = (await server.history(session_id))[0]["content"]
        assert [block["type"] for block in content] == ["image", "text"]


async def test_sessions_are_found_named_and_deleted(chromium: Chromium) -> None:
    async with console(chromium) as (server, page):
        for title in ("Alpha", "Beta"):
            await server.client.post("/sessions", json={"title": title})
        session_id = await open_session(server, page)
        await send(page, "A message that becomes the title")
        await page.shown(".sessions >> text=A message that becomes the title")
        await page.fill("#search", "alp")
        await page.gone(".sessions >> text=Beta")
        await eventually(lambda: page.count(".sessions li"), 1)
        await page.fill("#search", "")
        await page.click("[title='More about this session']")
        await page.fill("#session-title", "Gamma")
        await page.click("dialog >> text=Save")
        await page.shown("h1 >> text=Gamma")
        assert (await server.client.get(f"/sessions/{session_id}")).json()["title"] == "Gamma"
        await page.click("[title='More about this session']")
        await page.click("dialog >> text=Delete…")
        await page.do("await page.getByRole('button', {name: 'Delete', exact: true}).click()")
        await page.gone(".sessions >> text=Gamma")
        assert (await server.client.get(f"/sessions/{session_id}")).status_code == 404


async def test_an_agent_is_made_changed_and_deleted(chromium: Chromium) -> None:
    async with console(chromium) as (server, page):
        await page.goto(f"{server.url}/#/agents")
        await page.fill("#agent-name", "Reviewer")
        await page.click("label:has-text('webfetch')")
        await page.click("text=Create the agent")
        await page.click(".agents >> text=Reviewer")
        await page.fill("#agent-instructions", "Be brief.")
        await page.click("button >> text=Save")
        await until_agent(server, instructions="Be brief.")
        [agent] = (await server.client.get("/agents")).json()
        assert "webfetch" in agent["tools"]
        assert agent["permissions"]["bash"] == "ask"
        await page.click(".agents >> text=Reviewer")
        await page.click("text=Delete…")
        await page.do("await page.getByRole('button', {name: 'Delete', exact: true}).click()")
        await page.gone(".agents >> text=Reviewer")


async def until_agent(server: Server, **fields: str) -> None:
    with trio.fail_after(10):
        while True:
            [agent] = (await server.client.get("/agents")).json()
            if all(agent[name] == value for name, value in fields.items()):
                return


async def test_a_failed_run_says_why(chromium: Chromium) -> None:
    async with console(chromium) as (server, page):
        await open_session(server, page)
        server.stage.play("Beginning", RuntimeError("the wire is cut"))
        await send(page, "Go.")
        assert "Failed" in await page.shown(".outcome[data-status=failed]")
        await send(page, "Again.")
        assert "Hello." in await page.shown(".said >> text=Hello.")


async def test_the_history_is_compacted_from_the_page(chromium: Chromium) -> None:
    async with console(chromium) as (server, page):
        await open_session(server, page)
        for at, text in enumerate(("one", "two")):
            server.stage.play("words " * 500)
            await send(page, text)
            await page.do("await page.locator('.outcome').nth(at).waitFor()", at=at)
        server.stage.play("The summary.")
        await page.click("[title='More about this session']")
        await page.click("dialog >> text=Compact the history")
        assert "The history was compacted" in await page.shown(".compacted summary")
        before = await texts_of(page, 3)
        await page.do("await page.reload()")
        assert await texts_of(page, 3) == before
