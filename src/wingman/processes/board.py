"""Board: what the processes that share a port tell each other of the commands that they run.

A command of one of them may connect to the port, and another one accept it. Who accepts looks among
the descendants of all of them for the process at the other end, and only where commands run. The
board is a few bytes of memory that all of them have mapped, so a look at it costs no system call.
"""

import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from typing import Final, Self

import attrs

__all__ = ["Board"]

# The process's number (0: there is none), and how many commands it runs. One writes each place, at
# once: eight bytes in their natural place are never read by halves.
_PLACE: Final = struct.Struct("=qq")
_RUNNING: Final = struct.Struct("=q")


@attrs.define(eq=False)
class Board:
    """A place for each of the processes that share a port. `own` is the place of this one."""

    descriptor: int
    _memory: mmap.mmap = attrs.field(repr=False)
    _own: int | None = None

    @classmethod
    def make(cls, places: int) -> Self:
        """A new board, for processes that inherit its `descriptor`."""
        with tempfile.TemporaryFile() as file:
            file.truncate(places * _PLACE.size)
            return cls.of(os.dup(file.fileno()))

    @classmethod
    def of(cls, descriptor: int, own: int | None = None) -> Self:
        """The board behind a descriptor. With `own`, this process stands in that place from now."""
        board = cls(descriptor, mmap.mmap(descriptor, 0), own)
        if own is not None:
            board._put(own, os.getpid())
        return board

    def clear(self, place: int) -> None:
        """The process in this place has ended."""
        self._put(place, 0)

    def _put(self, place: int, pid: int) -> None:
        _PLACE.pack_into(self._memory, place * _PLACE.size, pid, 0)

    def runs(self, commands: int) -> None:
        """This process runs so many commands now."""
        if self._own is not None:
            at = self._own * _PLACE.size + _PLACE.size - _RUNNING.size
            _RUNNING.pack_into(self._memory, at, commands)

    @property
    def commands_run(self) -> bool:
        """Whether any of the processes runs a command."""
        return any(running for _, running in _PLACE.iter_unpack(self._memory[:]))

    @property
    def processes(self) -> Sequence[int]:
        """The processes that share the port, this one among them."""
        return [pid for pid, _ in _PLACE.iter_unpack(self._memory[:]) if pid]
