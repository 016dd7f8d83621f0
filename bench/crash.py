"""`python -m bench.crash`: kill it, fill its disk, fail its writes, and look closely.

`--kills 300`: the real server as a process, many clients over HTTP, SIGKILL at random moments;
`--faults`: and disks that fill up, and databases that somebody locks. `--cluster`: three servers
and one PostgreSQL behind them, which are killed, stopped and cut off from each other so many times.
`--operations 10000`: random operations in this process, over a store whose writes fail at random.
`--every-write`: one program, again and again, each time with another write that fails.

It prints what was done and what was found wrong; the exit code is 1 if anything was. The harness is
`tests/crash/`, whose short forms are tests.
"""

import logging
import sys
import tempfile
import time
from collections import Counter
from itertools import count, product
from pathlib import Path

import click
import trio
from trio.testing import MockClock

# The harness belongs to the tests, and pytest finds it there too.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crash.book import Findings
from crash.cluster.harness import ClusterHarness
from crash.faults import MODES
from crash.harness import Harness
from crash.operations import Fuzz, seed_scheduler
from crash.program import ENDS, Trial
from crash.storage import FAULTS
from postgres_kit import a_cluster, is_installed


@click.command()
@click.option("--kills", default=300, show_default=True, help="How many times, or how many faults.")
@click.option("--seed", default=1, show_default=True, help="Of what the clients do, and when.")
@click.option("--longest", default=1.5, show_default=True, help="Seconds of a server's life.")
@click.option("--faults", is_flag=True, help="In every other life, its storage fails.")
@click.option("--cluster", is_flag=True, help="Instead: a cluster on PostgreSQL, and its faults.")
@click.option("--directory", type=Path, help="Where all is kept; a temporary one, if not given.")
@click.option("--operations", type=int, help="Instead: so many operations, with failing writes.")
@click.option("--every-write", is_flag=True, help="Instead: each write of a program fails in turn.")
def main(
    kills: int,
    seed: int,
    longest: float,
    faults: bool,
    cluster: bool,
    directory: Path | None,
    operations: int | None,
    every_write: bool,
) -> None:
    """Kill the server, or fail its writes, and check that it keeps its promises."""
    start = time.monotonic()
    if operations is not None:
        findings, what = _random_operations(operations, seed), f"seed {seed}"
    elif every_write:
        findings, what = _every_write(), "every write"
    elif cluster:
        directory = directory or Path(tempfile.mkdtemp(prefix="wingman-crash-"))
        findings, what = _cluster(directory, seed, kills), f"in {directory}"
    else:
        directory = directory or Path(tempfile.mkdtemp(prefix="wingman-crash-"))
        harness = Harness(directory, seed, longest, FAULTS if faults else ())
        trio.run(harness.run, kills)
        findings, what = harness.findings, f"in {directory}"
    for name, times in sorted(findings.done.items()):
        print(f"{times:8} {name}")
    print(f"{time.monotonic() - start:.0f} s, {what}: {len(findings.wrong)} findings")
    for kind, times in findings.kinds.most_common():
        print(f"{times:8} {kind}")
    sys.exit(bool(findings.wrong))


def _cluster(directory: Path, seed: int, faults: int) -> Findings:
    if not is_installed():
        raise click.ClickException("PostgreSQL's programs (initdb, pg_ctl) are not installed.")
    with a_cluster("track_commit_timestamp = on") as postgres:
        harness = ClusterHarness(directory, postgres, seed)
        try:
            trio.run(harness.run, harness.choose(faults))
        finally:
            print("\n".join(["Seconds:", *harness.times.lines(), ""]))
    return harness.findings


def _random_operations(operations: int, seed: int) -> Findings:
    """A thousand at a time, the half of them where what has failed may have been written.

    A tenth of them once more, over files.
    """
    findings = Findings()
    logging.disable(logging.CRITICAL)
    for number in range(0, operations, 1000):
        modes = MODES if number % 2000 else tuple(mode for mode in MODES if mode != "written")
        fuzz = Fuzz(seed * 1000 + number // 1000, min(1000, operations - number), modes)
        seed_scheduler(fuzz.seed)
        wrong = trio.run(fuzz.run, clock=MockClock(autojump_threshold=0))
        _note_all(fuzz, wrong, "in memory", findings)
    with tempfile.TemporaryDirectory(prefix="wingman-crash-") as directory:
        modes = tuple(mode for mode in MODES if mode != "written")
        fuzz = Fuzz(seed, operations // 10, modes, directory=Path(directory), pace=0.02)
        _note_all(fuzz, trio.run(fuzz.run), "in files", findings)
    return findings


def _note_all(fuzz: Fuzz, wrong: list[str], where: str, findings: Findings) -> None:
    _note(wrong, fuzz.told.done, findings)
    findings.done[f"operations {where}"] += fuzz.operations
    findings.done[f"processes {where}"] += fuzz.lives
    findings.done[f"faults {where}"] += fuzz.faults_struck
    print(f"seed {fuzz.seed}, {where}: {fuzz.lives} processes, {fuzz.faults_struck} faults")


def _every_write() -> Findings:
    findings = Findings()
    logging.disable(logging.CRITICAL)
    for mode, end in product(MODES, ENDS):
        for at in count(1):
            trial = Trial(at, mode, end)
            wrong = trio.run(trial.run, clock=MockClock(autojump_threshold=0))
            _note(wrong, trial.told.done, findings)
            if not trial.fault.struck:
                break
            findings.done["faults in memory"] += 1
        for at in count(1):
            with tempfile.TemporaryDirectory(prefix="wingman-crash-") as directory:
                trial = Trial(at, mode, end, 0.3, Path(directory), 0.05, 30.0, time.monotonic)
                _note(trio.run(trial.run), trial.told.done, findings)
            if not trial.fault.struck:
                break
            findings.done["faults in a file"] += 1
        print(f"{mode}, process {end}: {len(findings.wrong)} findings", flush=True)
    return findings


def _note(wrong: list[str], done: Counter[str], findings: Findings) -> None:
    findings.done += done
    for each in wrong:
        findings.check(False, each)


if __name__ == "__main__":
    main()
