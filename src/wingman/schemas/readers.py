"""What reads the types that msgspec does not know, or would not read by all their rules.

A reader stands in a type as a class of its own, a `StandIn`, which msgspec hands back to us.
"""

import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final

import attrs
import msgspec

from wingman.schemas.advice import NoJson, no_json, shown_type
from wingman.schemas.constructors import constructor_of
from wingman.schemas.pydantics import PydanticReader, has_conditions, has_pydantic

__all__ = ["Construction", "Mismatch", "OfEnum", "OfPydantic", "StandIn", "with_stand_ins"]

_ROOT: Final = "$"
_MOST_PROBLEMS: Final = 8


class Mismatch(ValueError):
    """A value does not fit a type. `problems` says what is wrong and where, as `$.days[0]`."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)[:_MOST_PROBLEMS]
        super().__init__(
            "\n".join(
                words if path == _ROOT else f"{words} - at `{path}`"
                for words, path in self.problems
            )
        )


class StandIn(type):
    """A class that stands for a type in what msgspec is given: all values count as its own."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


class OfPydantic:
    """Reads what is pydantic's, by pydantic."""

    def __init__(self, hint: Any) -> None:
        self._reader = PydanticReader(hint)
        self.schema = self._reader.schema

    def read(self, value: Any) -> Any:
        """Raises `Mismatch`."""
        try:
            return self._reader.read(msgspec.json.encode(value))
        except Exception as error:
            problems = self._reader.problems(error)
            if problems is None:
                raise
            raise Mismatch((words, _path(steps)) for words, steps in problems) from error


class OfEnum:
    """Reads an enumeration of any values that JSON has; msgspec takes texts or integers alone."""

    def __init__(self, kind: type[enum.Enum]) -> None:
        values = [member.value for member in kind]
        if not all(type(value) in (str, int, float, bool, type(None)) for value in values):
            raise NoJson(f"{no_json(kind)} Or give its members texts or numbers as values.")
        self._members = {(type(member.value), member.value): member for member in kind}
        self.schema = {"title": kind.__name__, "enum": values}

    def read(self, value: Any) -> Any:
        """Raises `Mismatch`."""
        kinds = (int, float) if type(value) in (int, float) else (type(value),)
        for kind in kinds if isinstance(value, str | int | float | None) else ():
            if (kind, value) in self._members:
                return self._members[kind, value]
        raise Mismatch([(f"Invalid enum value {value!r}", _ROOT)])


class Construction:
    """Reads a class by what its constructor takes: with aliases, converters and validators.

    `fields` is the Struct of what that is, `defaults` what may be left out of it.
    """

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.fields: type[msgspec.Struct] = msgspec.Struct  # until its own are known
        self.defaults: dict[str, Any] = {}

    def construct(self, fields: msgspec.Struct) -> Any:
        """An instance. What a constructor raises goes on as it is."""
        return self.kind(
            **{
                name: value
                for name in fields.__struct_fields__
                if (value := getattr(fields, name)) is not msgspec.UNSET
            }
        )


def with_stand_ins(hint: Any) -> Any:
    """A type, with stand-ins for those in it that msgspec would not read by all their rules.

    Raises `TypeError` for what is no JSON.
    """
    return _Standing({}).of(hint)


def _stand_in(name: str, reader: OfPydantic | OfEnum | Construction) -> type:
    return StandIn(name, (), {"reader": reader})


@attrs.define
class _Standing:
    known: dict[type, type]

    def of(self, hint: Any) -> Any:
        if has_pydantic(hint):
            return _stand_in(getattr(hint, "__name__", "Model"), OfPydantic(hint))
        origin, parts = typing.get_origin(hint), typing.get_args(hint)
        if origin is None:
            return self._of_class(hint) if isinstance(hint, type) else hint
        if origin is typing.Literal or not parts:
            return hint
        if origin is typing.Annotated:
            inner = self.of(parts[0])
            return hint if inner == parts[0] else typing.Annotated[(inner, *hint.__metadata__)]
        others = tuple(part if _is_no_type(part) else self.of(part) for part in parts)
        if _is_mapping(origin) and isinstance(others[0], StandIn | type(PurePath)):
            _check_key(parts[0], others[0])
        if others == parts:
            return hint
        if origin in (typing.Union, types.UnionType):
            return typing.Union[others]  # noqa: UP007 these are values
        return origin[others]

    def _of_class(self, kind: type) -> type:
        if kind in self.known:
            return self.known[kind]
        if issubclass(kind, enum.Enum) and not issubclass(kind, enum.Flag):
            values = {type(member.value) for member in kind}
            plain = len(values) == 1 and values <= {str, int}
            return kind if plain else _stand_in(kind.__name__, OfEnum(kind))
        if issubclass(kind, msgspec.Struct) and has_conditions(kind):
            raise NoJson(
                f"{shown_type(kind)} has conditions of pydantic's, which a msgspec.Struct does not "
                "obey. Write msgspec.Meta in it, or make it a pydantic model"
            )
        if not attrs.has(kind) and not dataclasses.is_dataclass(kind):
            return kind
        construction = Construction(kind)
        stand_in = self.known[kind] = _stand_in(kind.__name__, construction)
        taken, plain = constructor_of(kind)
        fields = []
        for each in taken:
            inner = self.of(each.hint)
            plain = plain and inner == each.hint
            required = each.default is msgspec.NODEFAULT
            fields.append((each.name, inner, each.default if required else msgspec.UNSET))
        if plain:  # nothing has come to refer to the stand-in: what does is not plain
            self.known[kind] = kind
            return kind
        construction.fields = msgspec.defstruct(kind.__name__, fields, kw_only=True)
        construction.defaults = {
            each.name: each.default
            for each in taken
            if each.default is not msgspec.NODEFAULT and each.default is not msgspec.UNSET
        }
        return stand_in


def _is_no_type(part: Any) -> bool:
    return part is Ellipsis or isinstance(part, list)


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _check_key(written: Any, key: type) -> None:
    if issubclass(key, PurePath) or isinstance(key, StandIn):
        raise NoJson(f"{shown_type(written)} is no key of a JSON object. Write str.")


def _path(steps: Iterable[str | int]) -> str:
    return _ROOT + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
