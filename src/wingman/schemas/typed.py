"""Typed: a Python type as JSON: its JSON Schema, and JSON values read into it."""

import contextlib
import re
import typing
from pathlib import PurePath
from typing import Any, Final

import msgspec

from wingman.schemas.advice import NoJson, no_json, not_together, shown_type
from wingman.schemas.fitting import fitted
from wingman.schemas.pydantics import is_pydantic
from wingman.schemas.readers import Construction, Mismatch, OfEnum, OfPydantic, with_stand_ins
from wingman.schemas.writing import json_value

__all__ = ["Typed", "description_of", "schema_of"]

_REFERENCE: Final = "#/$defs/{name}"
_PREFIX: Final = "#/$defs/"
_PATH: Final = re.compile(r"(?P<words>.*?) - at `(?P<path>\$[^`]*)`", re.DOTALL)


class Typed:
    """A type as JSON. `schema` is its JSON Schema, self-contained. `type` is for msgspec: the type,
    with stand-ins for what we read ourselves.

    Reading is strict, as the schema is: text is no number, and what a dataclass, an attrs class or
    a `Struct` does not name is let pass. pydantic's types are read by pydantic, by their own rules.
    Raises `TypeError` for a type that is no JSON, with what to write instead of it.
    """

    def __init__(self, hint: Any) -> None:
        self._readers: dict[type, OfPydantic] = {}  # of types within others
        self._definitions: dict[str, Any] = {}
        self._constructed: dict[str, type] = {}
        try:
            self.type = with_stand_ins(hint)
            root = self._schema(self.type)
        except NameError as error:
            raise NoJson(
                f"{shown_type(hint)} names what its module does not: {error}. Define the type at "
                "the module's level, and import what it names at run time"
            ) from error
        except TypeError as error:
            if isinstance(error, NoJson):
                raise
            raise not_together(hint, str(error)) from error
        self.schema = _with_definitions(root, self._definitions)

    def read(self, value: Any) -> Any:
        """The value that this JSON stands for. Raises `Mismatch`.

        A whole number such as `3.0` is an integer, and a null for what need not be there, and
        cannot be null, is left out.
        """
        try:
            try:
                return self._convert(value, self.type)
            except msgspec.ValidationError:
                fitting = fitted(value, self.schema, drop_nulls=True)
                return self._convert(fitting, self.type)
        except msgspec.ValidationError as error:
            raise Mismatch(_problems(error)) from error
        except UnicodeEncodeError as error:
            raise Mismatch([("A text has half a character in it (a surrogate)", "$")]) from error

    def _convert(self, value: Any, kind: Any) -> Any:
        return msgspec.convert(value, kind, dec_hook=self._decode, str_keys=True)

    def _decode(self, kind: Any, value: Any) -> Any:
        if isinstance(kind, type) and issubclass(kind, PurePath):
            if not isinstance(value, str):
                raise ValueError(f"Expected `str`, got {_kind_of(value)}")
            return kind(value)
        reader = self._readers.get(kind) or kind.reader
        if isinstance(reader, Construction):
            try:
                fields = self._convert(value, reader.fields)
            except msgspec.ValidationError as error:
                raise Mismatch(_problems(error)) from error
            return reader.construct(fields)
        return reader.read(value)

    def _schema(self, kind: Any) -> dict[str, Any]:
        (root,), definitions = msgspec.json.schema_components(
            [kind], schema_hook=self._schema_of_other, ref_template=_REFERENCE
        )
        self._define(definitions)
        return root

    def _schema_of_other(self, kind: Any) -> dict[str, Any]:
        """The schema of a type that msgspec does not know."""
        if isinstance(kind, type) and issubclass(kind, PurePath):
            return {"type": "string", "format": "path"}
        reader = getattr(kind, "reader", None)
        if isinstance(reader, Construction):
            return self._schema_of_constructed(reader)
        if not isinstance(reader, OfPydantic | OfEnum):
            if not is_pydantic(kind):
                raise no_json(kind)
            reader = self._readers[kind] = OfPydantic(kind)
        schema = dict(reader.schema)
        self._define(schema.pop("$defs", {}))
        return schema

    def _schema_of_constructed(self, reader: Construction) -> dict[str, Any]:
        name = reader.fields.__name__
        if self._constructed.setdefault(name, reader.kind) is not reader.kind:
            raise _named_alike(name)
        if name not in self._definitions:
            self._definitions[name] = None  # it may refer to itself
            (_,), definitions = msgspec.json.schema_components(
                [reader.fields], schema_hook=self._schema_of_other, ref_template=_REFERENCE
            )
            own = self._definitions[name] = definitions.pop(name)
            for each, default in reader.defaults.items():
                with contextlib.suppress(TypeError, ValueError):  # a default need not be JSON
                    own["properties"][each]["default"] = json_value(default)
            self._define(definitions)
        return {"$ref": _REFERENCE.format(name=name)}

    def _define(self, definitions: dict[str, Any]) -> None:
        for name, definition in definitions.items():
            if self._definitions.setdefault(name, definition) != definition:
                raise _named_alike(name)


def schema_of(kind: Any) -> dict[str, Any]:
    """The self-contained JSON Schema of a type that msgspec knows."""
    (root,), definitions = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    return _with_definitions(root, definitions)


def description_of(hint: Any) -> str | None:
    """What an `Annotated` says of a type in words: `Annotated[str, "Name of the city"]`."""
    if typing.get_origin(hint) is not typing.Annotated:
        return None
    for said in hint.__metadata__:
        words = said if isinstance(said, str) else getattr(said, "description", None)
        if isinstance(words, str):
            return words
    return None


def _with_definitions(root: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """One schema of a root and what it refers to; a root that only refers is put in its place."""
    definitions = dict(definitions)
    reference = root.get("$ref", "")
    if set(root) == {"$ref"}:
        name = reference.removeprefix(_PREFIX)
        root = definitions[name]
        if reference not in msgspec.json.encode(definitions).decode():
            del definitions[name]
    return {**root, "$defs": definitions} if definitions else dict(root)


def _named_alike(name: str) -> NoJson:
    return NoJson(f"Two types are both named {name!r}: rename one of them.")


def _problems(error: msgspec.ValidationError) -> list[tuple[str, str]]:
    """What is wrong and where: as msgspec says it, or as what read that part of the value does."""
    cause, text, path = error.__cause__, str(error), "$"
    said = "" if cause is None else str(cause)  # which may end in a path of its own
    if found := _PATH.fullmatch(text, len(said)):
        text, path = said + found["words"], found["path"]
    if isinstance(cause, Mismatch):
        return [(words, path + inner.removeprefix("$")) for words, inner in cause.problems]
    if cause is not None and len(cause.args) > 1 and isinstance(cause.args[0], str):
        text = cause.args[0]  # as the validators of attrs raise it, with what they have checked
    return [(text, path)]


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "`null`"
        case dict():
            return "`object`"
        case list():
            return "`array`"
    return f"`{type(value).__name__}`"
