"""The runtime's limits as options of a command: one for each field of `Limits`, `--max-…`."""

from collections.abc import Callable
from types import NoneType
from typing import Any, Final, TypeVar, get_args

import attrs
import click

from wingman.run import Limits

__all__ = ["limit_options", "limits_from"]

F = TypeVar("F", bound=Callable[..., Any])

_PREFIX: Final = "max_"

_HELP: Final = {
    "steps": "Inferences in a run; an agent or a message may say otherwise.",
    "seconds": "Seconds that a run may take, without its time in the queue.",
    "tokens": "Tokens of a run, input and output; looked at after each step.",
    "tool_seconds": "Seconds that a tool call may take.",
    "tool_output": "Characters of a tool's output that the model is shown.",
    "parallel_tools": "Tool calls of one step at once.",
    "queued": "Messages that may wait in one session.",
    "runs": "Runs at once in the process.",
    "waiting": "Runs in the process that may wait for their turn.",
    "message_bytes": "Bytes of all messages that wait or run, with their images and agents.",
    "event_bytes": "Bytes of events that are held for readers, and of what these are being sent.",
}


def limit_options(command: F) -> F:
    """Add an option for each limit; they arrive as keyword arguments, for `limits_from`."""
    for field in reversed(attrs.fields(Limits)):
        command = click.option(
            f"--{_PREFIX}{field.name}".replace("_", "-"),
            type=_type(field),
            callback=_check(field),
            default=field.default,
            show_default="no limit" if field.default is None else True,
            help=_HELP[field.name],
        )(command)
    return command


def limits_from(options: dict[str, Any]) -> Limits:
    """The limits that these options say."""
    return Limits(**{name.removeprefix(_PREFIX): value for name, value in options.items()})


def _type(field: "attrs.Attribute[Any]") -> type:
    """The type of a limit's values, where it may also be None."""
    types: tuple[type, ...] = get_args(field.type) or (field.type,)
    return next(type for type in types if type is not NoneType)


def _check(
    field: "attrs.Attribute[Any]",
) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Hold an option to the limit's own rule, so that its error names the option."""

    def check(_context: click.Context, _option: click.Parameter, value: Any) -> Any:
        try:
            attrs.evolve(Limits(), **{field.name: value})
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from error
        return value

    return check
