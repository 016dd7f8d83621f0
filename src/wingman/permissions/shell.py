"""Shell: the simple commands of a bash command line, by a real grammar of it, tree-sitter's.

What a command line does is told only where that is certain. Whatever is unusual in it makes the
answer incomplete: then somebody is asked about the whole of it.
"""

import attrs

__all__ = ["CommandLine", "SimpleCommand", "parse"]


@attrs.frozen
class SimpleCommand:
    """One program with its arguments.

    `text` is its words, unquoted and quoted anew where they need it (`shlex.quote`), joined by one
    space; a `HOLE` stands for what is not known of a word: a variable, a file name's pattern.
    `also` are other texts for it: by the program's name without its directory, and the command that
    it runs in turn. `shown` is the same for a person, with variables and redirections as they were
    written. `reads` and `writes` are the files that its input and output are redirected to.
    """

    text: str
    shown: str
    also: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


@attrs.frozen
class CommandLine:
    """What could be told of a command line. `complete`: these commands are all that it does.

    `moves`: it changes its directory on the way, so that relative paths are not known.
    """

    commands: tuple[SimpleCommand, ...]
    complete: bool
    moves: bool = False


def parse(line: str) -> CommandLine:
    """The simple commands of a command line."""
    return CommandLine((), complete=False)
