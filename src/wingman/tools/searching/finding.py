"""`glob`: the files whose path below the root matches, the last modified first."""

# ruff: noqa: PTH100, PTH112, PTH117, PTH118, PTH120
# (pathlib is slow here)

import heapq
import os
from collections.abc import Iterator

from wingman.tools.searching.patterns import matcher
from wingman.tools.searching.tree import Request, named, walk

__all__ = ["below", "find"]


def find(root: str, request: Request) -> Iterator[str]:
    """One more than the limit at most: so it is known whether there are more."""
    pattern = below(request["pattern"], request["path"])
    literal = _inside(root, pattern)
    if literal and os.path.isdir(literal):
        pattern = pattern.rstrip("/") + "/**"
    matches = matcher(pattern)
    found = heapq.nsmallest(
        request["limit"] + 1,
        ((-entry.modified, named(root, entry.path)) for entry in walk(root) if matches(entry.path)),
    )
    if not found and literal and os.path.lexists(literal):  # in what is left out as a rule
        found = [(0, named(root, pattern))] if not os.path.isdir(literal) else []
    return (path for _, path in found)


def below(pattern: str, path: str) -> str:
    """A pattern as one for paths below the root, which is at `path`."""
    if os.path.isabs(pattern):
        pattern = os.path.relpath(pattern, path)
    return pattern.removeprefix("./")


def _inside(root: str, pattern: str) -> str | None:
    """Where the pattern, taken as a path, leads to, if that is below the root."""
    if "\0" in pattern:
        return None
    literal = os.path.join(root, pattern)
    parent = os.path.realpath(os.path.dirname(os.path.abspath(literal)))
    top = os.path.realpath(root)
    inside = os.path.commonpath([parent, top]) == top
    return literal if inside and ".." not in pattern.split("/") else None
