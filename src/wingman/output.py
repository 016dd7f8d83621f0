"""OutputCheck: a JSON Schema, or a Python type, that a model's final response must fit.

Made once, when the agent is made. Nothing is ever fetched: a `$ref` that leads outside the schema
makes the schema a bad one.
"""

import typing
from collections.abc import Mapping
from typing import Any, Final, Protocol

import attrs
import msgspec

from wingman.schemas import BadSchema, Mismatch, SchemaCheck, Typed, shown_type

__all__ = ["Output", "OutputCheck", "OutputMismatch"]

_FENCE: Final = "```"
_MOST_PROBLEMS: Final = 8
_LONGEST_PROBLEM: Final = 300


class OutputMismatch(ValueError):
    """A response is not JSON, or does not fit; the text says what is wrong, and where."""


@attrs.frozen
class Output:
    """What a response is: `json` as the model said it, which is stored and sent; `value` in the
    type that the agent's program has asked for, or the same."""

    json: Any
    value: Any


class _Rule(Protocol):
    schema: dict[str, Any]

    def value(self, json: Any) -> Any:
        """The value that this JSON stands for. Raises `OutputMismatch`."""


class OutputCheck:
    """Parses responses and holds them to a schema, of any draft that names itself (else 2020-12),
    or reads them into a type.

    `schema` is the JSON Schema that the model is given. Raises `ValueError` for a bad schema, with
    the path of what is wrong in it, and `TypeError` for a type that is no JSON, with what to write
    instead.
    """

    def __init__(self, wanted: Any) -> None:
        self._rule: _Rule = _Schema(wanted) if isinstance(wanted, Mapping) else _Type(wanted)

    @property
    def schema(self) -> dict[str, Any]:
        return self._rule.schema

    def parse(self, text: str) -> Output:
        """The value that a response is. Raises `OutputMismatch`.

        Models like to put JSON into a Markdown fence: one around the whole response is taken off.
        """
        try:
            json = msgspec.json.decode(_unfenced(text.strip()))
        except (msgspec.DecodeError, RecursionError) as error:
            raise OutputMismatch(f"It is not JSON: {error}.") from error
        return Output(json, self._rule.value(json))


class _Schema:
    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)
        try:
            self._check = SchemaCheck(self.schema)
        except BadSchema as error:
            at = f"$.output_schema{error.path}"
            raise ValueError(f"Not a valid JSON Schema: {error} - at `{at}`") from error

    def value(self, json: Any) -> Any:
        try:
            problems = self._check.problems(json, _MOST_PROBLEMS)
        except ValueError as error:
            raise OutputMismatch(f"It cannot be checked: {error}.") from error
        if problems:
            raise OutputMismatch("\n".join(problems))
        return json


class _Type:
    def __init__(self, kind: Any) -> None:
        if not (isinstance(kind, type | typing.NewType) or typing.get_origin(kind) is not None):
            raise TypeError(
                f"output_schema is a JSON Schema (a dict) or a type, not {shown_type(kind)}"
            )
        try:
            self._typed = Typed(kind)
        except TypeError as error:
            raise TypeError(f"output_schema cannot be {shown_type(kind)}: {error}") from error
        self.schema = self._typed.schema

    def value(self, json: Any) -> Any:
        try:
            return self._typed.read(json)
        except Mismatch as error:
            problems = (
                f"{words[:_LONGEST_PROBLEM]} - at `{path}`" for words, path in error.problems
            )
            raise OutputMismatch("\n".join(problems)) from error


def _unfenced(text: str) -> str:
    if not (text.startswith(_FENCE) and text.endswith(_FENCE)) or "\n" not in text:
        return text
    return text[text.index("\n") : -len(_FENCE)]
