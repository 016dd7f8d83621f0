"""Instruction files: what `AGENTS.md` says in a session's directory and above it.

The files are whoever's the directory is: they are instructions to a model, and no more is done with
them. They are read as a run begins.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import trio

from wingman.agent import Agent

__all__ = ["NAME", "instruction_files", "with_instruction_files"]

NAME: Final = "AGENTS.md"
"""What the files are called: https://agents.md."""

_LARGEST: Final = 32 * 1024  # bytes of one file
_MOST: Final = 64 * 1024  # bytes of all: those nearest to the directory go before the others
_DEEPEST: Final = 64  # directories


async def instruction_files(work_dir: Path) -> Sequence[Path]:
    """The files that a run in this directory is told now, the nearest last; the directory is
    absolute. None where no thread can be had to look."""
    return [path for path, _ in await _found(work_dir)]


async def with_instruction_files(agent: Agent, work_dir: Path) -> Agent:
    """The agent with the files' text below its own instructions, the nearest file last.

    Files are looked for in the directory, and above it to the root of its repository. Where it is
    in none, only in the directory itself. One that cannot be read is left out, and so is a link to
    a file elsewhere: whoever made the repository may not have the model told what else is on the
    machine.
    """
    found = await _found(work_dir)
    if not found:
        return agent
    parts = [f"Instructions from {path}:\n\n{text}" for path, text in found]
    if agent.instructions:
        parts.insert(0, agent.instructions)
    return attrs.evolve(agent, instructions="\n\n".join(parts))


async def _found(work_dir: Path) -> Sequence[tuple[Path, str]]:
    try:
        return await trio.to_thread.run_sync(_files, work_dir, abandon_on_cancel=True)
    except RuntimeError:  # no thread can be had
        return ()


def _files(work_dir: Path) -> Sequence[tuple[Path, str]]:
    """The files with their texts, the nearest last."""
    files: list[tuple[Path, str]] = []
    room = _MOST
    directories = _directories(work_dir)
    for directory in directories:
        found = _read(directory / NAME, directories[-1], min(room, _LARGEST))
        if found is None:
            continue
        text, is_cut = found
        room -= len(text.encode())
        note = "\n[… the rest of this file is left out …]" if is_cut else ""
        files.append((directory / NAME, text.strip() + note))
        if room <= 0:
            break
    return files[::-1]


def _directories(work_dir: Path) -> Sequence[Path]:
    """The directory, then those above it, to the root of the repository."""
    above = [work_dir, *work_dir.parents][:_DEEPEST]
    # `os.path`: a directory that may not be looked into has none, and raises nothing.
    has_git = (os.path.exists(each / ".git") for each in above)  # noqa: PTH110
    root = next((place for place, found in enumerate(has_git) if found), 0)
    return above[: root + 1]


def _read(path: Path, root: Path, most: int) -> tuple[str, bool] | None:
    """The text of a regular file below `root`, and whether it is cut; None where there is none, or
    no text."""
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root.resolve(strict=True)):
            return None
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a link that leads to itself
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    # What is no text takes more bytes as a replacement: it is cut once more.
    whole = content.decode(errors="replace").replace("\0", "\ufffd").encode()
    text = whole[:most].decode(errors="ignore")
    return (text, len(whole) > most) if text.strip() else None
