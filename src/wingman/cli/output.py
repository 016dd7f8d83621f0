"""Output: what a command prints, and what becomes of it where that cannot be written.

A pipe may be closed, a disk full. Where standard output fails, the command ends with one line;
where standard error does, its notes are lost, and the command goes on.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

__all__ = ["Command", "Group", "OutputFailed", "echo", "flush", "occupy_closed_streams"]


class OutputFailed(click.ClickException):
    """Standard output takes no more."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"Cannot write to standard output: {error.strerror or error}.")


def echo(
    text: str | bytes = "", *, err: bool = False, nl: bool = True, color: bool | None = None
) -> None:
    """Print a text. Raises `OutputFailed` where standard output cannot be written."""
    if sys.stdout is None and not err:
        raise OutputFailed(OSError(errno.EBADF, "it is closed"))
    try:
        click.echo(text, err=err, nl=nl, color=color)
    except OSError as error:
        _failed(error, err=err)


def occupy_closed_streams() -> None:
    """Put nothing in the place of standard streams that are closed: else the next file or socket
    that is opened would be in it, and take what is meant for the stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def flush() -> None:
    """Write what is held of both streams, as far as that can be."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:
                _discard(stream)


@contextmanager
def _printing() -> Iterator[None]:
    """Where click prints by itself, such as a help text; it looks after closed pipes alone."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        _failed(error, err=False)


class Command(click.Command):
    """A command whose help may find no room."""

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Parse the arguments, which may ask for a help text."""
        with _printing():
            return super().make_context(*args, **settings)


class Group(click.Group):
    """A group of commands whose help may find no room."""

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Parse the arguments, which may ask for a help text."""
        with _printing():
            return super().make_context(*args, **settings)


def _failed(error: OSError, *, err: bool) -> None:
    _discard(sys.stderr if err else sys.stdout)
    if not err:
        raise OutputFailed(error) from error


def _discard(stream: TextIO) -> None:
    """Lead a stream nowhere: what it still holds would fail once more as Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
