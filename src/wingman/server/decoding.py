"""Decoding: JSON into typed values, with errors that say what there might have been."""

import re
from collections.abc import Collection, Hashable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import inspect

from wingman.errors import InvalidRequest
from wingman.schemas import fitted, schema_of

__all__ = ["decode", "read_value"]

T = TypeVar("T")

_MOST_CHARS: Final = 300
_STEP: Final = re.compile(r"\.(?P<field>[^.\[\]]+)|\[[^\]]*\]")


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _schema(kind: Any) -> dict[str, Any]:
    return schema_of(kind)


def decode(data: bytes, kind: type[T], ignore: Collection[str] = ()) -> T:
    """The value of this type that is in this JSON; `ignore` names fields that are left out.

    Raises `InvalidRequest`, with the path of what does not fit. Where an integer is asked for, one
    that is written like `3.0` is one, as JSON Schema has it.
    """
    try:
        return _strictly(data, kind, ignore)
    except msgspec.ValidationError as error:
        if "got `float`" in str(error):
            with suppress(msgspec.ValidationError, RecursionError):
                fields = _decoder(dict[str, Any]).decode(data)
                whole = fitted(fields, _schema(cast("Hashable", kind)), drop_nulls=False)
                return _converted(whole, kind, ignore)
        raise InvalidRequest(_told(str(error), kind)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply") from error


def read_value(value: Any, kind: type[T]) -> T:
    """The value of this type in what was JSON. A null where there may be nothing is nothing.

    Raises `InvalidRequest`, with the path of what does not fit.
    """
    try:
        whole = fitted(value, _schema(cast("Hashable", kind)), drop_nulls=True)
        return msgspec.convert(whole, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_told(str(error), kind)) from error
    except RecursionError as error:
        raise InvalidRequest("The value is nested too deeply") from error


def _strictly(data: bytes, kind: type[T], ignore: Collection[str]) -> T:
    if ignore:
        return _converted(_decoder(dict[str, Any]).decode(data), kind, ignore)
    return cast("T", _decoder(cast("Hashable", kind)).decode(data))


def _converted(fields: dict[str, Any], kind: type[T], ignore: Collection[str]) -> T:
    return msgspec.convert({k: v for k, v in fields.items() if k not in ignore}, kind)


def _told(error: str, kind: Any) -> str:
    """What is told of an error: not all of a long value, and what there was to choose from."""
    what, at, path = error.rpartition(" - at `$")
    if not at:
        return f"{error} - at `$`"  # msgspec names every place but the outermost
    allowed = {repr(choice) for choice in _allowed(inspect.type_info(kind), path.removesuffix("`"))}
    choices = f" (there are: {', '.join(sorted(allowed))})" if allowed else ""
    shown = what if len(what) <= _MOST_CHARS else f"{what[:_MOST_CHARS]}…"
    return f"{shown}{choices}{at}{path}"


def _allowed(kind: inspect.Type, path: str) -> Iterator[Any]:
    """The values that there are at this path, as far as they can be counted."""
    match kind:
        case inspect.Metadata(type=inner):
            yield from _allowed(inner, path)
        case inspect.UnionType(types=types):
            for each in types:
                yield from _allowed(each, path)
        case inspect.LiteralType(values=values) if not path:
            yield from values
        case inspect.StructType(tag=tag, tag_field=field) if path == f".{field}":
            yield tag
        case _ if step := _STEP.match(path):
            for inner in _inner(kind, step["field"]):
                yield from _allowed(inner, path[step.end() :])


def _inner(kind: inspect.Type, field: str | None) -> Iterator[inspect.Type]:
    """The types one step inward: of a field, or of what a collection has."""
    match kind:
        case inspect.StructType(fields=fields):
            yield from (each.type for each in fields if each.encode_name == field)
        case inspect.DictType(value_type=value):
            yield value
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            yield item
