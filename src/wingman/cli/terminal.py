"""Terminal: keys, lines and an editor, for who is asked something while a run goes on.

Nothing here blocks the event loop, and what is left early leaves the terminal as it was.
"""

import os
import shlex
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import trio

__all__ = ["Gone", "edited", "editor", "is_terminal", "read_key", "read_line"]

_MOST: Final = 4096  # bytes of one reading
_INPUT: Final = 0


class Gone(Exception):
    """The terminal has ended: nobody is there to be asked."""


def is_terminal() -> bool:
    """Whether a person can be asked: keys come from a terminal, and notes go to one."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


async def read_key(ask: Callable[[], None]) -> str:
    """Ask, and wait for a key, or a word that is pasted. What was typed before is thrown away: it
    was no answer to what is asked now. Raises `Gone`."""
    with _settings(by_key=True):
        ask()
        return (await _read()).strip().lower()


async def read_line() -> str:
    """Wait for a line, which the terminal itself lets edit. Raises `Gone`."""
    with _settings(by_key=False):
        return (await _read()).strip()


def editor() -> list[str]:
    """The command of the person's editor; empty where none is known."""
    try:
        return shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    except ValueError:
        return []


async def edited(text: str, command: list[str]) -> str:
    """The text as the person has left it in the editor. Raises `OSError`, or `ValueError` for what
    is no text, or an editor that has failed."""
    with TemporaryDirectory(prefix="wingman-") as directory, _settings(by_key=False):
        path = Path(directory) / "input.json"
        path.write_text(text)
        done = await trio.run_process([*command, str(path)], check=False)
        if done.returncode:
            raise ValueError(f"the editor ended with {done.returncode}")
        return path.read_text()


async def _read() -> str:
    await trio.lowlevel.wait_readable(_INPUT)
    try:
        data = os.read(_INPUT, _MOST)
    except OSError as error:
        raise Gone from error
    if not data:
        raise Gone
    return data.decode(errors="replace")


@contextmanager
def _settings(*, by_key: bool) -> Iterator[None]:
    """Read keys one by one and unseen, or leave the terminal as it is; afterwards as before.

    Ctrl-C goes on to be a signal. What is typed and not read is thrown away at both ends.
    """
    before: Any = termios.tcgetattr(_INPUT)
    if by_key:
        tty.setcbreak(_INPUT, termios.TCSAFLUSH)
    try:
        yield
    finally:
        termios.tcsetattr(_INPUT, termios.TCSAFLUSH, before)
