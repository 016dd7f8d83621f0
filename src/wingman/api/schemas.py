"""JSON Schemas as generators read them: what msgspec writes is true, and some take it for more."""

from typing import Any

import msgspec

__all__ = ["typed", "without_defaults"]


def typed(schema: Any) -> Any:
    """The same with the type of each choice of texts, which msgspec leaves out."""
    if isinstance(schema, list | tuple):
        return [typed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    choices = schema.get("enum")
    texts = isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)
    found = {"type": "string"} if texts and "type" not in schema else {}
    return found | {word: typed(value) for word, value in schema.items()}


def without_defaults(component: dict[str, Any]) -> dict[str, Any]:
    """The same with each field's default in its description.

    openapi-typescript takes a field that has a default for one that is always there: a body would
    need all of its fields, and an answer would seem to have those that are left out.
    """
    if "properties" not in component:
        return component
    fields = {name: _described(field) for name, field in component["properties"].items()}
    return {**component, "properties": fields}


def _described(field: dict[str, Any]) -> dict[str, Any]:
    if "default" not in field:
        return field
    rest = {word: value for word, value in field.items() if word != "default"}
    if field["default"] is None:
        return rest
    return {
        "description": f"By default `{msgspec.json.encode(field['default']).decode()}`.",
        **rest,
    }
