"""`--permissions`: which rules hold for tool calls: `ask`, `allow`, or those in a file."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from wingman.cli.console import clean, count
from wingman.permissions import NO_RULES, Rules

__all__ = ["permissions_option", "told"]

C = TypeVar("C", bound=Callable[..., Any])

_MOST_BYTES: Final = 1024 * 1024
_MOST_TOLD: Final = 5  # rules


def permissions_option(help: str, **settings: Any) -> Callable[[C], C]:
    """An option whose value is `Rules`; None where it is not given and has no default."""
    return click.option(
        "--permissions",
        metavar="ask|allow|FILE",
        type=_RulesType(),
        help=help,
        **settings,
    )


class _RulesType(click.ParamType):  # type: ignore[type-arg] # earlier versions of click take none
    name = "rules"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Rules:
        """The rules that are named, or that are in the file of this name."""
        if isinstance(value, Rules):
            return value
        if value == "allow":
            return NO_RULES
        if value == "ask":
            return Rules.of(value)
        try:
            return _of_file(Path(value))
        except ValueError as error:
            self.fail(clean(f"{value}: {' '.join(str(error).split())}"), param, context)


def _of_file(path: Path) -> Rules:
    """The rules in a file. Raises `ValueError`, which says what is wrong with it, and where."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(
            f"{error.strerror or error}; give ask, allow, or a file of rules in JSON"
        ) from error
    if len(data) > _MOST_BYTES:
        raise ValueError("it has more than 1 MiB, which is the most for a file of rules")
    try:
        form = json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{error}; expected rules as JSON, such as {_EXAMPLE}") from error
    if form is None:
        raise ValueError(f"it has no rules; give some, such as {_EXAMPLE}")
    if isinstance(form, dict):
        _check(form)
    return Rules.of(form)


def _check(form: Mapping[str, Any]) -> None:
    """Look at each rule by itself, so that a mistake is told with the rule that has it."""
    for action, value in form.items():
        parts = value if isinstance(value, dict) else {None: value}
        for resource, effect in parts.items():
            place = repr(action) if resource is None else f"{action!r}: {resource!r}"
            try:
                Rules.of({action: effect if resource is None else {resource: effect}})
            except ValueError as error:
                why = f"{error.__cause__ or error}".partition(" - at")[0]
                raise ValueError(
                    f"at {place}: {why}; an effect is allow, ask or deny, and a rule such as "
                    f"{_EXAMPLE}"
                ) from error


_EXAMPLE: Final = '{"bash": {"*": "ask", "git status*": "allow"}}'


def told(rules: Rules) -> str:
    """What rules say, as one line for the log."""
    if not rules or {rule.effect for rule in rules.rules} == {"allow"}:
        return "all tools allowed"
    shown = [
        clean(f"{rule.effect} {rule.action}" + (f" {rule.resource!r}" * (rule.resource != "*")))
        for rule in rules.rules[:_MOST_TOLD]
    ]
    more = len(rules.rules) - len(shown)
    return ", ".join(shown) + (f", and {count(more, 'more rule')}" if more else "")
