"""InputCheck: whether an input fits what a server's tool takes."""

from collections.abc import Mapping
from typing import Any, Final

from wingman.errors import ToolError
from wingman.schemas import SchemaCheck

__all__ = ["InputCheck"]

_MOST_PROBLEMS: Final = 5


class InputCheck:
    """Holds inputs to a schema. Raises `BadSchema` for what is none."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = SchemaCheck(schema)

    def check(self, tool: str, input: Mapping[str, Any]) -> None:
        """Raises `ToolError` with the path of what does not fit."""
        try:
            problems = self._schema.problems(dict(input), _MOST_PROBLEMS)
        except ValueError as error:
            raise ToolError(f"The input of {tool} cannot be checked: {error}.") from error
        if problems:
            raise ToolError(
                f"The call was not executed: the input does not fit. {'; '.join(problems)}"
            )
