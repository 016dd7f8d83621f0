"""The pages of the documentation, and the code blocks in them.

A block may be marked after its language, as in ```` ```python needs-a-key ````. A marked block is
not run: a marked Python block is compiled and type-checked, a marked console block is parsed. One
that needs a library (`needs-fastapi`) is run where that is installed.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@attrs.frozen(eq=False)
class Warm:
    """A Python that has loaded Wingman already; see `warm.py`."""

    process: subprocess.Popen[str]
    place: Path

    def printed_by(self, code: str, home: Path) -> str:
        """What a program prints, in a process of its own at `home`; it complains of nothing."""
        printed, complained = self.place / "printed", self.place / "complained"
        program = {"code": code, "home": home, "printed": printed, "complained": complained}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(program, default=str) + "\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], TIMEOUT)[0], "it does not end"
        exit_code, words = self.process.stdout.readline(), complained.read_text()
        assert exit_code == "0\n", words
        assert not words, words
        return printed.read_text()


@contextmanager
def warm_python() -> Iterator[Warm]:
    """One, until this is left."""
    with tempfile.TemporaryDirectory() as place:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("warm.py")],
            env=environment(Path(place)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield Warm(process, Path(place))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
