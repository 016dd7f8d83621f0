"""`wingman config`: the configuration file checked, and its form for editors."""

import json
from pathlib import Path

import click

from wingman.cli.console import clean, count
from wingman.cli.output import Command, Group, echo
from wingman.config import ConfigError, Loader, default_path, schema

__all__ = ["config_command"]


@click.group("config", cls=Group)
def config_command() -> None:
    """Check a configuration file, or print its form for editors."""


@config_command.command("check", cls=Command)
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check_command(file: Path | None) -> None:
    """Look for mistakes in FILE, or in the one that `wingman serve` would read.

    Each is told in a line, with its place; the exit code is 1 where there are any. The tools that
    the file names are imported, and what it takes from the environment must be there.
    """
    path = default_path() if file is None else file
    try:
        loaded = Loader(path).load()
    except FileNotFoundError:
        raise click.ClickException(f"There is no file {clean(str(path))}.") from None
    except ConfigError as error:
        echo(f"{error}", err=True)
        click.get_current_context().exit(1)
    found = loaded.configuration
    parts = (
        count(len(found.agents), "agent"),
        count(len(found.mcp), "MCP server"),
        count(len(loaded.tools), "tool"),
    )
    echo(f"{clean(str(path))} is well: {', '.join(parts)}.")


@config_command.command("schema", cls=Command)
def schema_command() -> None:
    """Print the JSON Schema of the file.

    Editors that know TOML go by it where the file's first line says `#:schema` and its path.
    """
    echo(json.dumps(schema(), indent=1, ensure_ascii=False))
