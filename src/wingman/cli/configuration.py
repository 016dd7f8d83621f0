"""`--config`: the configuration file as an option, and as the defaults of others.

The command line goes before the environment, that before the file, and that before what the
options have for defaults.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click
from click.core import ParameterSource
from msgspec import UNSET
from msgspec.structs import asdict

from wingman.cli.output import echo
from wingman.config import ConfigError, Configuration, Loaded, Loader, default_path

__all__ = ["ConfigFile", "Mistaken", "config_option", "said_elsewhere"]

C = TypeVar("C", bound=Callable[..., Any])

_ELSEWHERE: Final = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


@attrs.frozen
class ConfigFile:
    """The file that a command goes by: `loaded` is what it says, None where there is no file."""

    loader: Loader
    loaded: Loaded | None

    @property
    def path(self) -> Path:
        """Where it is, or would be."""
        return self.loader.path

    @property
    def told(self) -> str:
        """Which file it is, for the log."""
        return f"{self.path}" if self.loaded else f"none; it would be {self.path}"

    @property
    def content(self) -> Loaded:
        """What it says: nothing, where there is none."""
        return self.loaded or Loaded()


class Mistaken(click.ClickException):
    """The file has mistakes, each of which is told in a line."""

    exit_code = 2

    def __init__(self, error: ConfigError) -> None:
        super().__init__(f"{error}")

    def show(self, file: Any = None) -> None:
        """Print a line for each mistake, as compilers do."""
        echo(self.message, err=True)


def config_option(command: C) -> C:
    """Give a command `--config`: it gets a `ConfigFile` as `config`, and its other options have
    what [serve] and [limits] say for their defaults."""
    return click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        is_eager=True,
        callback=_load,
        help="The configuration file.  [default: wingman/wingman.toml in $XDG_CONFIG_HOME or "
        "~/.config, if it is there]",
    )(command)


def said_elsewhere() -> frozenset[str]:
    """The options that the command line or the environment says."""
    context = click.get_current_context()
    return frozenset(
        name for name in context.params if context.get_parameter_source(name) in _ELSEWHERE
    )


def _load(context: click.Context, _option: click.Parameter, given: Path | None) -> ConfigFile:
    loader = Loader(default_path() if given is None else given.absolute())
    if context.resilient_parsing:  # the shell completes
        return ConfigFile(loader, None)
    try:
        file = ConfigFile(loader, loader.load())
    except FileNotFoundError:
        if given is not None:
            raise click.BadParameter(f"there is no file {given}.") from None
        return ConfigFile(loader, None)
    except ConfigError as error:
        raise Mistaken(error) from error
    context.default_map = {**(context.default_map or {}), **_options(file.content.configuration)}
    return file


def _options(configuration: Configuration) -> dict[str, Any]:
    said = {**asdict(configuration.serve), **asdict(configuration.limits)}
    return {name: value for name, value in said.items() if value is not UNSET}
