"""Who is logged in to the console, as a real browser has it: the cookie, and who can use it."""

from typing import Any

from browser_kit import Chromium, Page
from server_kit import Server, serving

# Each runs in the page, and says what a script of it gets.
LOG_IN = """async (body) => (await fetch('/console/login', {method: 'POST',
  body: JSON.stringify(body), headers: {'Content-Type': 'application/json'}})).status"""
ASK = "async (path) => (await fetch(path)).status"
MAKE = """async () => (await fetch('/sessions', {method: 'POST', body: '{}',
  headers: {'Content-Type': 'application/json'}})).status"""
FOLLOW = """(path) => new Promise((done) => {
  const events = new EventSource(path);
  events.onopen = () => { events.close(); done('open'); };
  events.onerror = () => { events.close(); done('refused'); };
})"""
FROM_ELSEWHERE = """async (url) => {
  const given = {method: 'POST', body: '{}', mode: 'no-cors', credentials: 'include'};
  await fetch(`${url}/sessions`, given).catch(() => {});
  const read = fetch(`${url}/sessions`, {credentials: 'include'});
  return read.then((answer) => answer.status, () => 'refused');
}"""


async def log_in(page: Page, server: Server, **body: Any) -> None:
    await page.goto(
        f"{server.url}/console/login"
    )  # a page of the server's, with no script of its own
    assert await page.evaluate(LOG_IN, body) == 200


async def test_who_is_logged_in_needs_no_token_until_the_logout(chromium: Chromium) -> None:
    async with serving(token="secret") as server, chromium.page() as page:
        bearer = {"Authorization": "Bearer secret"}
        answer = await server.client.post("/sessions", headers=bearer)
        events = f"/sessions/{answer.json()['id']}/events"
        link = (await server.client.post("/console/login/link", headers=bearer)).json()["link"]
        await page.goto(f"{server.url}/console/login")
        assert await page.evaluate(ASK, "/sessions") == 401
        assert await page.evaluate(FOLLOW, events) == "refused"
        await log_in(page, server, link=link)
        assert await page.evaluate(LOG_IN, {"link": link}) == 401
        await page.do("await page.reload()")
        assert await page.evaluate(ASK, "/sessions") == 200
        assert await page.evaluate(MAKE) == 201
        assert await page.evaluate(FOLLOW, events) == "open"
        assert await page.evaluate("() => document.cookie") == ""
        await page.evaluate("async () => fetch('/console/logout', {method: 'POST'})")
        assert await page.evaluate(ASK, "/sessions") == 401
        assert await page.do("return context.cookies()") == []


async def test_no_page_of_another_port_or_name_can_use_the_login(chromium: Chromium) -> None:
    async with (
        serving(token="secret") as server,
        serving() as other,
        chromium.page() as page,
    ):
        await log_in(page, server, token="secret")
        for elsewhere in (other.url, other.url.replace("127.0.0.1", "localhost")):
            await page.goto(f"{elsewhere}/health")
            assert await page.evaluate(FROM_ELSEWHERE, server.url) == "refused"
        bearer = {"Authorization": "Bearer secret"}
        assert (await server.client.get("/sessions", headers=bearer)).json() == []
        # The cookies of two servers of one machine stand beside each other.
        await page.goto(f"{server.url}/console/login")
        assert await page.evaluate(ASK, "/sessions") == 200


async def test_the_page_stands_in_no_frame_and_runs_no_foreign_script(chromium: Chromium) -> None:
    async with serving() as server, serving() as other, chromium.page() as page:
        await page.goto(server.url)
        ran = await page.evaluate(
            """() => new Promise((done) => {
              const image = document.createElement('img');
              document.body.append(image);
              image.setAttribute('onerror', 'globalThis.ran = "an attribute"');
              image.src = 'data:,';
              const script = document.createElement('script');
              script.textContent = 'globalThis.ran = "a script"';
              document.body.append(script);
              setTimeout(() => {  // by then the page's policy holds for what the test runs as well
                try { globalThis.eval('globalThis.ran = "eval"'); } catch { /* as it should be */ }
                done(globalThis.ran ?? null);
              }, 100);
            })"""
        )
        assert ran is None
        for elsewhere in (other.url, other.url.replace("127.0.0.1", "localhost")):
            await page.goto(f"{elsewhere}/health")
            await page.evaluate(
                """(url) => new Promise((done) => {
                  const frame = document.createElement('iframe');
                  frame.onload = done;
                  frame.src = url;
                  document.body.append(frame);
                })""",
                server.url,
            )
            framed = await page.do("return page.frames()[1].content()")
            assert "Wingman" not in framed
            assert "forbidden_origin" in framed or "refused" in framed
