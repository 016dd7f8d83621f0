"""The pages of the documentation, and the code blocks in them.

A block may be marked after its language, as in ```` ```python needs-a-key ````. A marked block is
not run: a marked Python block is compiled and type-checked, a marked console block is parsed. One
that needs a library (`needs-fastapi`) is run where that is installed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import attrs

REPOSITORY: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    [
        REPOSITORY / "README.md",
        REPOSITORY / "CONTRIBUTING.md",
        *(REPOSITORY / "docs").glob("*.md"),
        *(REPOSITORY / "examples").glob("*.md"),
    ]
)

_BLOCK: Final = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

MYPY: Final = (
    *(sys.executable, "-m", "mypy", "--strict"),
    # With the settings of the project mypy knows Wingman and its dependencies from the last time.
    f"--config-file={REPOSITORY / 'pyproject.toml'}",
    f"--cache-dir={REPOSITORY / '.mypy_cache'}",
)
"""A strict mypy."""

TIMEOUT: Final = 60
"""Seconds that one program of the documentation may take."""


@attrs.frozen
class Block:
    """A code block: where it stands, its language, its mark, and its code."""

    page: str
    number: int
    language: str
    mark: str
    code: str

    @property
    def name(self) -> str:
        """How a test names it."""
        return f"{self.page}-{self.number}"


def _blocks(page: Path) -> list[Block]:
    name = str(page.relative_to(REPOSITORY))
    found = _BLOCK.findall(page.read_text())
    return [Block(name, number, *parts) for number, parts in enumerate(found, start=1)]


BLOCKS: Final = [block for page in PAGES for block in _blocks(page)]
PYTHON: Final = [block for block in BLOCKS if block.language == "python"]


def commands(page: str | None = None, *, marked: bool = False) -> list[str]:
    """The commands of the console blocks, each whole, without what they print."""
    found = []
    for block in BLOCKS:
        if block.language != "console" or page not in (None, block.page):
            continue
        if bool(block.mark) != marked:
            continue
        lines = iter(block.code.splitlines())
        for line in lines:
            if line.startswith("$ "):
                command = line[2:]
                while command.endswith("\\"):
                    command = command[:-1] + next(lines)
                found.append(command)
    return found


def environment(home: Path) -> dict[str, str]:
    """No key of whoever runs the tests, and a home of our own."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
    bin_dir = str(Path(sys.executable).parent)
    return {
        **kept,
        "HOME": str(home),
        "PATH": f"{bin_dir}:{kept['PATH']}",
        "PYTHONWARNINGS": "error",
    }


def printed_by(*arguments: str | Path, home: Path) -> str:
    """What a Python program prints, in a process of its own at `home`; it complains of nothing."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
