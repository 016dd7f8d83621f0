"""The console when the server goes away and comes back, and when it is guarded."""

from pathlib import Path

from browser_kit import Chromium
from console_kit import eventually, open_session, send
from server_kit import Gate, Server, call, serving, until
from wingman import tool


@tool
async def ask_me(text: str) -> str:
    """Do what a person has allowed."""
    return f"{text} was done"


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


async def test_the_page_goes_on_when_the_server_is_up_again(
    chromium: Chromium, tmp_path: Path
) -> None:
    store = tmp_path / "wingman.db"
    async with chromium.page() as page:
        async with serving(store, tools=[ask_me]) as server:
            port = port_of(server)
            session_id = await open_session(
                server, page, tools=["ask_me"], permissions={"ask_me": "ask"}
            )
            server.stage.play("Before. ", call("ask_me", text="it"))
            await send(page, "Go.")
            await page.shown(".approval")
        assert "The connection is gone" in await page.shown(".broken")
        async with serving(store, tools=[ask_me], port=port) as server:
            server.stage.play("After.")
            await page.do(
                "await page.waitForFunction(() => !document.querySelector('.broken').textContent)"
            )
            await page.click(".approval >> text=Allow once")
            assert "After." in await page.shown(".said >> text=After.")
            await eventually(lambda: page.count(".said"), 2)
            await eventually(lambda: page.count(".call"), 1)
            assert "it was done" in await page.shown(".call .output")
            assert await server.history(session_id)


async def test_what_was_missed_is_read_from_the_history(chromium: Chromium) -> None:
    async with serving(idle_after=0.05) as server, chromium.page() as page:
        session_id = await open_session(server, page)
        await send(page, "one")
        await page.shown(".outcome")
        await page.do("await context.setOffline(true)")
        # A connection that is there stays: it is broken as a proxy would.
        await page.evaluate("() => window.stop()")
        await page.shown(".broken:not(:empty)")
        for number in range(3):
            server.stage.play(f"Answer {number}.")
            assert (await server.send(session_id, f"from elsewhere {number}")).status_code == 200
        await until(lambda: not server.runtime.status().actors)  # it has left memory
        await page.do("await context.setOffline(false)")
        assert "Answer 2." in await page.shown(".said >> text=Answer 2.")
        await eventually(lambda: page.count(".user"), 4)
        await eventually(lambda: page.count(".said"), 4)


async def test_a_run_of_another_client_is_shown_with_its_message(chromium: Chromium) -> None:
    async with serving() as server, chromium.page() as page:
        session_id = await open_session(server, page)
        gate = Gate()
        server.stage.play("Working", gate)
        await server.start(session_id, "sent by another")
        await page.shown(".user .prose >> text=sent by another")
        gate.open()
        await page.shown(".outcome")


async def test_a_message_that_is_sent_before_the_session_is_read_goes_out_once_it_is(
    chromium: Chromium,
) -> None:
    async with serving() as server, chromium.page() as page:
        await page.do(
            "await page.route(/.sessions.[^/?]+$/, async asked => {"
            " await new Promise(read => globalThis.readOn = read); await asked.continue(); })"
        )
        session_id = await open_session(server, page)
        await page.fill("#message", "Go.")
        for _ in range(2):
            await page.press("Enter")
        assert await page.count(".composer .complaint:not(:empty)") == 0
        await page.do("globalThis.readOn()")
        await page.shown(".outcome")
        assert len(await server.history(session_id)) == 2


async def test_hints_are_of_the_agent_once_it_is_known(chromium: Chromium) -> None:
    async with serving() as server, chromium.page() as page:
        session_id = await server.session(provider={"id": "scripted"}, tools=["bash"])
        await page.do(
            "await page.route(/.agents$/, async asked => {"
            " await new Promise(known => globalThis.tell = known); await asked.continue(); })"
        )
        await page.goto(f"{server.url}/#/session/{session_id}")
        await page.shown(".hints h2 >> text=What is to be done?")
        await page.do("globalThis.tell()")
        await page.shown(".hints h2 >> text=no language model")


async def test_a_link_lets_one_in_once_and_is_not_kept(chromium: Chromium) -> None:
    async with serving(token="secret") as server, chromium.page() as page:
        answer = await server.client.post(
            "/console/login/link", headers={"Authorization": "Bearer secret"}
        )
        link = answer.json()["link"]
        await page.goto(f"{server.url}/#link={link}")
        await page.shown("text=Create it and start a session")
        assert link not in await page.evaluate(
            "() => location.href + JSON.stringify(history.state) + document.cookie"
        )
        assert not [asked for asked in await page.asked() if link in asked]
        await page.click("text=Log out")
        await page.shown("#token")
        await page.goto(f"{server.url}/?again#link={link}")
        assert await page.shown(".complaint")
        await page.fill("#token", "wrong")
        await page.press("Enter")
        await page.shown(".complaint:not(:empty)")
        await page.fill("#token", "secret")
        await page.press("Enter")
        await page.shown("text=Create it and start a session")


async def test_a_session_that_is_gone_is_said_to_be(chromium: Chromium) -> None:
    async with serving() as server, chromium.page() as page:
        session_id = await open_session(server, page)
        await server.client.delete(f"/sessions/{session_id}")
        assert "was deleted" in await page.shown(".broken:not(:empty)")
        await page.goto(f"{server.url}/#/session/01KB5ZJ2Q3W4E5R6T7Y8U9I0PB")
        assert "does not exist" in await page.shown(".broken:not(:empty)")
