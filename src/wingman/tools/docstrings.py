"""A Google-style docstring, taken apart: what the model is told of a tool and of its parameters.

https://google.github.io/styleguide/pyguide.html#383-functions-and-methods
"""

import inspect
import itertools
import re
from collections.abc import Iterable, Iterator

import attrs

__all__ = ["Docstring", "parse_docstring"]

_SECTION = re.compile(
    r"(Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?|Attributes|Todo):\s*"
)
_ARGUMENTS = {"Args", "Arguments", "Parameters"}
_ENTRY = re.compile(r"\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?:\s*(?P<text>.*)")


@attrs.frozen
class Docstring:
    """`description` is all that stands before the first section, `parameters` those of `Args:`."""

    description: str
    parameters: dict[str, str]


def parse_docstring(text: str | None) -> Docstring:
    """Take a docstring apart; without one, everything is empty."""
    lines = inspect.cleandoc(text or "").splitlines()
    starts = [number for number, line in enumerate(lines) if _SECTION.fullmatch(line)]
    starts.append(len(lines))
    parameters: dict[str, str] = {}
    for start, end in itertools.pairwise(starts):
        if lines[start].strip().removesuffix(":") in _ARGUMENTS:
            parameters.update(_entries(lines[start + 1 : end]))
    return Docstring("\n".join(lines[: starts[0]]).strip(), parameters)


def _entries(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The entries of an `Args:` section; what is indented deeper continues the one above it."""
    name, words = "", list[str]()
    for line in inspect.cleandoc("\n" + "\n".join(lines)).splitlines():
        if not line.startswith(" ") and (entry := _ENTRY.fullmatch(line)):
            if name:
                yield name, " ".join(words)
            name, words = entry["name"], [entry["text"].strip()]
        elif line.strip():
            words.append(line.strip())
    if name:
        yield name, " ".join(words).strip()
