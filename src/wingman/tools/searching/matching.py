"""`grep`: which files are searched, and with what; each match is `path:line:text`."""

# ruff: noqa: PTH112
# (pathlib is slow here)

import os
import shutil
from collections.abc import Iterator

from wingman.tools.searching.finding import below
from wingman.tools.searching.lines import compiled, kind_of, matching_lines
from wingman.tools.searching.patterns import matcher
from wingman.tools.searching.ripgrep import Ripgrep, means_the_same
from wingman.tools.searching.tree import Request, is_long, named, walk

__all__ = ["grep"]


def grep(root: str, request: Request) -> Iterator[str]:
    """The matching lines of the text files below `root`, in the order of their paths."""
    pattern = compiled(request["pattern"], ignore_case=request["ignore_case"])
    program = shutil.which("rg")
    ripgrep = None
    if program is not None and means_the_same(request["pattern"]):
        ripgrep = Ripgrep(program, request, pattern)
    for path in _files(root, request):
        kind = kind_of(path)
        if kind == "binary":
            continue
        if ripgrep is not None and kind == "plain" and not is_long(path) and "\n" not in path:
            yield from ripgrep.add(path)
            continue
        if ripgrep is not None:
            yield from ripgrep.search()
        for number, line in matching_lines(path, pattern):
            yield f"{path}:{number}:{line}"
    if ripgrep is not None:
        yield from ripgrep.search()


def _files(root: str, request: Request) -> Iterator[str]:
    """The regular files below `root`, or itself; with a glob, those whose path or name matches."""
    if not os.path.isdir(root):
        yield root
        return
    glob = request["glob"] or "**"
    negated = glob.startswith("!")
    pattern = below(glob.removeprefix("!"), request["path"])
    anywhere = "" if "/" in pattern else "**/"
    matches = matcher(anywhere + pattern.removeprefix("/"))
    for entry in walk(root):
        if entry.regular and bool(matches(entry.path)) != negated:
            yield named(root, entry.path)
