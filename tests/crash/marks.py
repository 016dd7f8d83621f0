"""The MCP server that is in play, and its calls.

It is the tests' fake server. Its tool `mark` leaves a mark in a log for each call that really ran,
and then answers, takes time, fails, hangs, dies, or leaves processes behind. What a cancelled call
was sent may be read by the server after the next run has begun: so these marks have a log of their
own, of which no order is told.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

__all__ = ["CALL_SECONDS", "NAME", "TOOL", "call", "definition", "make_call"]

NAME: Final = "marks"
TOOL: Final = "marks_mark"
_PROGRAM: Final = Path(__file__).parents[1] / "mcp_client" / "fake_server.py"
CALL_SECONDS: Final = 2.0

# What a call does besides its mark, by how often.
_CALLS: Final[tuple[tuple[Mapping[str, Any], int], ...]] = (
    ({}, 50),
    ({"seconds": 0.05}, 15),
    ({"how": "fail"}, 6),
    ({"how": "refuse"}, 4),
    ({"how": "hang"}, 6),
    ({"how": "children"}, 5),
    ({"how": "big"}, 3),
    ({"how": "die"}, 2),
)


def definition(variable: str) -> dict[str, Any]:
    """The server as it is put: with one variable in its environment, by which it is told apart."""
    command = [sys.executable, "-I", "-S", str(_PROGRAM), "stay=1", "children=1"]
    return {"command": command, "env": {variable: "1"}, "execution_timeout": CALL_SECONDS}


def make_call(random: Random, mark: str, log: Path) -> str:
    """A line that has the keyless model call the server."""
    (more,) = random.choices([more for more, _ in _CALLS], [times for _, times in _CALLS])
    return call(mark, log, **more)


def call(mark: str, log: Path, **more: Any) -> str:
    """A line that has the keyless model make this call."""
    return f"!{TOOL} {json.dumps({'mark': mark, 'log': str(log), **more})}"
