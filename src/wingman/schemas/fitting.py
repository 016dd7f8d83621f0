"""What JSON Schema lets pass and a strict reader does not, put so that the reader takes it.

`3.0` is an integer to JSON Schema (6.3.1 of its core: a number without a fractional part). And
models give null for what they would leave out. Text is never taken for a number.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["fitted"]

Schema = Mapping[str, Any]

_MOST_STEPS: Final = 64  # from reference to reference, without a step into the value
_PREFIX: Final = "#/$defs/"


def fitted(value: Any, schema: Schema, *, drop_nulls: bool) -> Any:
    """The value with a whole number as an `int` wherever the schema takes integers alone.

    With `drop_nulls`, a null is left out where a property need not be there and cannot be null.
    `schema` is self-contained, and of our own making: of a union of objects the first that has
    what it requires is taken. What the schema does not describe stays as it is.
    """
    return _Fitting(schema.get("$defs", {}), drop_nulls).fit(value, schema)


class _Fitting:
    def __init__(self, definitions: Schema, drop_nulls: bool) -> None:
        self._definitions = definitions
        self._drop_nulls = drop_nulls

    def fit(self, value: Any, schema: Schema) -> Any:
        match value:
            case float() if value.is_integer():
                return self._number(value, list(self._branches(schema)))
            case list():
                return self._array(value, list(self._branches(schema)))
            case dict():
                return self._object(value, list(self._branches(schema)))
        return value

    def _branches(self, schema: Schema, steps: int = 0) -> Iterator[Schema]:
        """What a schema comes to: references followed, unions laid out."""
        if steps > _MOST_STEPS:
            return
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target = self._definitions.get(reference.removeprefix(_PREFIX), {})
            yield from self._branches(target, steps + 1)
            return
        for union in ("anyOf", "oneOf"):
            if union in schema:
                for branch in schema[union]:
                    yield from self._branches(branch, steps + 1)
                return
        yield schema

    def _number(self, value: float, branches: list[Schema]) -> Any:
        if any("number" in _types(branch) or _is_open(branch) for branch in branches):
            return value
        for branch in branches:
            members = _members(branch)
            if "integer" in _types(branch) or value in [
                member for member in members if type(member) is int
            ]:
                return int(value)
        return value

    def _array(self, value: list[Any], branches: list[Schema]) -> Any:
        schema = next((branch for branch in branches if "array" in _types(branch)), None)
        if schema is None:
            return value
        first = schema.get("prefixItems", [])
        rest = schema.get("items")
        rest = rest if isinstance(rest, dict) else {}
        return [
            self.fit(item, first[index] if index < len(first) else rest)
            for index, item in enumerate(value)
        ]

    def _object(self, value: dict[str, Any], branches: list[Schema]) -> Any:
        objects = [branch for branch in branches if "object" in _types(branch)]
        if len(objects) > 1:
            objects = [branch for branch in objects if self._suits(value, branch)]
        if not objects:
            return value
        schema = objects[0]
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        others = schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        return {
            name: self.fit(item, properties.get(name, others))
            for name, item in value.items()
            if not (
                item is None
                and self._drop_nulls
                and name in properties
                and name not in required
                and not self._takes_null(properties[name])
            )
        }

    def _suits(self, value: dict[str, Any], schema: Schema) -> bool:
        """Whether an object has what a schema requires, the tag that tells it from others too."""
        if any(name not in value for name in schema.get("required", ())):
            return False
        for name, described in schema.get("properties", {}).items():
            members = _members(described)
            if members and name in value and value[name] not in members:
                return False
        return True

    def _takes_null(self, schema: Schema) -> bool:
        return any(
            _is_open(branch) or "null" in _types(branch) or None in _members(branch)
            for branch in self._branches(schema)
        )


def _types(schema: Schema) -> tuple[str, ...]:
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _members(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _is_open(schema: Schema) -> bool:
    """Whether a schema says nothing of what a value is."""
    return not {"type", "enum", "const"} & schema.keys()
