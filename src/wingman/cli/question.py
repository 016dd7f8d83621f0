"""A question of a tool, as a person is shown it in the terminal, and the answer field by field."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click
import msgspec

from wingman.cli.console import clean
from wingman.cli.output import echo
from wingman.cli.terminal import read_line
from wingman.events import PermissionRequested

__all__ = ["ask_for", "question"]

_MOST_FIELDS: Final = 50
_LONGEST: Final = 2_000  # characters of what a tool says
_BOOLEANS: Final = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}


def question(request: PermissionRequested) -> Iterator[str]:
    """The lines that say what a tool wants to know."""
    yield click.style(f"? {clean(request.tool)}", fg="yellow", bold=True) + " asks you:"
    for line in "\n".join(request.resources)[:_LONGEST].split("\n"):
        yield f"  {clean(line)}"


async def ask_for(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a person writes for each property of a schema. Enter leaves one out."""
    answer: dict[str, Any] = {}
    properties = schema.get("properties")
    fields = list(properties.items()) if isinstance(properties, Mapping) else []
    for name, field in fields[:_MOST_FIELDS]:
        rule = field if isinstance(field, Mapping) else {}
        echo(f"  {_label(name, rule)}: ", err=True, nl=False)
        if (line := await read_line()) != "":
            answer[name] = _value(line, rule)
    return answer


def _label(name: str, rule: Mapping[str, Any]) -> str:
    """The name of a property, and what is known of it."""
    choices = rule.get("enum")
    kind = " | ".join(map(str, choices)) if isinstance(choices, list) else rule.get("type", "")
    words = [rule.get("description"), kind]
    about = ", ".join(clean(str(word)) for word in words if word)
    label = clean(name) + (f" ({about})" if about else "")
    if "default" in rule:
        label += f" [{clean(str(rule['default']))}]"
    return label[:_LONGEST]


def _value(line: str, rule: Mapping[str, Any]) -> Any:
    """What was written, in the property's type. What is none of it goes as text, and the schema
    says what is wrong."""
    kind = rule.get("type", "string")
    if kind == "boolean":
        return _BOOLEANS.get(line.strip().lower(), line)
    if kind == "string":
        return line
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
