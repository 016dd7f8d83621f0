"""What mypy and pyright say of one file of uses: both the same, on every line."""

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USES = Path(__file__).parent / "typed" / "uses.py"
CACHE = ROOT / ".mypy_cache"  # what it knows of Trio takes five seconds to find out

Findings = tuple[set[int], dict[int, str]]
"""The lines with errors; the types that were revealed, by line."""


def expected() -> Findings:
    lines = list(enumerate(USES.read_text().splitlines(), 1))
    errors = {number for number, line in lines if line.endswith("  # E")}
    revealed = {
        number: _normal(line.rsplit("# -> ")[1]) for number, line in lines if "  # -> " in line
    }
    return errors, revealed


def mypy(_: Path) -> Findings:
    pytest.importorskip("mypy", reason="mypy is not there")
    settings = f"--config-file={ROOT / 'pyproject.toml'}"  # the cache is good for those alone
    command = [sys.executable, "-m", "mypy", "--strict", settings]
    command += ["--no-error-summary", f"--cache-dir={CACHE}"]
    done = _run([*command, str(USES)])
    errors, revealed = set(), {}
    for line in done.stdout.splitlines():
        found = re.match(r"(?:.*uses\.py):(\d+): (\w+): (.*)", line)
        assert found, line + done.stderr
        number, kind, text = int(found[1]), found[2], found[3]
        if text.startswith("Revealed type is"):
            revealed[number] = _normal(text.split('"')[1])
        elif kind == "error":
            errors.add(number)
    return errors, revealed


def pyright(folder: Path) -> Findings:
    if shutil.which("node") is None:
        pytest.skip("pyright needs node, and there is none")
    settings = folder / "pyrightconfig.json"
    shutil.copy(USES, folder)
    settings.write_text(json.dumps({"include": [USES.name], "extraPaths": [str(ROOT / "src")]}))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(settings)]
    command += ["--pythonpath", sys.executable]
    try:
        done = _run(command)
        diagnostics = json.loads(done.stdout)["generalDiagnostics"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        pytest.skip("pyright is not there, or has not started within 60 seconds")
    errors, revealed = set(), {}
    by_line: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for finding in diagnostics:
        line = finding["range"]["start"]["line"] + 1
        by_line[line].append((finding["severity"], finding["message"]))
    for line, findings in by_line.items():
        for severity, text in findings:
            if severity == "information" and text.startswith("Type of"):
                revealed[line] = _normal(text.rsplit(' is "', 1)[1].rstrip('"'))
            elif severity == "error":
                errors.add(line)
    return errors, revealed


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def _normal(text: str) -> str:
    """A type without the modules of its names, and `|` for a union."""
    text = re.sub(r"\b(?:\w+\.)+(\w)", r"\1", text)
    return re.sub(r"Union\[([^\[\]]+)\]", lambda found: found[1].replace(", ", " | "), text)


@pytest.mark.parametrize("check", [mypy, pyright])
def test_a_type_checker_says_what_stands_beside_each_line(
    check: Callable[[Path], Findings], tmp_path: Path
) -> None:
    errors, revealed = check(tmp_path)
    assert (errors, revealed) == expected()
