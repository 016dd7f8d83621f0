"""Tables where a person looks, lines of JSON where a program reads."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wingman.cli.console import clean

__all__ = ["as_json", "for_people", "json_option", "lasted", "print_rows", "when"]

C = TypeVar("C", bound=Any)


def json_option(command: C) -> C:
    """Give a command `--json`."""
    option = click.option(
        "--json",
        "json",
        is_flag=True,
        help="Lines of JSON, also in a terminal; elsewhere it is always so.",
    )
    decorated: C = option(command)
    return decorated


def for_people(json: bool) -> bool:
    """Whether a person looks at standard output."""
    return not json and sys.stdout.isatty()


def as_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    click.echo(msgspec.json.encode(value))


def print_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], json: bool) -> None:
    """Print rows, of which a table shows these columns, and a line of JSON everything."""
    if not for_people(json):
        for row in rows:
            as_json(row)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.upper().replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(row.get(column))) for column in columns))
    Console().print(table)


def _shown(value: Any) -> str:
    """A value in a cell; what is foreign cannot take over the terminal."""
    match value:
        case None:
            return "-"
        case datetime():
            return when(value)
        case str():
            return " ".join(clean(value).split())[:200]
        case _:
            return str(value)


def when(moment: datetime) -> str:
    """A time, here."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def lasted(since: datetime | None) -> str | None:
    """For how long it has been so, as people say it."""
    if since is None:
        return None
    seconds = max(0, int((datetime.now(UTC) - since).total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
