"""CommandLine: what is told of a bash command line. `shell.py` tells it."""

from typing import Final

import attrs

__all__ = ["LONGEST", "CommandLine", "SimpleCommand"]

LONGEST: Final = 4_000
"""Bytes of a line; of a longer one nothing is told."""


@attrs.frozen
class SimpleCommand:
    """One program with its arguments.

    `text` is its words, unquoted and quoted anew where they need it (`shlex.quote`), joined by one
    space; a `HOLE` stands for what is not known of a word: a variable, a file name's pattern.
    `also` are other texts for it: by the program's name without its directory, and the command that
    it runs in turn. `shown` is the same for a person, with variables and redirections as they were
    written, after what it depends on: the loop whose variable it has, the `cd` of the same line,
    the pipeline whose output says what it runs. `reads` and `writes` are the files that its input
    and output are redirected to; `/dev/null` is none.
    """

    text: str
    shown: str
    also: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All its names."""
        return (self.text, *self.also)


@attrs.frozen
class CommandLine:
    """What could be told of a command line. `complete`: these commands are all that it does.
    Otherwise they are those that can be seen in it; one of text `HOLE` has its redirections.

    `moves`: it changes its directory on the way, so that relative paths are not known.
    """

    commands: tuple[SimpleCommand, ...]
    complete: bool
    moves: bool = False
