"""What the constructor of a dataclass or of an attrs class takes."""

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any, get_type_hints

import attrs
import msgspec

__all__ = ["Taken", "constructor_of"]


@attrs.frozen
class Taken:
    """What a constructor takes. Where a `default` is made by a factory, it is UNSET."""

    name: str
    hint: Any
    default: Any = msgspec.NODEFAULT


def constructor_of(kind: type) -> tuple[list[Taken], bool]:
    """What a class's constructor takes, and whether msgspec, which sets the fields itself, comes
    to the same."""
    hints = get_type_hints(kind, include_extras=True)
    taken = list(_of_attrs(kind, hints) if attrs.has(kind) else _of_dataclass(kind, hints))
    if attrs.has(kind):
        plain = all(
            field.init and field.converter is None and field.alias == field.name
            for field in attrs.fields(kind)
        )
    else:
        written = {field.name for field in dataclasses.fields(kind)}
        plain = written == {each.name for each in taken}
    return taken, plain and all(_is_builtin(each.default) for each in taken)


def _of_attrs(kind: Any, hints: dict[str, Any]) -> Iterator[Taken]:
    converted = _init_hints(kind)
    for field in attrs.fields(kind):
        if not field.init:
            continue
        hint = hints.get(field.name, Any)
        if field.converter is not None:
            hint = converted.get(field.alias, hint)
        default = field.default
        if default is attrs.NOTHING:
            default = msgspec.NODEFAULT
        elif isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = msgspec.UNSET
        yield Taken(field.alias, hint, default)


def _of_dataclass(kind: Any, hints: dict[str, Any]) -> Iterator[Taken]:
    fields = kind.__dataclass_fields__
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.name not in hints:
            continue  # of an `__init__` of its own
        hint = hints[parameter.name]
        hint = hint.type if isinstance(hint, dataclasses.InitVar) else hint
        default = parameter.default
        if default is inspect.Parameter.empty:
            default = msgspec.NODEFAULT
        elif fields[parameter.name].default is dataclasses.MISSING:
            default = msgspec.UNSET
        yield Taken(parameter.name, hint, default)


def _is_builtin(default: Any) -> bool:
    """Whether msgspec can show a default."""
    if default is msgspec.NODEFAULT or default is msgspec.UNSET:
        return True
    try:
        msgspec.to_builtins(default, str_keys=True)
    except (TypeError, ValueError):
        return False
    return True


def _init_hints(kind: type) -> dict[str, Any]:
    """The types that an attrs class's `__init__` takes, where its converters say them."""
    try:
        return get_type_hints(kind.__init__, include_extras=True)  # type: ignore[misc]
    except NameError:
        return {}
