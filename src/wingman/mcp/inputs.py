"""What a server's tool takes: its schema, and whether an input fits it.

Nothing is ever fetched: a `$ref` that leads outside a schema makes it a bad one.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, NoReturn

from wingman.errors import ToolError

__all__ = ["BadSchema", "InputCheck"]

_MOST_PROBLEMS: Final = 5
_LONGEST_PROBLEM: Final = 300


class BadSchema(ValueError):
    """What a tool's input is to fit is no schema; the text says why."""


class InputCheck:
    """Holds inputs to a schema. Raises `BadSchema` for what is none."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # Megabytes of machine code that most programs never need.
        import jsonschema_rs  # noqa: PLC0415

        try:
            self._validator = jsonschema_rs.validator_for(dict(schema), retriever=_refuse)
        except (TypeError, ValueError, RecursionError) as error:
            raise BadSchema(str(getattr(error, "message", error))[:_LONGEST_PROBLEM]) from error

    def check(self, tool: str, input: Mapping[str, Any]) -> None:
        """Raises `ToolError` with the path of what does not fit."""
        try:
            errors = list(islice(self._validator.iter_errors(dict(input)), _MOST_PROBLEMS))
        except ValueError as error:
            raise ToolError(f"The input of {tool} cannot be checked: {error}.") from error
        if errors:
            problems = "; ".join(
                f"{error.message[:_LONGEST_PROBLEM]} - at `{_path(error.instance_path)}`"
                for error in errors
            )
            raise ToolError(f"The call was not executed: the input does not fit. {problems}")


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is outside the schema, and nothing is fetched")


def _path(steps: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
