"""The processes that are there: for the demo, which does not take the server's word for it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["VISIBLE", "working_in"]

_PROC: Final = Path("/proc")

VISIBLE: Final = (_PROC / "self" / "cwd").exists()
"""Whether this system shows its processes as Linux does."""


def working_in(directory: Path) -> list[str]:
    """The living processes whose working directory this is, each as "pid name".

    Neither a session nor a namespace of their own hides them. Zombies have no directory any more.
    """
    return list(_working_in(os.path.realpath(directory)))


def _working_in(directory: str) -> Iterator[str]:
    for process in _PROC.glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == directory:  # noqa: PTH115 - quick: there are many
                yield f"{process.name} {(process / 'comm').read_text().strip()}"
        except OSError:
            continue  # another user's, or it ended while being looked at
