"""Any value as JSON text."""

import json
from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from wingman.schemas.advice import shown_type
from wingman.schemas.pydantics import is_pydantic, written_by_pydantic

__all__ = ["json_text", "json_value"]


def json_text(value: object) -> str:
    """A value as compact JSON: models and classes of data by their fields, dates as ISO 8601.

    Sets are arrays, bytes are base64, a `Path` is its text, a duration is ISO 8601's, and a number
    that is none is null. Raises `TypeError` for what JSON does not have.
    """
    try:
        if is_pydantic(value):
            value = written_by_pydantic(value)
        return msgspec.json.encode(value, enc_hook=_known).decode()
    except UnicodeEncodeError:  # a file's name, perhaps, that is no UTF-8
        finite = json.loads(json.dumps(json_value(value)), parse_constant=lambda _: None)
        return json.dumps(finite, ensure_ascii=False, separators=(",", ":"))


def json_value(value: object) -> Any:
    """A value as what JSON has: dicts, lists, texts, numbers, true, false, null."""
    if is_pydantic(value):
        return written_by_pydantic(value)
    return msgspec.to_builtins(value, enc_hook=_known, str_keys=True)


def _known(value: object) -> Any:
    if is_pydantic(value):
        return written_by_pydantic(value)
    match value:
        case PurePath():
            return str(value)
        case dict() | list() | tuple():
            pass  # msgspec knows these: it stands where a key should
        case Mapping():
            return dict(value)
        case Collection():
            return list(value)
    raise TypeError(
        f"a value of the type {shown_type(type(value))} has no form in JSON: give text, or what "
        "JSON has, or a class of such fields"
    )
