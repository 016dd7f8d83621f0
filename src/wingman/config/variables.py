"""Variables: `${NAME}` in a value stands for a variable of Wingman's own environment.

Only where keys and addresses stand: in an MCP server's `url`, `env` and `headers`, and in the
server's `token`. Secrets then need not be in the file.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from wingman.config.mistakes import Keys, Mistake

__all__ = ["expanded"]

_VARIABLE: Final = re.compile(r"\$(?:(?P<dollar>\$)(?=\{)|\{(?P<name>[^}]*)\}|(?P<open>\{))")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def expanded(
    table: dict[str, Any], environment: Mapping[str, str], mistakes: list[Mistake]
) -> dict[str, Any]:
    """The table of a file with the values of the variables that it names; what is wrong with them
    is added to `mistakes`. `$${` stands for `${` itself."""

    def value(text: str, keys: Keys) -> str:
        def of(found: re.Match[str]) -> str:
            if found["dollar"]:
                return "$"
            name = found["name"]
            if name is None or not _NAME.fullmatch(name):
                mistakes.append(
                    Mistake("After ${ stands the name of a variable, and } ends it.", keys)
                )
                return ""
            if not environment.get(name):
                mistakes.append(
                    Mistake(f"The variable {name} is not set in Wingman's environment.", keys)
                )
            return environment.get(name) or "-"

        return _VARIABLE.sub(of, text)

    return {
        section: _replaced(content, (section,), value) if section in ("mcp", "serve") else content
        for section, content in table.items()
    }


def _replaced(content: Any, keys: Keys, value: Callable[[str, Keys], str]) -> Any:
    if isinstance(content, dict):
        return {key: _replaced(part, (*keys, key), value) for key, part in content.items()}
    if isinstance(content, str) and _has_variables(keys):
        return value(content, keys)
    return content


def _has_variables(keys: Keys) -> bool:
    match keys:
        case ("serve", "token") | ("mcp", _, "url"):
            return True
        case ("mcp", _, "env" | "headers", _):
            return True
        case _:
            return False
