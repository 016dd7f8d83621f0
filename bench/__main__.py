"""Run the benchmarks named on the command line, or all."""

import sys
from importlib import import_module
from importlib.util import find_spec

from bench._report import print_rows

BENCHMARKS = ("actors", "store", "turns", "http", "client")


def main() -> None:
    """Measure and print, one benchmark after the other."""
    names = sys.argv[1:] or [name for name in BENCHMARKS if find_spec(f"bench.{name}")]
    for name in names:
        if name not in BENCHMARKS:
            sys.exit(f"there is no benchmark {name!r}: choose from {', '.join(BENCHMARKS)}")
        benchmark = import_module(f"bench.{name}")
        print_rows(benchmark.__doc__.splitlines()[0], benchmark.measure())


if __name__ == "__main__":
    main()
