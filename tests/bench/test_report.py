"""What the benchmarks print and keep: figures, goals, and why something was not measured.

The command is a process of its own, whose benchmark `start` measures what a test tells it to.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- figures: python -m bench --write -->", "<!-- end of the figures -->"

FIGURES = """
return [
    Row("a plain figure", 3.0, "ms"),
    Row("a fast one", 2.0, "×", "hello", "≥ 1.1"),
    Row("a slow one", 12.5, "ms", goal="≤ 10"),
    Row.unmeasured("a missing one", "It is not installed.", "≥ 8"),
]
"""

COMMAND = """
from bench import __main__ as program, start
from bench._report import Row
def measure(quick):
    {body}
start.measure = measure
program.main()
"""

PEERS = """
from bench._environments import NotThere, with_npm, with_pip
for find, install in ((with_pip, False), (with_npm, False), (with_npm, True), (with_npm, True)):
    try:
        find("peer", "peer", install=install)
    except NotThere as error:
        print(error)
"""


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def bench(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = COMMAND.format(body=body.strip().replace("\n", "\n    "))
    return run(code, "start", *arguments)


def goals(output: str) -> list[str]:
    lines = output.partition("The goals: ")[2].splitlines()
    return [" ".join(line.split()) for line in lines]


def test_each_goal_is_reached_or_missed_or_not_measured_and_figures_are_kept(
    tmp_path: Path,
) -> None:
    kept, page = tmp_path / "figures.json", tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    done = bench(FIGURES, "--quick", "--json", str(kept), "--write", str(page))
    assert done.returncode == 0, done.stderr
    assert goals(done.stdout) == [
        "1 of 3 reached",
        "a fast one ÷ hello 2 × ≥ 1.1 reached",
        "a slow one 12.5 ms ≤ 10 missed",
        "a missing one ≥ 8 not measured: It is not installed.",
    ]
    written = page.read_text()
    assert written.startswith(f"before\n{BEGIN}\n")
    assert written.endswith(f"{END}\nafter\n")
    assert "\nold\n" not in written
    assert "| a slow one | 12.5 ms | ≤ 10 | missed |" in written
    assert "| a missing one |  | ≥ 8 | not measured |" in written
    (measured,) = json.loads(kept.read_text())["benchmarks"]
    assert [row["met"] for row in measured["rows"]] == [None, True, False, None]
    assert [row["median"] for row in measured["rows"]] == [3.0, 2.0, 12.5, None]
    assert measured["rows"][3]["why"] == "It is not installed."


def test_a_benchmark_that_fails_counts_as_not_measured_and_the_command_says_so() -> None:
    done = bench("raise RuntimeError('no port is free')")
    assert done.returncode == 1
    assert goals(done.stdout) == [
        "0 of 1 reached",
        "start not measured: It failed: RuntimeError('no port is free')",
    ]
    assert "Traceback" in done.stderr


def test_each_benchmark_can_be_named() -> None:
    listed = "from bench.__main__ import BENCHMARKS; from importlib import import_module\n"
    named = "print(*(n for n in BENCHMARKS if not callable(import_module(f'bench.{n}').measure)))"
    done = run(listed + named)
    assert (done.stdout, done.returncode) == ("\n", 0), done.stderr


def test_a_peer_is_installed_only_where_it_may_be_and_says_why_it_is_missing(
    tmp_path: Path,
) -> None:
    nowhere = str(tmp_path / "nowhere")
    done = run(PEERS, XDG_CACHE_HOME=str(tmp_path), PATH=nowhere)
    assert done.stdout.splitlines() == [
        "peer is not installed; python -m bench peers installs it.",
        "peer is not installed; python -m bench peers installs it.",
        "peer is not installed, as npm is not there.",
        "peer is not installed, as npm is not there.",
    ], done.stderr
