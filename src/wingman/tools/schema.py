"""From a function's signature to its input's JSON Schema, and from an input to arguments.

Both come from one `msgspec.Struct`, so what the model is told is what is validated: strictly ("3"
is not 3), without unknown fields, into the types of the annotations (a nested `Struct`, dataclass
or attrs class arrives as one).
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Union, get_type_hints

import attrs
import msgspec

from wingman.errors import ToolError
from wingman.tools.base import ToolContext

__all__ = ["Parameters", "parameters_of"]

_SPREAD = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


@attrs.frozen
class Parameters:
    """What a tool function takes.

    `schema` is a self-contained JSON Schema object. `context_name` is the parameter that is given
    the `ToolContext`, where there is one.
    """

    schema: dict[str, Any]
    context_name: str | None
    _input_type: type[msgspec.Struct]

    def bind(self, input: Mapping[str, Any], context: ToolContext) -> dict[str, Any]:
        """The keyword arguments for one call; what the input leaves out is left to the function.

        Raises `ToolError`, with the path of the field, where the input does not fit.
        """
        try:
            values = msgspec.convert(input, self._input_type)
        except msgspec.ValidationError as error:
            raise ToolError(f"Invalid input: {error}") from error
        arguments = {
            name: value
            for name in self._input_type.__struct_fields__
            if (value := getattr(values, name)) is not msgspec.UNSET
        }
        if self.context_name is not None:
            arguments[self.context_name] = context
        return arguments


def parameters_of(
    function: Callable[..., Any], name: str, descriptions: Mapping[str, str]
) -> Parameters:
    """Read a function's signature; `descriptions` are its parameters', for the model.

    Raises `TypeError`, with the tool's name and what to change, for what a model cannot give:
    `*args`, `**kwargs`, a positional-only parameter, or an annotation that is missing or no JSON.
    """
    hints = _type_hints(function, name)
    fields: list[tuple[str, Any, Any]] = []
    defaults: dict[str, Any] = {}
    context_name: str | None = None
    for parameter in inspect.signature(function).parameters.values():
        _check_can_be_named(parameter, name)
        if parameter.name not in hints:
            raise TypeError(f"tool {name!r}: annotate the parameter {parameter.name!r}")
        hint = hints[parameter.name]
        if hint is ToolContext:
            context_name = parameter.name
        elif parameter.default is inspect.Parameter.empty:
            fields.append((parameter.name, hint, msgspec.NODEFAULT))
        else:
            # Unset, not the default itself: a default need not be JSON, nor of its own annotation.
            optional = Union[hint, msgspec.UnsetType]  # type: ignore[valid-type]  # noqa: UP007  a value
            fields.append((parameter.name, optional, msgspec.UNSET))
            defaults[parameter.name] = parameter.default
    input_type = msgspec.defstruct("ToolInput", fields, kw_only=True, forbid_unknown_fields=True)
    return Parameters(_schema(input_type, name, defaults, descriptions), context_name, input_type)


def _type_hints(function: Callable[..., Any], tool: str) -> dict[str, Any]:
    """The annotations, those written as strings resolved; of a callable object, its method's."""
    owner: Any = function
    while isinstance(owner, functools.partial):
        owner = owner.func
    if not inspect.isroutine(owner):
        owner = owner.__call__
    try:
        return get_type_hints(owner, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"tool {tool!r}: an annotation names what its module does not: {error}"
        ) from error


def _check_can_be_named(parameter: inspect.Parameter, tool: str) -> None:
    if parameter.kind in _SPREAD:
        raise TypeError(
            f"tool {tool!r}: a model cannot fill *args or **kwargs; "
            f"name each parameter, or make {parameter.name!r} a list or a dict"
        )
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise TypeError(
            f"tool {tool!r}: the parameter {parameter.name!r} is positional-only, "
            "and a model gives its input by name"
        )


def _schema(
    input_type: type[msgspec.Struct],
    tool: str,
    defaults: Mapping[str, Any],
    descriptions: Mapping[str, str],
) -> dict[str, Any]:
    try:
        (reference,), components = msgspec.json.schema_components(
            [input_type], ref_template="#/$defs/{name}"
        )
    except TypeError as error:
        raise TypeError(f"tool {tool!r}: a parameter's type is no JSON: {error}") from error
    root: dict[str, Any] = components.pop(reference["$ref"].removeprefix("#/$defs/"))
    del root["title"]
    for name, field in root["properties"].items():
        if name in descriptions:
            field.setdefault("description", descriptions[name])
        if name in defaults and _is_json(defaults[name]):
            field["default"] = msgspec.to_builtins(defaults[name])
    if components:
        root["$defs"] = components
    return root


def _is_json(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError):
        return False
    return True
