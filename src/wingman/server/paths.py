"""Paths: which route a request goes to, where it goes to one.

Werkzeug's map knows more than that: other methods, slashes too many, parameters with slashes. It is
asked for what is not found here, and agrees about what is.
"""

from typing import Any, TypeAlias, cast

from quart.routing import QuartRule
from werkzeug.routing import Map

__all__ = ["Paths"]

Found: TypeAlias = tuple[QuartRule, dict[str, Any]]


class Paths:
    """The rules of a map whose parameters are whole segments, by method and number of segments.

    A word comes before a parameter in the same place, as in Werkzeug's.
    """

    def __init__(self, rules: Map) -> None:
        self._plain: dict[tuple[str, str], QuartRule] = {}
        shaped: dict[tuple[str, int], list[tuple[list[str], QuartRule]]] = {}
        for rule in rules.iter_rules():
            if "<path:" in rule.rule:
                continue
            segments = rule.rule.split("/")
            for method in (rule.methods or set()) - {"OPTIONS"}:
                if rule.arguments:
                    shape = shaped.setdefault((method, len(segments)), [])
                    shape.append((segments, cast("QuartRule", rule)))
                else:
                    self._plain[method, rule.rule] = cast("QuartRule", rule)
        for shape in shaped.values():
            shape.sort(key=lambda one: [segment.startswith("<") for segment in one[0]])
        self._shaped = shaped

    def find(self, method: str, path: str) -> Found | None:
        """The rule and its parameters. A path ends without a slash here."""
        rule = self._plain.get((method, path))
        if rule is not None:
            return rule, {}
        given = path.split("/")
        for segments, rule in self._shaped.get((method, len(given)), ()):
            arguments = _match(segments, given)
            if arguments is not None:
                return rule, arguments
        return None


def _match(segments: list[str], given: list[str]) -> dict[str, Any] | None:
    arguments = {}
    for segment, text in zip(segments, given, strict=True):
        if segment.startswith("<"):
            if not text:
                return None
            arguments[segment[1:-1]] = text
        elif segment != text:
            return None
    return arguments
