"""What to write instead of a type that JSON does not have."""

import collections
import collections.abc
import typing
from typing import Any, Final

__all__ = ["NoJson", "no_json", "not_together", "shown_type"]

_INSTEAD: Final[dict[Any, str]] = {
    object: "Write Any.",
    complex: "Write a list of two floats.",
    range: "Write a dataclass of its bounds.",
    type: "Write a str that names it.",
    collections.abc.Callable: "Write a str that names what is to be called.",
    collections.abc.Iterable: "Write list.",
    collections.abc.Iterator: "Write list.",
    collections.abc.Generator: "Write list.",
    collections.abc.AsyncIterator: "Write list.",
    collections.abc.AsyncIterable: "Write list.",
    collections.deque: "Write list.",
    collections.OrderedDict: "Write dict.",
    collections.defaultdict: "Write dict.",
    collections.Counter: "Write dict[str, int].",
}
_ANYTHING_ELSE: Final = (
    "Write what JSON has (str, int, float, bool, list, dict), a type that is written as text "
    "(Path, UUID, datetime, Decimal, an Enum, a Literal), or a dataclass, TypedDict, NamedTuple, "
    "attrs class, msgspec.Struct or pydantic model of such."
)


class NoJson(TypeError):
    """A type is no JSON; the text says what to write instead."""


def no_json(kind: Any) -> NoJson:
    """The error for a type that has no JSON, with what to write instead of it."""
    return NoJson(f"{shown_type(kind)} is no JSON. {_instead_of(kind)}")


def not_together(kind: Any, why: str) -> NoJson:
    """The error for a type of which msgspec says why it cannot be read."""
    if "Encoding objects" in why:
        return NoJson(
            f"a default within {shown_type(kind)} is no JSON ({why}). Give the field a "
            "default_factory instead"
        )
    if "union" not in why:
        return NoJson(f"{shown_type(kind)} is no JSON ({why}). {_instead_of(kind)}")
    return NoJson(
        f"{shown_type(kind)} is no JSON that tells its kinds apart ({why}). Write one of them, or "
        "make them tagged `msgspec.Struct`s, or pydantic models"
    )


def _instead_of(kind: Any) -> str:
    origin = typing.get_origin(kind) or kind
    try:
        if origin in _INSTEAD:
            return _INSTEAD[origin]
    except TypeError:  # it cannot be hashed
        return _ANYTHING_ELSE
    if isinstance(origin, type):
        for plain in (str, bytes, int, float, list, dict):
            if issubclass(origin, plain):
                return f"Write {plain.__name__}, or a typing.NewType of it."
        if getattr(origin, "__annotations__", None):
            return f"Make {origin.__name__} a dataclass (put @dataclass above it)."
    return _ANYTHING_ELSE


def shown_type(kind: Any) -> str:
    """A type as a program writes it."""
    if isinstance(kind, type) and not typing.get_args(kind):
        place = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        return f"`{place}{kind.__qualname__}`"
    return f"`{kind!r}`"
