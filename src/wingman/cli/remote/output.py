"""Tables where a person looks, lines of JSON where a program reads."""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click
import msgspec

from wingman.cli.console import cells, clean, clip, escaped
from wingman.cli.output import Group, echo

__all__ = [
    "Listing",
    "as_json",
    "events_option",
    "for_people",
    "json_option",
    "lasted",
    "print_rows",
    "print_text",
    "when",
]

C = TypeVar("C", bound=Any)

_WIDEST: Final = 40  # columns of a cell; only ids, which are copied, are never cut
_GAP: Final = 2


class Listing(Group):
    """A group of commands, of which `list` is the one that needs no name."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; options alone are those of `list`."""
        if args:
            is_list = args[0].startswith("-") and args[0] not in context.help_option_names
        else:
            is_list = not context.resilient_parsing  # a shell that completes wants all names
        return super().parse_args(context, ["list", *args] if is_list else args)


def json_option(command: C) -> C:
    """Give a command `--json`, for what is printed in JSON wherever no person looks."""
    decorated: C = _option("Print lines of JSON, as into a pipe or a file.")(command)
    return decorated


def events_option(command: C) -> C:
    """Give a command `--json`, which prints a model's text where that is not given."""
    decorated: C = _option("Print lines of JSON in the place of the model's text.")(command)
    return decorated


def _option(help: str) -> Any:
    return click.option("--json", "json", is_flag=True, help=help)


def for_people(json: bool) -> bool:
    """Whether a person looks at standard output."""
    return not json and sys.stdout is not None and sys.stdout.isatty()


def as_json(value: Any) -> None:
    """Print a value as one line of JSON, which a terminal may show as it is."""
    echo(escaped(msgspec.json.encode(value).decode()).encode())


def print_text(text: str) -> None:
    """Print what a model says: all of it to a program; a terminal would obey what is in it."""
    echo(clean(text) if for_people(json=False) else text, color=True)


def print_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], json: bool) -> None:
    """Print rows, of which a table shows these columns, and a line of JSON everything."""
    if not for_people(json):
        for row in rows:
            as_json(row)
        return
    width, height = shutil.get_terminal_size()
    heads = [column.upper().replace("_", " ") for column in columns]
    texts = [[_shown(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(cells, column)) for column in zip(heads, *texts, strict=True)]
    if sum(widths) + _GAP * (len(widths) - 1) > width:
        _print_pairs(heads, texts, width)
    else:
        _print_table(heads, texts, width, height)


def _print_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], width: int, height: int
) -> None:
    from rich.console import Console  # noqa: PLC0415  (heavy, and only a person's matter)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    plain = click.get_current_context().color is False
    colours: Any = None if plain else "auto"
    # The size is given: of a dumb terminal rich believes that it has 80 columns.
    console = Console(color_system=colours, highlight=False, width=width, height=height)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_pairs(heads: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> None:
    """Print what is too wide for a table: each cell after its name, as many on a line as fit."""
    for row in rows:
        line, used = "", 0
        for head, cell in zip(heads, row, strict=True):
            shown = clip(cell, width - len(head) - 1 - _GAP)
            needs = len(head) + 1 + cells(shown)
            if line and used + _GAP + needs > width:
                echo(line)
                line, used = "", 0
            gap = " " * _GAP  # also before what is below a row's first line
            line += (gap if used or head != heads[0] else "") + click.style(head, bold=True)
            line += f" {shown}"
            used += needs + _GAP
        echo(line)


def _shown(value: Any) -> str:
    """A value in a cell; what is foreign cannot take over the terminal."""
    match value:
        case None:
            return "-"
        case datetime():
            return when(value)
        case list() | tuple():
            return _shown(", ".join(map(str, value)) or "none")
        case str():
            return clip(" ".join(clean(value).split()), _WIDEST)
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
