"""The program that parses command lines, in a worker's process: the grammar is compiled code, and
the lines are a model's.

The data are a JSON list of lines, and the answer is the JSON list of their `CommandLine`s.
"""

import json
from typing import Any

import attrs

from wingman.permissions.shell import parse

__all__ = ["work"]


def work(options: dict[str, Any], data: bytes) -> bytes:
    """What each of these lines does. There are no `options`."""
    return json.dumps([attrs.asdict(parse(line)) for line in json.loads(data)]).encode()
