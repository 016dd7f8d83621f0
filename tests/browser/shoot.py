"""`python tests/browser/shoot.py`: takes the screenshots of docs/console.md.

A model that follows a script works in a small project, in a console in Chromium. Where the fonts
Inter and JetBrains Mono are installed, the pictures look as those in the repository do.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Final

import trio

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from browser_kit import Chromium, Page, chromium_running  # noqa: E402 from tests/
from console_kit import send  # noqa: E402
from server_kit import Gate, Server, call, serving, thought  # noqa: E402

PICTURES: Final = ROOT / "docs" / "console"
RULES: Final = {"edit": "ask", "bash": {"*": "ask", "pytest *": "allow", "git log *": "allow"}}

PROJECT: Final = {
    "cart.py": "def total(prices):\n    return sum(prices)\n",
    "rates.py": "RATES = {'de': 0.19, 'ch': 0.081}\n",
    "Makefile": "test:\n\t@for n in total empty tax; do"
    " printf 'test_cart.py::test_%s \\033[32mPASSED\\033[0m\\n' $$n; sleep 0.3; done; sleep 60\n",
}
PLAN: Final = """\
The total leaves out the tax. I look at what is there first:

- `cart.py` has the sum
- `rates.py` has a rate for each country
"""
FOUND: Final = """\
**One place is wrong.** `total` never looks at a rate:

| file | what it has |
|---|---|
| `cart.py` | `sum(prices)`, and no tax |
| `rates.py` | `de` 19 %, `ch` 8.1 % |

I give it the country, and run the tests again.
"""


async def main() -> None:
    """Make a session that has come far, and show it."""
    PICTURES.mkdir(exist_ok=True)
    with project_made() as project, chromium_running() as chromium:
        async with serving() as server:
            session_id = await prepared(server, project)
            async with chromium.page(1280, 860, dark=True) as page:
                await shoot_session(server, page, session_id)
            await shoot_others(server, chromium, session_id)


@contextmanager
def project_made() -> Iterator[Path]:
    """The project that the model works in, at a place that looks well."""
    project = Path(gettempdir()) / "shop"
    project.mkdir()
    try:
        for name, text in PROJECT.items():
            (project / name).write_text(text)
        yield project
    finally:
        shutil.rmtree(project)


async def prepared(server: Server, project: Path) -> str:
    """Some sessions; the one that is shown."""
    agent_id = await server.agent(
        name="Engineer", tools=["bash", "read", "edit", "grep"], permissions=RULES
    )
    for title in ("Release notes of 2.4", "Why is the build slow?", "Translate the errors"):
        body = {"title": title, "agent_id": agent_id, "work_dir": str(project)}
        answer = await server.client.post("/sessions", json=body)
        if title.startswith("Release"):
            server.stage.play("Here is a draft.")
            await server.send(answer.json()["id"], "Write the release notes.")
        if title.startswith("Why"):
            server.stage.play(Gate())
            await server.start(answer.json()["id"], "Why is the build slow?")
    body = {"title": "Taxes in the cart", "agent_id": agent_id, "work_dir": str(project)}
    answer = await server.client.post("/sessions", json=body)
    return str(answer.json()["id"])


async def shoot_session(server: Server, page: Page, session_id: str) -> None:
    await page.goto(f"{server.url}/#/session/{session_id}")
    await page.shown(".status")
    server.stage.play(
        thought("The user says that the sum is too small. " * 4),
        PLAN,
        call("read", "toolu_1", path="cart.py"),
        call("grep", "toolu_2", pattern="RATES", path="."),
    )
    server.stage.play(
        FOUND,
        call("bash", "toolu_3", command="make test"),
        call(
            "edit",
            "toolu_4",
            path="cart.py",
            old="def total(prices):\n    return sum(prices)",
            new="def total(prices, country):\n    return sum(prices) * (1 + RATES[country])",
        ),
    )
    await send(page, "The cart's total is too small. Please look into it.")
    await page.do("await page.locator('.approval').nth(1).waitFor()")
    await page.do("await page.locator('.call').nth(2).getByText('Allow once').click()")
    await page.do("await page.locator('.call').nth(2).getByText('test_tax').waitFor()")
    await send(page, "And mention the countries in the docstring.")
    await page.shown(".queue li")
    await page.screenshot(PICTURES / "session.png")


async def shoot_others(server: Server, chromium: Chromium, session_id: str) -> None:
    async with chromium.page(1280, 720) as page:
        await page.goto(f"{server.url}/#/approvals")
        await page.shown(".asked li")
        await page.screenshot(PICTURES / "approvals.png")
    async with chromium.page(1280, 760, dark=True) as page:
        await page.goto(f"{server.url}/#/runtime")
        await page.shown(".yes")
        await page.screenshot(PICTURES / "runtime.png")
    async with chromium.page(375, 720) as page:
        await page.goto(f"{server.url}/#/session/{session_id}")
        await page.shown(".approval")
        await page.do(
            "await page.locator('.call').nth(2).getByRole('button', {name: 'Cancel'}).click()"
        )
        await page.shown(".receipt")
        await page.screenshot(PICTURES / "phone.png")


if __name__ == "__main__":
    trio.run(main)
