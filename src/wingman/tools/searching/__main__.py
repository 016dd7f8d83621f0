"""The program: one argument, a JSON object; results on stdout. Run by path, without site-packages.

Exit code 2 says that the pattern is none, 3 that the search failed; the reason is the output.
"""

# ruff: noqa: PTH100, PTH120, T201
# (a program that prints; the imports stand below what they need; nothing else here needs pathlib)

import json
import os
import re
import sys
import warnings
from collections.abc import Iterable
from types import ModuleType

if __name__ == "__main__":
    # The modules have the house's names, but its packages, and all that they import, are not run.
    _directory = os.path.dirname(os.path.abspath(__file__))
    for _name in ("wingman.tools", "wingman"):
        _directory = os.path.dirname(_directory)
        sys.modules[_name] = ModuleType(_name)
        sys.modules[_name].__path__ = [_directory]

from wingman.tools.searching.finding import find
from wingman.tools.searching.matching import grep
from wingman.tools.searching.tree import Request

INVALID, FAILED = 2, 3


def main(request: Request) -> None:
    """Do what is asked, in `path`; results are named relative to `work_dir`."""
    os.chdir(request["work_dir"])
    root = os.path.relpath(request["path"])
    lines = find(root, request) if request["search"] == "glob" else grep(root, request)
    show(lines, request["limit"], request["room"])


def show(lines: Iterable[str], limit: int, room: int) -> None:
    """Print lines until there are `limit`, or `room` characters."""
    for count, line in enumerate(lines):
        room -= len(line) + 1
        if count == limit or room < 0:
            print(f"[There are more: the first {count} are shown; narrow the search.]")
            return
        print(line, flush=True)  # what was found is there also when the time is up


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Python's on a pattern are no results
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    try:
        main(json.loads(sys.argv[1]))
    except (re.error, OverflowError) as error:
        print(f"Invalid pattern: {error}. It is read as Python's `re` reads it.")
        sys.exit(INVALID)
    except RecursionError:
        print("Invalid pattern: it is nested too deeply.")
        sys.exit(INVALID)
    except Exception as error:
        told = error.strerror if isinstance(error, OSError) else None
        print(told or f"{type(error).__name__}: {error}")
        sys.exit(FAILED)
