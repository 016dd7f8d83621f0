"""The page at /docs in a real browser: it works, and asks nobody but the server."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
import trio

from server_kit import serving

FOLDER: Final = Path(__file__).with_name("typescript")
CHROMIUM: Final = shutil.which("chromium") or shutil.which("google-chrome") or ""
MODULES: Final = FOLDER / "node_modules"


@pytest.mark.skipif(
    shutil.which("node") is None
    or not (MODULES / "playwright-core").is_dir()
    or not (CHROMIUM or (MODULES / "@sparticuz" / "chromium").is_dir()),
    reason="needs node, and: npm install --prefix tests/api/typescript --no-package-lock",
)
async def test_the_page_tries_a_route_out_with_and_without_a_token() -> None:
    unpacked = MODULES / ".chromium"  # by its package, once
    unpacked.mkdir(exist_ok=True)
    async with serving(token="secret") as server:
        with trio.fail_after(60):
            done = await trio.run_process(
                ["node", "browse.mjs", server.url, "secret"],
                cwd=FOLDER,
                env={**os.environ, "CHROMIUM": CHROMIUM, "TMPDIR": str(unpacked)},
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
            )
        text = done.stdout.decode(errors="replace")
        if done.returncode and "error while loading shared libraries" in text:
            pytest.skip("Chromium lacks libraries of the system")
        assert done.returncode == 0, text
        seen = json.loads(text)
    assert all(asked.startswith(server.url) for asked in seen["asked"]), seen["asked"]
    assert (seen["bare"], seen["trusted"]) == ("401", "200")
    # The browser itself tells of the answer that is 401; nothing else is complained of.
    [complaint] = seen["complaints"]
    assert "401" in complaint
