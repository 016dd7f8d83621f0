"""Apart: a command line is parsed in a process of its own.

A parser in compiled code may crash, or take its time, whatever its bounds are: here that would end
or hold up the whole server. There it ends the worker, and nothing is told of the line.
"""

import logging
from pathlib import Path
from typing import Final

import msgspec
import trio

from wingman.permissions.shell import LONGEST, CommandLine
from wingman.processes import WorkerError, run_worker

__all__ = ["parse_apart"]

logger = logging.getLogger("wingman.permissions")

_PROGRAM: Final = Path(__file__).with_name("shell_program.py")
_SECONDS: Final = 10.0  # most of it is the start of a process
_MEMORY: Final = 512 * 1024 * 1024
_LARGEST_ANSWER: Final = 4_000_000  # bytes
_REMEMBERED: Final = 256  # lines

_decode = msgspec.json.Decoder(CommandLine).decode
_Known = dict[str, CommandLine]
_known: trio.lowlevel.RunVar[_Known] = trio.lowlevel.RunVar("wingman_command_lines")


async def parse_apart(line: str) -> CommandLine:
    """The simple commands of a command line, as `parse` tells them; of one that cannot be parsed,
    nothing is told."""
    if len(line) > LONGEST:
        return CommandLine((), complete=False)
    known = _lines()
    found = known.get(line)
    if found is None:
        found = await _parsed(line)
        if found is None:
            return CommandLine((), complete=False)
        if len(known) >= _REMEMBERED:
            del known[next(iter(known))]
        known[line] = found
    return found


async def _parsed(line: str) -> CommandLine | None:
    try:
        data = line.encode()
    except UnicodeEncodeError:
        return None
    try:
        answer = await run_worker(
            _PROGRAM,
            {},
            data,
            seconds=_SECONDS,
            memory=_MEMORY,
            max_answer=_LARGEST_ANSWER,
        )
        return _decode(answer)
    except (WorkerError, msgspec.DecodeError) as error:
        logger.warning("a command line could not be parsed, and is asked about: %s", error)
        return None


def _lines() -> _Known:
    try:
        return _known.get()
    except LookupError:
        known: _Known = {}
        _known.set(known)
        return known
