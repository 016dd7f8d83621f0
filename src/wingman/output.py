"""OutputCheck: a JSON Schema that a model's final response must fit.

Compiled once, when the agent is made. Nothing is ever fetched: a `$ref` that leads outside the
schema makes the schema a bad one.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, NoReturn

import msgspec

__all__ = ["OutputCheck", "OutputMismatch"]

_FENCE: Final = "```"
_MOST_PROBLEMS: Final = 8
_LONGEST_PROBLEM: Final = 300


class OutputMismatch(ValueError):
    """A response is not JSON, or does not fit; the text says what is wrong, and where."""


class OutputCheck:
    """Parses responses and holds them to a schema, of any draft that names itself (else 2020-12).

    Raises `ValueError` for a bad schema, with the path of what is wrong in it.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # Megabytes of machine code that most programs never need.
        import jsonschema_rs  # noqa: PLC0415

        try:
            self._validator = jsonschema_rs.validator_for(dict(schema), retriever=_refuse)
        except jsonschema_rs.ValidationError as error:
            at = _path("$.output_schema", error.instance_path)
            raise ValueError(f"Not a valid JSON Schema: {error.message} - at `{at}`") from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"Not a valid JSON Schema: {error} - at `$.output_schema`") from error

    def parse(self, text: str) -> Any:
        """The value that a response is. Raises `OutputMismatch`.

        Models like to put JSON into a Markdown fence: one around the whole response is taken off.
        """
        try:
            value = msgspec.json.decode(_unfenced(text.strip()))
        except (msgspec.DecodeError, RecursionError) as error:
            raise OutputMismatch(f"It is not JSON: {error}.") from error
        try:
            errors = list(islice(self._validator.iter_errors(value), _MOST_PROBLEMS))
        except ValueError as error:
            raise OutputMismatch(f"It cannot be checked: {error}.") from error
        if errors:
            problems = (
                f"{error.message[:_LONGEST_PROBLEM]} - at `{_path('$', error.instance_path)}`"
                for error in errors
            )
            raise OutputMismatch("\n".join(problems))
        return value


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is outside the schema, and nothing is fetched")


def _unfenced(text: str) -> str:
    if not (text.startswith(_FENCE) and text.endswith(_FENCE)) or "\n" not in text:
        return text
    return text[text.index("\n") : -len(_FENCE)]


def _path(root: str, steps: Iterable[str | int]) -> str:
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
