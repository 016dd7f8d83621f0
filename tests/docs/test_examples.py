"""Each example runs as it stands, in a process of its own, and shows what it says."""

import ast
import subprocess
from pathlib import Path

import pytest

from docs.pages import MYPY, REPOSITORY, TIMEOUT, printed_by

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))

# Lines that each must print, in this order.
SHOWN = {
    "actors.py": [
        "ann has 5",
        "refused: ann has 5",
        "bob's delivery has failed",
        "bob has 0 after a restart",
        "ann handled 3 restarts 0",
        "bob handled 2 restarts 1",
        "live: ['bob']",
    ],
    "cancel.py": [
        "was running ['stopped']",
        "stopped within a second: True",
        "echo up; sleep 60 → Cancelled: the user cancelled this tool call.",
        "echo quick → quick",
        "cut by the caller: True",
        "the history is valid: True",
        "ready",
    ],
    "permissions.py": [
        "asked: bash of ['touch asked.txt', 'echo ran']",
        "echo allowed → allowed",
        "touch asked.txt && echo ran → ran",
        "rm -rf build → Not allowed: the permissions deny bash: 'rm -rf build'. It has not run. "
        "Do it in another way, or tell the user what you would need.",
        "asked.txt is there: True",
    ],
    "pipeline.py": [
        "restarts: 1",
    ],
    "restart.py": [
        "16 runs wait for their turn",
        "16 runs are completed",
        "4 runs are interrupted",
        "the newest: ['number 19', 'number 18', 'number 17']",
    ],
    "serve_runtime.py": [
        "ready: ready",
        '{"apples":3}',
        "event: tool_use",
        "event: tool_result",
        "event: done",
        "400 invalid_request",
    ],
    "stream.py": [
        "→ bash {'command': 'echo one; echo two'}",
        "← ['one', 'two']",
        "result: end_turn after 2 steps",
    ],
    "supervision.py": [
        "display on",
        "reading 1",
        "reading 2",
        "display on",
        "reading 4",
        "the station: crashed: OSError: the sensor does not answer",
    ],
    "tools.py": [
        "gave: Sessions are actors,",
        "failed: Invalid input: Expected `str`, got `int` - at `$.path`",
        "failed: nothing.txt cannot be read: No such file or directory.",
        "end_turn after 2 steps",
    ],
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_shows_what_it_says(example: Path, tmp_path: Path) -> None:
    said = printed_by(example, home=tmp_path)
    lines = iter(said.splitlines())
    for expected in SHOWN[example.name]:
        assert expected in lines, f"{expected!r} is not there, or not in its place: {said}"


def test_each_example_is_known_and_in_the_index() -> None:
    names = {path.name for path in EXAMPLES}
    assert len(names) >= 5
    assert names == set(SHOWN)
    index = (REPOSITORY / "examples" / "README.md").read_text()
    for name in names:
        assert f"]({name})" in index, name


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_says_how_to_run_it(example: Path) -> None:
    source = example.read_text()
    assert len(source.splitlines()) <= 70
    assert f"python examples/{example.name}" in (ast.get_docstring(ast.parse(source)) or "")


def test_the_examples_are_strictly_typed() -> None:
    done = subprocess.run(
        [*MYPY, *EXAMPLES],
        cwd=REPOSITORY / "examples",
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
