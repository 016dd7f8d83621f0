"""What a function's signature says: its parameters' types, also those written as text."""

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from wingman.tools.base import ToolContext

__all__ = ["annotations_of", "is_context"]


def annotations_of(function: Callable[..., Any], tool: str) -> dict[str, Any]:
    """The types of a function's parameters, by name; of a callable object, those of `__call__`.

    Names are looked up in the function's module, and where the function is made a tool: it may
    stand within another one. Raises `TypeError` for a name that is in neither.
    """
    owner: Any = function
    while isinstance(owner, functools.partial):
        owner = owner.func
    if isinstance(owner, staticmethod):
        owner = owner.__func__
    if isinstance(owner, type):
        owner = owner.__init__  # type: ignore[misc]
    elif not inspect.isroutine(owner):
        owner = owner.__call__
    written = dict(getattr(owner, "__annotations__", {}))
    written.pop("return", None)
    names = getattr(inspect.unwrap(owner), "__globals__", {})
    return {name: _resolved(name, hint, names, tool) for name, hint in written.items()}


def _resolved(name: str, hint: Any, names: dict[str, Any], tool: str) -> Any:
    holder = types.SimpleNamespace(__annotations__={name: hint})
    try:
        try:
            return get_type_hints(holder, names, {}, include_extras=True)[name]
        except NameError:
            return get_type_hints(holder, names, _local_names(), include_extras=True)[name]
    except NameError as error:
        raise TypeError(
            f"tool {tool!r}: the annotation of the parameter {name!r} names what is not there: "
            f"{error}. Import it at run time, not under TYPE_CHECKING alone"
        ) from error
    except (SyntaxError, TypeError, AttributeError) as error:
        raise TypeError(
            f"tool {tool!r}: the annotation of the parameter {name!r} is no type: {error}"
        ) from error


def _local_names() -> Mapping[str, Any]:
    """The local names of whoever makes the tool: the nearest caller that is not Wingman."""
    frame: types.FrameType | None = sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("wingman."):
        frame = frame.f_back
    return {} if frame is None else dict(frame.f_locals)


def is_context(hint: Any) -> bool:
    """Whether a parameter of this type is given the `ToolContext`; it may be optional."""
    if typing.get_origin(hint) is typing.Annotated:
        return is_context(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(is_context(part) for part in typing.get_args(hint))
    return hint is ToolContext
