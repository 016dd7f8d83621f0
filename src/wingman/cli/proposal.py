"""What a tool call would do, as a person is shown it before it runs."""

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final

import click

from wingman.cli.console import clean, compact, count
from wingman.events import PermissionRequested

__all__ = ["always_of", "proposal"]

_MOST_LINES: Final = 200  # of a command, which is judged as a whole
_SHORT: Final = 20  # lines of a file, or of a change of one
_LONGEST: Final = 2_000  # characters of a line
_MOST_BYTES: Final = 200_000  # of a file that is compared


def proposal(
    request: PermissionRequested, input: Mapping[str, Any], work_dir: Path | None
) -> Iterator[str]:
    """The lines that say what a call would do. With `work_dir` its files are at hand."""
    name = clean(request.tool)
    what = name if request.action == request.tool else f"{name} ({clean(request.action)})"
    yield click.style(f"? {what}", fg="yellow", bold=True) + " needs your permission:"
    match request.tool, dict(input):
        case "bash", {"command": str(command)}:
            yield from _cut(command.split("\n"), _MOST_LINES, "$ ")
        case "write", {"path": str(path), "content": str(content)}:
            yield f"  {clean(path)}"
            old = None if work_dir is None else _text(work_dir / path)
            if old is None:
                yield from _cut(content.split("\n"), _SHORT, "+ ", "green")
            else:
                yield from _changes(old, content)
        case "edit", {"path": str(path), "old": str(old), "new": str(new)}:
            yield f"  {clean(path)}" + (" (every place)" if input.get("replace_all") else "")
            yield from _changes(old, new)
        case "webfetch", {"url": str(url)}:
            yield from _cut([url], 1, "")
        case _:
            yield from _cut([compact(input)], 1, "")
    if any(resource not in input.values() for resource in request.resources):
        yield from _cut(list(request.resources), _SHORT, "of ")


def always_of(request: PermissionRequested) -> Iterator[str]:
    """The lines that say what the answer `always` would allow."""
    if request.always:
        yield click.style("  always would allow, in this session:", dim=True)
        yield from _cut(list(request.always), _SHORT, f"{clean(request.action)}: ")
    else:
        yield click.style("  It is too long to be allowed for always.", dim=True)


def _changes(old: str, new: str) -> Iterator[str]:
    lines = list(unified_diff(old.split("\n"), new.split("\n"), n=1, lineterm=""))[2:]
    yield from _cut(lines or ["(no change)"], _SHORT, "")


def _text(path: Path) -> str | None:
    """The text of a file, if it is one that can be compared."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        return path.read_text()
    except (OSError, ValueError):
        return None


def _cut(lines: list[str], most: int, mark: str, colour: str | None = None) -> Iterator[str]:
    """The first lines, and how many more there are."""
    for number, line in enumerate(lines[:most]):
        shown = clean(line)
        if len(shown) > _LONGEST:
            shown = f"{shown[:_LONGEST]}… ({len(shown) - _LONGEST:,} more characters)"
        margin = mark if number == 0 or mark == "+ " else " " * len(mark)
        kinds = {"+": "green", "-": "red"} if not mark else {}
        yield "  " + click.style(f"{margin}{shown}", fg=colour or kinds.get(shown[:1]))
    if len(lines) > most:
        yield click.style(f"  … {count(len(lines) - most, 'more line')}", fg="yellow")
