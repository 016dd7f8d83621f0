"""Options from the environment: `--max-steps` is `WINGMAN_MAX_STEPS`, too."""

import math
import re
from ipaddress import ip_address
from typing import Any, Final

import click
from click.core import ParameterSource

from wingman.cli.output import Command

__all__ = ["FromEnvironment", "HostNames", "Labels", "Seconds"]

_PREFIX: Final = "WINGMAN_"

_HOST: Final = re.compile(r"[\w-]+(\.[\w-]+)*")


class FromEnvironment(Command):
    """A command whose every option is an environment variable as well.

    The command line goes before the environment, and a variable that is empty counts as not set.
    What is wrong with a variable's value names the variable, and not the option.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for option in self.params:
            if isinstance(option, click.Option):
                option.envvar = _variable(option)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse, and say of a bad value where it came from."""
        try:
            return super().parse_args(context, args)
        except click.BadParameter as error:
            option = error.param
            if option is not None and _from_file(context, option):
                error.param_hint = f"'{option.name}' (in the configuration file)"
            if option is not None and _from_environment(context, option):
                error.param_hint = f"'{option.envvar}' (in the environment)"
            raise


class Words(click.ParamType):  # type: ignore[type-arg] # earlier versions of click take none
    """Words; in the environment they are separated by commas or blanks."""

    name = "name"

    def split_envvar_value(self, rv: str) -> list[str]:
        """The words in a variable's value."""
        return [word for word in re.split(r"[\s,]+", rv) if word]


class HostNames(Words):
    """Names of hosts."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """A name or an address alone: no client would be known by anything else."""
        text = str(value)
        if not _HOST.fullmatch(text) and not _is_address(text):
            self.fail(
                f"{text!r} is no name of a host: give the name alone, such as wingman.example, "
                "without a scheme, a port or a path.",
                param,
                context,
            )
        return text


class Labels(Words):
    """Labels of a node."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """A label as sessions may have it."""
        from wingman.api import LABEL  # noqa: PLC0415  (heavy for commands that have no labels)

        text = str(value)
        if not LABEL.fullmatch(text):
            self.fail(
                f"{text!r} is no label: it has 1 to 64 letters, digits, dots, dashes and "
                "underscores.",
                param,
                context,
            )
        return text


class Seconds(click.FloatRange):
    """So many seconds, which "nan" is not, though it is in every range."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        """A number that is one, and within the range."""
        seconds = float(super().convert(value, param, context))
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, context)
        return seconds


def _variable(option: click.Option) -> str:
    long = next(name for name in option.opts if name.startswith("--"))
    return _PREFIX + long.removeprefix("--").replace("-", "_").upper()


def _from_environment(context: click.Context, option: click.Parameter) -> bool:
    source = context.get_parameter_source(option.name or "")
    return source is ParameterSource.ENVIRONMENT


def _from_file(context: click.Context, option: click.Parameter) -> bool:
    source = context.get_parameter_source(option.name or "")
    return source is ParameterSource.DEFAULT_MAP


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
