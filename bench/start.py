"""The start: `import wingman`, `wingman serve` until it is healthy, and what it then holds.

Each is a new process, with a new database. The yardstick of the import is Python itself.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import trio

from bench._machine import memory
from bench._report import Row
from bench._rounds import Comparison, Figure, Rounds, Stopwatch, Took
from bench._servers import wingman_serve


def importing(what: str) -> Took:
    """Start Python, and import this."""
    watch = Stopwatch()
    with watch.running():
        subprocess.run([sys.executable, "-c", f"import {what}"], check=True)
    return watch.each(1)


async def _start() -> tuple[float, int]:
    """Seconds until it is healthy, and the bytes that it then holds."""
    with tempfile.TemporaryDirectory() as directory:
        async with wingman_serve(Path(directory, "bench.db")) as server:
            return server.healthy_after, memory(server.pid)


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some seconds."""
    count = 3 if quick else 11
    names = {"python": "sys", "wingman": "wingman", "server": "wingman.server"}
    found = Comparison(
        [(name, importing(names[name])) for name in Rounds(count, tuple(names))],
    )
    starts = [trio.run(_start) for _ in range(count)]
    python = found.each("python").value
    rows = [Row("Python itself", found.each("python"), "s")]
    for name, goal in (("wingman", "≤ 0.25"), ("server", None)):
        each = found.each(name)
        beyond = Figure(each.value - python, each.low - python, each.high - python)
        rows.append(Row(f"import {names[name]}, beyond Python", beyond, "s", goal=goal))
    healthy = Figure.of(seconds for seconds, _ in starts)
    held = Figure.of(held / 1024 / 1024 for _, held in starts)
    return [
        *rows,
        Row("wingman serve, healthy after", healthy, "s", goal="≤ 1"),
        Row("wingman serve, RSS", held, "MB", goal="≤ 80"),
    ]
