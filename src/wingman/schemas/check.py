"""SchemaCheck: holds JSON values to a JSON Schema, of any draft that names itself (else 2020-12).

Nothing is ever fetched: a `$ref` that leads outside a schema makes it a bad one.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NoReturn

__all__ = ["BadSchema", "SchemaCheck"]

_LONGEST_PROBLEM: Final = 300


class BadSchema(ValueError):
    """What values are to fit is no JSON Schema; the text says why. `path` is where in it, such as
    `.properties.a`."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class SchemaCheck:
    """Holds values to a schema. Raises `BadSchema` for what is none."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # Megabytes of machine code that most programs never need.
        import jsonschema_rs  # noqa: PLC0415

        try:
            self._validator = jsonschema_rs.validator_for(dict(schema), retriever=_refuse)
        except jsonschema_rs.ValidationError as error:
            message = error.message[:_LONGEST_PROBLEM]
            raise BadSchema(message, _path(error.instance_path)) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise BadSchema(str(error)[:_LONGEST_PROBLEM]) from error

    def problems(self, value: Any, most: int) -> Sequence[str]:
        """What of a value does not fit, and where, `most` of it; nothing, where it fits.

        Raises `ValueError` for a value that cannot be checked.
        """
        return [
            f"{error.message[:_LONGEST_PROBLEM]} - at `${_path(error.instance_path)}`"
            for error in islice(self._validator.iter_errors(value), most)
        ]


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is outside the schema, and nothing is fetched")


def _path(steps: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
