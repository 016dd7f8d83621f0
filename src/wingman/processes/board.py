"""Board: what the processes that share a port tell each other of the commands that they run.

A command of one of them may connect to the port, and another one accept it. Who accepts looks among
the descendants of all of them for the process at the other end, and only where commands run. The
board is a few bytes of memory that all of them have mapped, so a look at it costs no system call.
"""

import mmap
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from typing import Final, Self

import attrs

__all__ = ["Board"]

# A place has three numbers: the process (0: there is none), how many commands it runs, and whether
# it has ever started one. One process writes them, each at once: eight bytes in their natural
# place are never read by halves.
_NUMBER: Final = struct.Struct("=q")
_PLACE: Final = struct.Struct("=qqq")
_PROCESS, _RUNNING, _STARTED = range(3)


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
            board.clear(own)
            board._put(_PROCESS, os.getpid())
        return board

    def clear(self, place: int) -> None:
        """The process in this place has ended."""
        _PLACE.pack_into(self._memory, place * _PLACE.size, 0, 0, 0)

    def runs(self, commands: int) -> None:
        """This process runs so many commands now."""
        self._put(_RUNNING, commands)

    def starts_commands(self) -> None:
        """This process starts commands: they descend from it, as long as it lives."""
        self._put(_STARTED, 1)

    def _put(self, which: int, number: int) -> None:
        if self._own is not None:
            at = self._own * _PLACE.size + which * _NUMBER.size
            _NUMBER.pack_into(self._memory, at, number)

    @property
    def commands_run(self) -> bool:
        """Whether any of the processes runs a command."""
        return any(place[_RUNNING] for place in self._places())

    @property
    def processes(self) -> Sequence[int]:
        """The processes that share the port, this one among them."""
        return [place[_PROCESS] for place in self._places() if place[_PROCESS]]

    @property
    def others_with_commands(self) -> Sequence[int]:
        """The other processes that have started commands."""
        return [
            place[_PROCESS]
            for number, place in enumerate(self._places())
            if place[_STARTED] and number != self._own
        ]

    def _places(self) -> Iterator[tuple[int, int, int]]:
        return _PLACE.iter_unpack(self._memory[:])
