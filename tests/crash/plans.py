"""What messages ask the keyless model for: steps of tool calls that leave their marks in a log.

A mark is written once when a call really runs, so the log counts executions. Some calls hang until
they are stopped, some leave processes in the background: none may outlive the server.
"""

import re
from pathlib import Path
from random import Random

import attrs

from crash.marks import make_call

__all__ = ["Plan", "generic", "make_plan"]

_MARK = re.compile(r"echo m[\d.]+ >> \S+\.log")

# A call by how often it is made; {mark} is its line in the log.
_CALLS = {
    "!bash {mark}": 60,
    "!bash sleep 0.05; {mark}": 15,
    "!bash {mark}; exit 3": 6,
    "!bash {mark}; sleep 300": 4,
    "!bash {mark}; sleep 300 & sleep 300 & sleep 0.1": 4,
    "!bash {mark}; (trap '' TERM; sleep 300) & sleep 0.05": 2,
    "!bash {mark}; setsid sleep 300 & sleep 300": 2,
    "!bash {mark}; head -c 20000 /dev/zero | tr '\\0' x": 3,
    "!read no-such-file": 4,
}


@attrs.frozen
class Plan:
    """A message's text, and the marks of its calls: all those that the log may show, once each."""

    text: str
    marks: tuple[str, ...]


def make_plan(random: Random, number: int, log: Path, marks_log: Path | None = None) -> Plan:
    """A message: no call at all, or one to three steps of one to three parallel calls.

    Where there is a log for the marks of an MCP server, most of them are its calls.
    """
    if random.random() < 0.05:
        return Plan(f"Message {number} has nothing to do", ())
    marks: list[str] = []
    steps = []
    for step in range(random.choice((1, 1, 2, 3))):
        lines = []
        for call in range(random.choice((1, 1, 2, 3))):
            mark = f"m{number}.{step}.{call}"
            if marks_log is not None and random.random() < 0.7:
                lines.append(make_call(random, mark, marks_log))
                continue
            (pattern,) = random.choices(list(_CALLS), list(_CALLS.values()))
            marks.append(mark)
            lines.append(pattern.replace("{mark}", f"echo {marks[-1]} >> {log}"))
        steps.append("\n".join(lines))
    return Plan(f"Message {number}\n" + "\n---\n".join(steps), tuple(marks))


def generic(command: str) -> str:
    """A command as all of its kind are, without what it marks."""
    return _MARK.sub("{mark}", command)
