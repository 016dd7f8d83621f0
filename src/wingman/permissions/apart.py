"""Apart: command lines are parsed in a process of their own.

A parser in compiled code may crash, or take its time, whatever its bounds are: here that would end
or hold up the whole server. There it ends the worker, and nothing is told of the line.

The lines of a step go to one worker: to start one takes longer than to parse them all.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import trio

from wingman.permissions.command_line import LONGEST, CommandLine
from wingman.processes import WorkerError, run_worker

__all__ = ["UNKNOWN", "parse_apart"]

logger = logging.getLogger("wingman.permissions")

_PROGRAM: Final = Path(__file__).with_name("shell_program.py")
_SECONDS: Final = 10.0  # most of it is the start of a process
_MEMORY: Final = 512 * 1024 * 1024
_LARGEST_ANSWER: Final = 4_000_000  # bytes
_REMEMBERED: Final = 1_024  # lines
_AT_ONCE: Final = 64  # lines of one worker

UNKNOWN: Final = CommandLine((), complete=False)
"""Of a line that nothing is told of."""

_decode = msgspec.json.Decoder(list[CommandLine]).decode
_Known = dict[str, CommandLine]
_known: trio.lowlevel.RunVar[_Known] = trio.lowlevel.RunVar("wingman_command_lines")


async def parse_apart(lines: Collection[str]) -> Mapping[str, CommandLine]:
    """The simple commands of each of these command lines, as `parse` tells them. Of one that cannot
    be parsed, nothing is told."""
    known = _lines()
    found = {line: known.get(line) for line in lines}
    left = [line for line, parsed in found.items() if parsed is None and _can_be_told(line)]
    for begin in range(0, len(left), _AT_ONCE):
        together = left[begin : begin + _AT_ONCE]
        parsed = await _parsed(together)
        if parsed is None and len(together) > 1:  # one of them is to blame
            alone = [await _parsed([line]) for line in together]
            parsed = [UNKNOWN if each is None else each[0] for each in alone]
        for line, each in zip(together, parsed or [UNKNOWN] * len(together), strict=True):
            found[line] = each
            if each is not UNKNOWN:
                _remember(known, line, each)
    return {line: each or UNKNOWN for line, each in found.items()}


def _can_be_told(line: str) -> bool:
    try:
        return len(line.encode()) <= LONGEST
    except UnicodeEncodeError:
        return False


async def _parsed(lines: Sequence[str]) -> Sequence[CommandLine] | None:
    """What a worker tells of these lines; None where it failed."""
    try:
        answer = await run_worker(
            _PROGRAM,
            {},
            msgspec.json.encode(lines),
            seconds=_SECONDS,
            memory=_MEMORY,
            max_answer=_LARGEST_ANSWER,
        )
        parsed = _decode(answer)
    except (WorkerError, msgspec.DecodeError) as error:
        logger.warning("a command line could not be parsed: %s", error)
        return None
    return parsed if len(parsed) == len(lines) else None


def _remember(known: _Known, line: str, parsed: CommandLine) -> None:
    if len(known) >= _REMEMBERED:
        del known[next(iter(known))]
    known[line] = parsed


def _lines() -> _Known:
    try:
        return _known.get()
    except LookupError:
        known: _Known = {}
        _known.set(known)
        return known
