"""Run the benchmarks named on the command line, or all, and set the figures beside the goals."""

import json
import sys
import time
import traceback
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from bench._machine import Load, described
from bench._page import draw, write_page
from bench._report import Report, Row, goals, tabled

BENCHMARKS: Final = (
    "actors",
    "trees",
    "store",
    "postgres",
    "cluster",
    "claims",
    "turns",
    "http",
    "client",
    "real",
    "history",
    "memory",
    "streams",
    "scale",
    "cancel",
    "start",
    "peers",
)

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(BENCHMARKS), metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Less of everything: to see that it works.")
@click.option("--json", "json_file", type=_FILE, metavar="FILE", help="Keep the figures there.")
@click.option("--svg", "picture", type=_FILE, metavar="FILE", help="Draw the goals there.")
@click.option("--write", "page", type=_FILE, metavar="PAGE", help="Write the figures to this page.")
def main(
    names: tuple[str, ...],
    quick: bool,
    json_file: Path | None,
    picture: Path | None,
    page: Path | None,
) -> None:
    """Measure and print, one benchmark after the other."""
    machine = described()
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if quick:
        print("Quick: few rounds, small numbers; the figures say that it works, and little more.")
    begin = time.perf_counter()
    reports = []
    for name in names or BENCHMARKS:
        reports.append(run(name, quick))
        print(reports[-1], flush=True)
    kept = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - begin),
        "quick": quick,
        "machine": machine,
        "benchmarks": [report.as_json() for report in reports],
    }
    if json_file is not None:
        json_file.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    if picture is not None:
        draw(picture, reports)
    if page is not None:
        write_page(page, kept, reports, picture)
    print(_summary(reports))
    if any(report.failed for report in reports):
        sys.exit(1)


def _summary(reports: list[Report]) -> str:
    """The goals, all together."""
    rows = goals(reports)
    met = sum(bool(row.met) for row in rows)
    head = f"\nThe goals: {met} of {len(rows)} reached"
    return "\n".join([head, *tabled(row.cells() for row in rows)])


def run(name: str, quick: bool) -> Report:
    """Run one benchmark; the machine's load is looked at before and after it.

    Where it fails, its report has one row, which says so.
    """
    module = import_module(f"bench.{name}")
    before = Load.sample()
    if before.high:
        print(f"\n{name}: the machine is busy: {before}", file=sys.stderr)
    begin = time.perf_counter()
    try:
        rows, failed = module.measure(quick), False
    except Exception as error:  # the others are measured nevertheless
        traceback.print_exc()
        rows, failed = [Row.unmeasured(name, f"It failed: {error!r}")], True
    seconds = time.perf_counter() - begin
    title = (module.__doc__ or name).splitlines()[0]
    return Report(name, title, rows, (before, Load.sample()), seconds, failed)


if __name__ == "__main__":
    main(prog_name="python -m bench")
