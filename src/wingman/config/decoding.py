"""Decoding: from the bytes of a file to a `Configuration`, or to all of its mistakes."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from wingman.config.form import FORM, Configuration
from wingman.config.mistakes import Keys, Mistake
from wingman.config.places import line_of, lines_of
from wingman.config.variables import expanded
from wingman.nearest import nearest

__all__ = ["Undecodable", "decode", "with_lines"]

_PLACE: Final = re.compile(r"^(?P<text>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_AT: Final = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")

# What msgspec calls values, and what people do who write TOML.
_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date",
    "date": "a date",
    "time": "a time",
}
_KIND: Final = f"(?:{'|'.join(_WORDS)})"
_KINDS: Final = re.compile(rf"`({_KIND}(?: \| {_KIND})*)`")


class Undecodable(Exception):
    """A file that says no `Configuration`; `mistakes` are all that were found."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(mistakes)
        self.mistakes = mistakes


def decode(data: bytes, environment: Mapping[str, str]) -> Configuration:
    """The configuration that a file says, with what `${NAME}` stands for in the environment.

    Raises `Undecodable`.
    """
    table = _parsed(data)
    mistakes: list[Mistake] = []
    table = expanded(table, environment, mistakes)
    unset = [mistake.keys for mistake in mistakes]
    mistakes += (
        problem
        for problem in _problems(table, Configuration, ())
        # Without a variable's value, more cannot be said of what it is a part of.
        if not any(keys[: len(problem.keys)] == problem.keys for keys in unset)
    )
    if mistakes:
        raise Undecodable(with_lines(data, mistakes))
    return msgspec.convert(table, Configuration)


def with_lines(data: bytes, mistakes: list[Mistake]) -> list[Mistake]:
    """The mistakes with their lines, in the order of the file."""
    lines = lines_of(data)
    placed = [Mistake(each.text, each.keys, line_of(lines, each.keys)) for each in mistakes]
    return sorted(placed, key=lambda mistake: mistake.line or 0)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Undecodable([Mistake("It is not UTF-8.", line=line)]) from error
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        text = str(error) if at is None else str(error)[: at.start()]
        end = data.rstrip().count(b"\n") + 1
        line = end if at is None or at["line"] is None else int(at["line"])
        raise Undecodable([Mistake(f"It is no TOML: {text}.", line=line)]) from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits; 1,000 brackets
        raise Undecodable([Mistake(f"It is no TOML that can be read: {error}.")]) from error


def _problems(value: Any, kind: Any, keys: Keys) -> list[Mistake]:
    """All that is wrong with a value that is to be of a type; of its parts first."""
    if isinstance(value, float) and math.isnan(value):
        return [Mistake("nan is no number.", keys)]
    found = list(_within(value, kind, keys))
    if found:
        return found
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return [_mistake(error, value, kind, keys)]
    return []


def _within(value: Any, kind: Any, keys: Keys) -> Iterator[Mistake]:
    for each in _members(kind):
        origin = get_origin(each)
        if isinstance(value, dict) and isinstance(each, type) and issubclass(each, msgspec.Struct):
            yield from _of_table(value, each, keys)
        elif isinstance(value, dict) and origin is dict:
            name, inner = get_args(each)
            for key, part in value.items():
                yield from _of_name(key, name, (*keys, key))
                yield from _problems(part, inner, (*keys, key))
        elif isinstance(value, list) and origin is tuple:
            for index, part in enumerate(value):
                yield from _problems(part, get_args(each)[0], (*keys, index))


def _of_table(table: dict[str, Any], kind: type[msgspec.Struct], keys: Keys) -> Iterator[Mistake]:
    hints = get_type_hints(kind, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key in fields:
            yield from _problems(value, hints[fields[key].name], (*keys, key))
        else:
            yield Mistake(f"There is no such key{nearest(key, list(fields))}", (*keys, key))
    for name, field in fields.items():
        if field.required and name not in table:
            yield Mistake(f"It lacks the key {name!r}.", keys)


def _of_name(key: str, kind: Any, keys: Keys) -> Iterator[Mistake]:
    try:
        msgspec.convert(key, kind)
    except msgspec.ValidationError:
        yield Mistake(f"{key[:100]!r} cannot be a name here: expected {_said(kind)}.", keys)


def _members(kind: Any) -> tuple[Any, ...]:
    """The types of which a value may be one."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        return tuple(member for each in get_args(kind) for member in _members(each))
    return (kind,)


def _mistake(error: msgspec.ValidationError, value: Any, kind: Any, keys: Keys) -> Mistake:
    found = _PLACE.match(str(error))
    text, path = (found["text"], found["path"]) if found else (str(error), None)
    if not path and isinstance(value, str) and (choices := _choices(kind)):
        text = f"Expected one of {', '.join(choices)}{nearest(value, choices)}"
        return Mistake(text, keys)
    if " matching regex " in text and not path:
        text = f"Expected {_said(kind)}"
    text = _KINDS.sub(lambda kinds: _plain(kinds[1]), text)
    return Mistake(text.rstrip(".") + ".", (*keys, *_keys(path or "")))


def _plain(kinds: str) -> str:
    return " or ".join(_WORDS[kind] for kind in kinds.split(" | "))


def _choices(kind: Any) -> list[str]:
    """The texts that a value may be, where it may be no other."""
    return [
        choice
        for each in _members(kind)
        if get_origin(each) is Literal
        for choice in get_args(each)
    ]


def _said(kind: Any) -> str:
    """What a text is to be, in the words that its type has for its pattern."""
    said = [meta.extra[FORM] for meta in _metas(kind) if meta.extra and FORM in meta.extra]
    return str(said[0]) if said else "a text of another form"


def _metas(kind: Any) -> Iterator[msgspec.Meta]:
    if get_origin(kind) is Annotated:
        yield from (meta for meta in get_args(kind)[1:] if isinstance(meta, msgspec.Meta))
        yield from _metas(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for each in get_args(kind):
            yield from _metas(each)


def _keys(path: str) -> Iterator[str | int]:
    """The keys of a path of msgspec's, as far as it tells them."""
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path.partition("[...]")[0]):
        yield int(index) if index else key
