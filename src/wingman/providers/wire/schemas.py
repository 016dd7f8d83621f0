"""JSON Schemas of structured output, in the forms that APIs demand.

Pure: a schema in, a schema or a verdict out; the schema that is given is never changed.
"""

from typing import Any, Final

__all__ = ["closed", "is_strict"]

_STRICT_KEYWORDS: Final = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "definitions",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)
_STRICT_FORMATS: Final = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
_NAMED: Final = ("properties", "$defs", "definitions")


def closed(schema: Any) -> Any:
    """The schema with every object closed, as strict structured outputs demand."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if _is_object(schema):
        result.setdefault("additionalProperties", False)
    return result


def is_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the (closed) schema.

    Strict mode guarantees the form, but knows only some keywords and no optional property.
    Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    return isinstance(schema, dict) and schema.get("type") == "object" and _fits(schema)


def _fits(schema: Any) -> bool:
    if not isinstance(schema, dict) or not _STRICT_KEYWORDS.issuperset(schema):
        return False
    if "format" in schema and schema["format"] not in _STRICT_FORMATS:
        return False
    properties = schema.get("properties", {})
    if _is_object(schema):
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", ())) != set(properties):
            return False
    inner = [value for name in _NAMED for value in schema.get(name, {}).values()]
    inner += schema.get("anyOf", [])
    inner += [schema["items"]] if "items" in schema else []
    return all(map(_fits, inner))


def _is_object(schema: dict[str, Any]) -> bool:
    types = schema.get("type")
    return "object" in types if isinstance(types, list) else types == "object"
