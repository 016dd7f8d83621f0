"""`python -m bench.crash --kills 300 --seed 1`: kill the server, again and again, and look closely.

The real server as a process, many clients over HTTP, SIGKILL at random moments. It prints what was
done and what was found wrong; the exit code is 1 if anything was. The harness itself is
`tests/crash/`, whose short form is a test.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import click
import trio

# The harness belongs to the tests, and pytest finds it there too.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crash.harness import Harness


@click.command()
@click.option("--kills", default=300, show_default=True, help="How many times to kill it.")
@click.option("--seed", default=1, show_default=True, help="Of what the clients do, and when.")
@click.option("--longest", default=1.5, show_default=True, help="Seconds of a server's life.")
@click.option("--directory", type=Path, help="Where all is kept; a temporary one, if not given.")
def main(kills: int, seed: int, longest: float, directory: Path | None) -> None:
    """Kill the server at random moments, and check that it keeps its promises."""
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="wingman-crash-"))
    harness = Harness(directory, seed, longest)
    seconds = trio.run(partial(_timed, harness, kills))
    for what, times in sorted(harness.findings.done.items()):
        print(f"{times:8} {what}")
    print(f"{seconds:.0f} s, in {directory}: {len(harness.findings.wrong)} findings")
    for kind, times in harness.findings.kinds.most_common():
        print(f"{times:8} {kind}")
    sys.exit(bool(harness.findings.wrong))


async def _timed(harness: Harness, kills: int) -> float:
    start = trio.current_time()
    await harness.run(kills)
    return trio.current_time() - start


if __name__ == "__main__":
    main()
