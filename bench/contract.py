"""`python -m bench.contract`: the contract against whatever can be asked, for as long as one likes.

Schemathesis makes requests from `/openapi.json` against a real server: by example, by coverage of
each schema, at random, and in sequences. It finds answers that the document does not describe, and
any 5xx. A session beside it takes turns all the while. The exit code is 1 if anything was found.
The harness is `tests/api/fuzzing.py`, whose short form is a test.
"""

import sys
from pathlib import Path

import click
import trio

# The harness belongs to the tests, and pytest finds it there too.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from api.fuzzing import Fuzzed, fuzz

_SERVERS = 6


@click.command()
@click.option("--requests", default=100_000, show_default=True, help="How many at least.")
@click.option("--round", "seconds", default=600, show_default=True, help="Seconds of a round.")
def main(requests: int, seconds: int) -> None:
    """Ask for everything."""
    sys.exit(trio.run(_main, requests, seconds))


async def _main(requests: int, seconds: int) -> int:
    asked = turns = 0
    phases = "examples,coverage,fuzzing,stateful"
    while asked < requests:
        for fuzzed in await _fuzz_side_by_side(phases, seconds):
            asked += fuzzed.cases
            turns += fuzzed.turns
            if not fuzzed.passed:
                click.echo(fuzzed.text)
                return 1
        click.echo(f"{asked:,} requests; beside them {turns:,} turns of sessions")
        phases = "fuzzing,stateful"
    return 0


async def _fuzz_side_by_side(phases: str, seconds: int) -> list[Fuzzed]:
    """Ask several servers at once: many an answer is waited for, as a stream's is."""
    results: list[Fuzzed] = []

    async def one() -> None:
        results.append(await fuzz(phases, seconds))

    async with trio.open_nursery() as nursery:
        for _ in range(_SERVERS):
            nursery.start_soon(one)
    return results


if __name__ == "__main__":
    main()
