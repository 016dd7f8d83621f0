"""Schema: the form of the file as a JSON Schema, for editors."""

from typing import Any, Final

import msgspec

from wingman.config.form import Configuration

__all__ = ["schema"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The JSON Schema of `wingman.toml`."""
    _, components = msgspec.json.schema_components([Configuration], ref_template="#/$defs/{name}")
    parts = {name: _written(part) for name, part in components.items()}
    root = parts.pop(Configuration.__name__)
    return {"$schema": _DIALECT, **root, "title": "wingman.toml", "$defs": parts}


def _written(value: Any) -> Any:
    """The same without what TOML cannot say, which is null, and with descriptions in one line."""
    if isinstance(value, list):
        return [_written(each) for each in value if each != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {key: _written(each) for key, each in value.items() if not _says_nothing(key, each)}
    if isinstance(text := kept.get("description"), str):
        kept["description"] = " ".join(text.split())
    match kept:
        case {"anyOf": [only]}:
            del kept["anyOf"]
            kept = {**only, **kept}
    return kept


def _says_nothing(key: str, value: Any) -> bool:
    return (key == "default" and value in (None, {}, [])) or (key == "required" and not value)
