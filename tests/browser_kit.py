"""Chromium for the tests of the pages: one for all tests of a file, driven by playwright-core.

A test writes to a page in playwright's words, in JavaScript, and gets JSON:

    async with chromium.page(width=375) as page:
        await page.goto(server.url)
        title = await page.do("return page.title()")
"""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import attrs
import pytest
import trio

FOLDER: Final = Path(__file__).with_name("browser")
MODULES: Final = FOLDER / "node_modules"
NEEDS: Final = "needs node, and: npm install --prefix tests/browser --no-package-lock"
SECONDS: Final = 30
"""How long one order may take."""


@attrs.define(eq=False)
class Page:
    """A page in a browser context of its own."""

    _stream: trio.SocketStream
    _bytes: bytearray = attrs.field(factory=bytearray, init=False)

    async def do(self, code: str, **values: Any) -> Any:
        """Run the body of an async function of JavaScript in the driver; what it returns.

        It has playwright's `page` and `context`, and the values by their names.
        """
        await self._send({"code": code, "values": values})
        answer = json.loads(await self._line())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    async def goto(self, url: str) -> None:
        """Open an address, and wait until all that it loads is there."""
        await self.do("await page.goto(url)", url=url)

    async def click(self, selector: str) -> None:
        """Click on what is there, once it is."""
        await self.do("await page.locator(selector).click()", selector=selector)

    async def fill(self, selector: str, text: str) -> None:
        """Write into a field, in the place of what is in it."""
        await self.do("await page.locator(selector).fill(text)", selector=selector, text=text)

    async def press(self, key: str) -> None:
        """Press a key, such as `Enter` or `Shift+Tab`, where the focus is."""
        await self.do("await page.keyboard.press(key)", key=key)

    async def shown(self, selector: str) -> str:
        """The text of an element as it is shown, once it is."""
        text = await self.do(
            "const found = page.locator(selector).first(); await found.waitFor();"
            "return found.innerText()",
            selector=selector,
        )
        return str(text)

    async def gone(self, selector: str) -> None:
        """Wait until nothing of this is shown."""
        await self.do(
            "await page.locator(selector).first().waitFor({state: 'hidden'})", selector=selector
        )

    async def count(self, selector: str) -> int:
        """How many such elements there are now."""
        return int(await self.do("return page.locator(selector).count()", selector=selector))

    async def evaluate(self, expression: str, value: Any = None) -> Any:
        """What an expression of JavaScript is in the page: of a function, what it returns."""
        code = "return page.evaluate(eval(`(${expression})`), value)"
        return await self.do(code, expression=expression, value=value)

    async def asked(self) -> list[str]:
        """The addresses that the page has asked for."""
        return list(await self.do("return seen.asked"))

    async def complaints(self) -> list[str]:
        """What the browser complains of: errors, what the page's policy forbids, dialogs."""
        return list(await self.do("return seen.complaints"))

    async def violations(self) -> list[dict[str, Any]]:
        """What axe-core finds wrong for people who cannot see, or have no mouse."""
        return list(await self.do("return axe(page)"))

    async def longest_task(self) -> float:
        """For how many ms the page has not listened to its user, at the worst."""
        return float(await self.evaluate("() => globalThis.longestTask"))

    async def screenshot(self, path: Path) -> None:
        """Write what is shown to a PNG file."""
        await self.do("await page.screenshot({path})", path=str(path))

    async def _send(self, value: Any) -> None:
        await self._stream.send_all(json.dumps(value).encode() + b"\n")

    async def _line(self) -> bytes:
        with trio.fail_after(SECONDS):
            while b"\n" not in self._bytes:
                data = await self._stream.receive_some()
                assert data, "the browser's driver has ended"
                self._bytes += data
        line, _, rest = self._bytes.partition(b"\n")
        self._bytes = bytearray(rest)
        return bytes(line)


@attrs.frozen
class Chromium:
    """A browser that runs, and where its driver listens."""

    socket: Path

    @asynccontextmanager
    async def page(
        self, width: int = 1280, height: int = 800, *, dark: bool = False, **options: Any
    ) -> AsyncIterator[Page]:
        """A page of this size. `options` are playwright's for a new context."""
        scheme = "dark" if dark else "light"
        viewport = {"width": width, "height": height}
        async with await trio.open_unix_socket(str(self.socket)) as stream:
            page = Page(stream)
            await page._send({"viewport": viewport, "colorScheme": scheme, **options})
            yield page


@contextmanager
def chromium_running() -> Iterator[Chromium]:
    """Start Chromium, and end it. Skips the test, with the reason, where there is none."""
    own = shutil.which("chromium") or shutil.which("google-chrome") or ""
    if shutil.which("node") is None or not (MODULES / "playwright-core").is_dir():
        pytest.skip(NEEDS)
    unpacked = MODULES / ".chromium"  # by its package, once
    unpacked.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        socket = Path(folder) / "driver"
        environment = {**os.environ, "CHROMIUM": own, "TMPDIR": str(unpacked)}
        with subprocess.Popen(
            ["node", "drive.mjs", str(socket)],
            cwd=FOLDER,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as driver:
            assert driver.stdin is not None
            assert driver.stdout is not None
            said = driver.stdout.readline()
            if said != "ready\n":
                said += driver.stdout.read()
                if "error while loading shared libraries" in said:
                    pytest.skip("Chromium lacks libraries of the system, such as libnss3")
                raise AssertionError(said)
            try:
                yield Chromium(socket)
            finally:
                driver.stdin.close()
                driver.wait(20)
