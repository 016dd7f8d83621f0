"""Instruction files: what `AGENTS.md` says in a session's directory and above it.

The files are whoever's the directory is: they are instructions to a model, and no more is done with
them. They are read as a run begins.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import trio

from wingman.agent import Agent

__all__ = ["NAME", "with_instruction_files"]

NAME: Final = "AGENTS.md"
"""What the files are called: https://agents.md."""

_LARGEST: Final = 32 * 1024  # bytes of one file
_MOST: Final = 64 * 1024  # bytes of all: those nearest to the directory go before the others
_DEEPEST: Final = 64  # directories


async def with_instruction_files(agent: Agent, work_dir: Path) -> Agent:
    """The agent with the files' text below its own instructions, the nearest file last.

    Files are looked for in the directory, and above it to the root of its repository. Where it is
    in none, only in the directory itself. One that cannot be read is left out.
    """
    try:
        text = await trio.to_thread.run_sync(_text_of, work_dir)
    except RuntimeError:  # no thread can be had
        text = ""
    if not text:
        return agent
    own = f"{agent.instructions}\n\n" if agent.instructions else ""
    return attrs.evolve(agent, instructions=own + text)


def _text_of(work_dir: Path) -> str:
    parts: list[str] = []
    room = _MOST
    for directory in _directories(work_dir):
        found = _read(directory / NAME, min(room, _LARGEST))
        if found is None:
            continue
        text, is_cut = found
        room -= len(text.encode())
        note = "\n[… the rest of this file is left out …]" if is_cut else ""
        parts.append(f"Instructions from {directory / NAME}:\n\n{text.strip()}{note}")
        if room <= 0:
            break
    return "\n\n".join(reversed(parts))


def _directories(work_dir: Path) -> Iterator[Path]:
    """The directory, then those above it, to the root of the repository."""
    above = [work_dir, *work_dir.parents][:_DEEPEST]
    root = next((place for place, each in enumerate(above) if (each / ".git").exists()), 0)
    yield from above[: root + 1]


def _read(path: Path, most: int) -> tuple[str, bool] | None:
    """The text of a regular file, and whether it is cut; None where there is none, or no text."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(most + 1)
        except OSError:
            return None
    text = content[:most].decode(errors="replace").replace("\0", "\ufffd")
    return (text, len(content) > most) if text.strip() else None
