"""Standard input: what is piped into `wingman run`, or given in a file."""

import signal
import sys
import threading
from typing import Final

import click

from wingman.cli.output import echo

__all__ = ["piped_text"]

_MOST: Final = 16 * 1024 * 1024  # bytes, as a request's body may have
_SILENT_SECONDS: Final = 2.0


def piped_text() -> str | None:
    """All of standard input, as text; None where it is a terminal, or closed.

    Raises a `click.ClickException` for what is no text in UTF-8, or too much of it. A program that
    has left its standard input open is told what is waited for.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return None
    hint = "Reading standard input to its end; where there is nothing to read, give </dev/null."
    timer = threading.Timer(_SILENT_SECONDS, echo, (hint,), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        data = sys.stdin.buffer.read(_MOST + 1)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    except OSError as error:
        text = f"Cannot read standard input: {error.strerror or error}."
        raise click.ClickException(text) from error
    finally:
        timer.cancel()
    return _decoded(data)


def _decoded(data: bytes) -> str:
    if len(data) > _MOST:
        most = _MOST // (1024 * 1024)
        raise click.ClickException(
            f"Standard input has more than {most} MiB, which is the most that a message may have: "
            "send a part of it, or let the model read the file."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.ClickException(_no_text(f"byte {error.start} is not UTF-8")) from error
    if "\0" in text:
        raise click.ClickException(_no_text(f"character {text.index(chr(0))} is NUL"))
    return text


def _no_text(why: str) -> str:
    return (
        f"Standard input is no text ({why}): give text in UTF-8, or let the model read the file "
        "with its tools."
    )
