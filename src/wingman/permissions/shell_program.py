"""The program that parses a command line, in a worker's process: the grammar is compiled code, and
the line is a model's.

The answer is the JSON of a `CommandLine`.
"""

import json
from typing import Any

import attrs

from wingman.permissions.shell import parse

__all__ = ["work"]


def work(options: dict[str, Any], data: bytes) -> bytes:
    """What the line that `data` has does. There are no `options`."""
    return json.dumps(attrs.asdict(parse(data.decode()))).encode()
