"""From a function's signature to its input's JSON Schema, and from an input to arguments.

Both come from one `msgspec.Struct`, so what the model is told is what is validated: strictly ("3"
is not 3, but 3.0 is), into the types of the annotations. A null for a parameter that has a default,
and takes no null, is that default. An argument that is no parameter is an error, or is left out.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any

import attrs
import msgspec

from wingman.errors import ToolError
from wingman.schemas import (
    Mismatch,
    Typed,
    description_of,
    json_value,
    pydantic_field,
    shown_type,
)
from wingman.tools.annotations import annotations_of, is_context
from wingman.tools.base import ToolContext
from wingman.tools.unknown import hints, left_out_note, unknown_in

__all__ = ["Parameters", "parameters_of"]

_NOTHING: Mapping[str, str] = MappingProxyType({})
_SPREAD = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


@attrs.frozen
class Parameters:
    """What a tool function takes.

    `schema` is a self-contained JSON Schema object. `context_name` is the parameter that is given
    the `ToolContext`, where there is one. `_defaults` make those that the function does not have
    by itself: its own are pydantic's descriptions of them.

    With `leave_out_unknown`, arguments that are no parameters are left out. `instead` has those
    that never are, and says what to send in their place.
    """

    schema: dict[str, Any]
    context_name: str | None
    _input: Typed
    _defaults: Mapping[str, Callable[[], Any]]
    _leave_out_unknown: bool
    _instead: Mapping[str, str]

    def bind(self, input: Mapping[str, Any], context: ToolContext) -> dict[str, Any]:
        """The keyword arguments for one call, as `read` has them, and the context, which is given a
        note of what was left out."""
        arguments = self.read(input)
        if unknown := self._unknown(input):
            note = left_out_note(unknown)
            context.note(note)
            room = max(context.max_output - len(note) - 1, 0)
            context = attrs.evolve(context, max_output=room)
        if self.context_name is not None:
            arguments[self.context_name] = context
        return arguments

    def read(self, input: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that an input means; what it leaves out is left to the function.

        Raises `ToolError`, with the path of the field, where the input does not fit.
        """
        told, known = "", input
        if unknown := self._unknown(input):
            told = hints(unknown, input, self.schema, self._instead)
            if self._leave_out_unknown:
                known = {name: input[name] for name in self.schema["properties"] if name in input}
        try:
            values = self._input.read(known)
        except Mismatch as error:
            raise ToolError(f"Invalid input: {error}\n{told}".rstrip()) from error
        if told:
            raise ToolError(f"Invalid input: {told}")
        arguments = {name: default() for name, default in self._defaults.items()}
        for name in values.__struct_fields__:
            if (value := getattr(values, name)) is not msgspec.UNSET:
                arguments[name] = value
        return arguments

    def _unknown(self, input: Mapping[str, Any]) -> list[str]:
        return unknown_in(input, self.schema["properties"])


def parameters_of(
    function: Callable[..., Any],
    name: str,
    descriptions: Mapping[str, str],
    *,
    leave_out_unknown: bool = False,
    instead: Mapping[str, str] = _NOTHING,
) -> Parameters:
    """Read a function's signature; `descriptions` are its parameters', for the model.

    Raises `TypeError`, with the tool's name and what to change, for what a model cannot give:
    `*args`, `**kwargs`, a positional-only parameter, or an annotation that is missing or no JSON.
    """
    hints = annotations_of(function, name)
    fields: list[tuple[str, Any, Any]] = []
    described: dict[str, dict[str, Any]] = {}
    defaults: dict[str, Callable[[], Any]] = {}
    context_name: str | None = None
    for parameter in _parameters(function, name):
        _check(parameter, hints, name)
        hint, default = hints[parameter.name], parameter.default
        if is_context(hint):
            context_name = parameter.name
            continue
        if (field := pydantic_field(default)) is not None:
            hint = Annotated[hint, default]
            default = inspect.Parameter.empty
            if field.make_default is not None:
                default = defaults[parameter.name] = field.make_default
        # Unset, not the default itself: a default need not be JSON, nor of its own annotation.
        unset = msgspec.NODEFAULT if default is inspect.Parameter.empty else msgspec.UNSET
        fields.append((parameter.name, _typed(parameter.name, hint, name).type, unset))
        described[parameter.name] = _said_of(hint, parameter, descriptions)
    struct = msgspec.defstruct("ToolInput", fields, kw_only=True, forbid_unknown_fields=True)
    typed = _typed_input(struct, name)
    schema = {key: value for key, value in typed.schema.items() if key != "title"}
    schema["properties"] = {
        each: {**schema["properties"][each], **said} for each, said in described.items()
    }
    if known := [each for each in instead if each in described]:
        raise TypeError(
            f"tool {name!r}: {known[0]!r} is a parameter: `instead` is for names that are none"
        )
    return Parameters(schema, context_name, typed, defaults, leave_out_unknown, dict(instead))


def _parameters(function: Callable[..., Any], tool: str) -> Iterable[inspect.Parameter]:
    try:
        return inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:  # some of what is written in C
        raise TypeError(
            f"tool {tool!r}: its parameters are not known ({error}): write a function around it"
        ) from error


def _typed(parameter: str, hint: Any, tool: str) -> Typed:
    try:
        return Typed(hint)
    except TypeError as error:
        raise TypeError(
            f"tool {tool!r}: the parameter {parameter!r} cannot be {shown_type(hint)}: {error}"
        ) from error


def _typed_input(struct: type[msgspec.Struct], tool: str) -> Typed:
    try:
        return Typed(struct)
    except TypeError as error:  # two parameters' types that do not go together
        raise TypeError(f"tool {tool!r}: {error}") from error


def _said_of(
    hint: Any, parameter: inspect.Parameter, descriptions: Mapping[str, str]
) -> dict[str, Any]:
    """What the model is told of a parameter beside its type's own schema."""
    said: dict[str, Any] = {}
    if words := description_of(hint) or descriptions.get(parameter.name):
        said["description"] = words
    if parameter.default is not inspect.Parameter.empty:
        with contextlib.suppress(TypeError, ValueError):  # a default need not be JSON
            said["default"] = json_value(parameter.default)
    return said


def _check(parameter: inspect.Parameter, hints: Mapping[str, Any], tool: str) -> None:
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
    if parameter.name not in hints:
        words = f"tool {tool!r}: annotate the parameter {parameter.name!r}"
        if parameter.name in ("self", "cls"):
            words += (
                "; or, if it is a method, make the tool of the method of an object, "
                f"`tool(the_object.{tool})`, instead of decorating it in its class"
            )
        raise TypeError(words)
