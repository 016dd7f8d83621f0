"""Given: what a program hands over is looked at where it does, and a mistake is a sentence there.

Without a type checker anything may be given. Found out later, deep inside, it would say nothing.

This module knows only how foreign values are shown.
"""

from collections.abc import Callable, Iterable
from types import NoneType, UnionType
from typing import Any, TypeVar

from wingman.foreign import shown

__all__ = ["listed", "of_kind", "one"]

T = TypeVar("T")


def one(name: str, given: T, kind: type | UnionType) -> T:
    """What was given, if it is of this kind; raises `TypeError` that says what to give."""
    # A bool is an int for Python alone.
    if not isinstance(given, kind) or (isinstance(given, bool) and not issubclass(bool, kind)):
        raise TypeError(f"{name} must be {_named(kind)}, not {shown(given)}")
    return given


def listed(name: str, given: Iterable[T], kind: type) -> tuple[T, ...]:
    """What was given, if it is a list of this kind; raises `TypeError` that says what to give."""
    if type(given) is tuple and not given:
        return given  # nothing, as most often
    if isinstance(given, (kind, str, bytes, type)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of {kind.__name__}, not {shown(given)}")
    return tuple(one(f"{name}[{index}]", value, kind) for index, value in enumerate(given))


def of_kind(kind: type | UnionType) -> Callable[[Any, Any, Any], None]:
    """A validator for attrs: `one`, with the name of the attribute."""

    def validate(_instance: Any, attribute: Any, value: Any) -> None:
        one(attribute.name, value, kind)

    return validate


def _named(kind: type | UnionType) -> str:
    kinds = (kind,) if isinstance(kind, type) else kind.__args__
    return " or ".join("None" if each is NoneType else each.__name__ for each in kinds)
