"""PostgreSQL: durable turns in process, beside the same turns in SQLite.

Both are on this machine's disk, and flush at each commit. PostgreSQL is a private cluster with its
defaults, over its socket: what a network adds, each commit and each read adds once or twice. It is
not measured where its programs are not installed.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import trio

from bench._models import TEXT, TOOLS
from bench._report import Row
from bench._rounds import Comparison, compare
from bench._servers import as_served
from bench.turns import all_at_once, creating, one_at_a_time
from wingman import Runtime

# The cluster belongs to the tests, and pytest finds it there too.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from postgres_kit import a_cluster, is_installed

_TURNS = {
    "text": "durable text turn, one at a time",
    "tools": "durable tool turn, one at a time",
    "64": "durable text turn, 64 at once",
    "create": "create_session, durable",
}


async def _measured(url: str, quick: bool) -> Comparison:
    count = 10 if quick else 40
    with tempfile.TemporaryDirectory() as directory:
        async with (
            Runtime(Path(directory, "bench.db"), agents=[TEXT, TOOLS]) as sqlite,
            Runtime(url, agents=[TEXT, TOOLS]) as postgres,
        ):
            work = {}
            for name, runtime in (("sqlite", sqlite), ("postgres", postgres)):
                work |= {
                    f"{name} text": partial(one_at_a_time, runtime, TEXT, count),
                    f"{name} tools": partial(one_at_a_time, runtime, TOOLS, count),
                    f"{name} 64": partial(all_at_once, runtime, TEXT, 64),
                    f"{name} create": partial(creating, runtime, count),
                }
            return await compare(work, rounds=3 if quick else 9)


def measure(quick: bool) -> list[Row]:
    """Measure both; some seconds."""
    if not is_installed():
        return [Row.unmeasured("durable turns in PostgreSQL", "its programs are not installed")]
    with a_cluster() as cluster, as_served():
        found = trio.run(_measured, cluster.database("bench"), quick)
    rows = []
    for key, name in _TURNS.items():
        rows += [
            Row(f"{name}, SQLite", found.rate(f"sqlite {key}"), "a second"),
            Row(f"{name}, PostgreSQL", found.rate(f"postgres {key}"), "a second"),
            Row(name, found.speed(f"postgres {key}", f"sqlite {key}"), "×", "SQLite"),
        ]
    return rows
