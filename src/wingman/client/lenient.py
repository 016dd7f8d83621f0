"""Values of a later server: what this client does not know is passed over, or given as it stands.

Fields that a Struct does not have are passed over. A word that a field does not know, such as a new
status, and an object of an unknown kind, such as a new content block, are given as they are. What
is of another type altogether is refused: then it is no answer of Wingman's.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import inspect

__all__ = ["convert"]

T = TypeVar("T")

_KINDS: Final[Mapping[type[inspect.Type], Any]] = {
    inspect.StrType: str,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.BoolType: bool,
    inspect.DateTimeType: datetime,
    inspect.DictType: dict,
    inspect.LiteralType: str,
}


def convert(value: Any, type: type[T]) -> T:
    """A decoded JSON value as this type. Raises `msgspec.ValidationError`."""
    return cast("T", _build(value, inspect.type_info(type)))


def _build(value: Any, info: inspect.Type) -> Any:
    match info:
        case inspect.Metadata(type=inner):
            return _build(value, inner)
        case inspect.StructType():
            return _struct(value, info)
        case inspect.UnionType(types=types):
            return _union(value, types)
        case inspect.LiteralType() if isinstance(value, str):
            return value
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            if not isinstance(value, list):
                raise msgspec.ValidationError(f"expected an array, got {type(value).__name__}")
            items = [_build(one, item) for one in value]
            return tuple(items) if isinstance(info, inspect.VarTupleType) else items
        case inspect.DictType(value_type=of) if isinstance(value, dict):
            return {key: _build(one, of) for key, one in value.items()}
        case _:
            return _plain(value, info)


def _struct(value: Any, info: inspect.StructType) -> Any:
    if not isinstance(value, dict):
        raise msgspec.ValidationError(
            f"expected an object for {info.cls.__name__}, got {type(value).__name__}"
        )
    given: dict[str, Any] = {}
    for field in info.fields:
        if field.encode_name in value:
            given[field.name] = _build(value[field.encode_name], field.type)
        elif field.required:
            raise msgspec.ValidationError(f"{info.cls.__name__} has no field {field.encode_name!r}")
    return info.cls(**given)


def _union(value: Any, types: tuple[inspect.Type, ...]) -> Any:
    """The member that fits; a tagged object of an unknown kind as it is."""
    structs = [one for one in types if isinstance(one, inspect.StructType)]
    if isinstance(value, dict) and structs:
        if len(structs) == 1 and structs[0].tag is None:
            return _struct(value, structs[0])
        tagged = [one for one in structs if one.tag and value.get(one.tag_field) == one.tag]
        return _struct(value, tagged[0]) if tagged else value
    if value is None and any(isinstance(one, inspect.NoneType) for one in types):
        return None
    for member in types:
        if isinstance(member, inspect.StructType | inspect.NoneType):
            continue
        try:
            return _build(value, member)
        except msgspec.ValidationError:
            pass
    raise msgspec.ValidationError(f"{type(value).__name__} is none of the types that are expected")


def _plain(value: Any, info: inspect.Type) -> Any:
    """A value without parts; bounds are the server's to keep."""
    kind = _KINDS.get(type(info))
    return value if kind is None else msgspec.convert(value, kind)
