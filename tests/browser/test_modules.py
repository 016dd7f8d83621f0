"""The page's modules without a page: what they make of text and events, and their types."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parent
PAGE: Final = FOLDER.parents[1] / "src" / "wingman" / "server" / "console" / "page"
COMPILER: Final = (
    FOLDER.parent / "api" / "typescript" / "node_modules" / "typescript" / "bin" / "tsc"
)

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def run(*command: str) -> None:
    done = subprocess.run(
        ["node", *command], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_node
def test_the_pure_modules_pass_their_own_tests() -> None:
    run("--test", *map(str, sorted((FOLDER / "modules").glob("*.test.mjs"))))


@needs_node
@pytest.mark.skipif(
    not COMPILER.is_file(),
    reason="needs TypeScript: npm install --prefix tests/api/typescript --no-package-lock",
)
def test_the_modules_keep_to_their_types() -> None:
    run(str(COMPILER), "-p", "tsconfig.json")


def test_what_a_browser_loads_is_less_than_200_kilobytes() -> None:
    files = [path for path in PAGE.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")]
    assert len(files) > 20
    assert sum(path.stat().st_size for path in files) < 200_000


def test_the_modules_never_read_text_as_html_or_as_a_program() -> None:
    for path in PAGE.rglob("*.js"):
        text = path.read_text()
        for name in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "srcdoc",
        ):
            assert name not in text, (path.name, name)
