"""The page at /docs in a real browser: it works, and asks nobody but the server."""

from browser_kit import Chromium, Page
from server_kit import serving

OPERATION = "#operations-server-list_tools"


async def tried_out(page: Page) -> str:
    """The status that the page shows for a request of its own."""
    await page.click(f"{OPERATION} button.execute")
    return (await page.shown(f"{OPERATION} .live-responses-table tbody .response-col_status"))[:3]


async def test_the_page_tries_a_route_out_with_and_without_a_token(chromium: Chromium) -> None:
    async with serving(token="secret") as server, chromium.page() as page:
        await page.goto(f"{server.url}/docs")
        await page.click(f"{OPERATION} .opblock-summary-control")
        await page.click(f"{OPERATION} button.try-out__btn")
        assert await tried_out(page) == "401"
        await page.do("await page.locator('button.authorize').first().click()")
        await page.fill(".auth-container input", "secret")
        await page.click(".auth-btn-wrapper button.authorize")
        await page.click(".auth-btn-wrapper button.btn-done")
        await page.click(f"{OPERATION} button.btn-clear")
        assert await tried_out(page) == "200"
        asked = await page.asked()
        assert all(url.startswith(server.url) for url in asked), asked
        # The browser itself tells of the answer that is 401; nothing else is complained of.
        [complaint] = await page.complaints()
        assert "401" in complaint
