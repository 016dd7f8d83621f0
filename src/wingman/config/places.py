"""Places: in which line of a TOML file a key stands.

It is asked only where there is something to tell: reading a file needs no lines.
"""

import tomllib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wingman.config.mistakes import Keys

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["line_of", "lines_of"]


def lines_of(data: bytes) -> Mapping[Keys, int]:
    """The line of each key, table and element of a list in a file that is valid TOML."""
    # Two grammars in C, for one who has made a mistake.
    import tree_sitter_toml  # noqa: PLC0415
    from tree_sitter import Language, Parser  # noqa: PLC0415

    parser = Parser(Language(tree_sitter_toml.language()))
    lines: dict[Keys, int] = {}
    for keys, line in _document(parser.parse(data).root_node):
        lines.setdefault(keys, line)
    return lines


def line_of(lines: Mapping[Keys, int], keys: Keys) -> int | None:
    """The line of the place, or of the nearest one around it."""
    while keys:
        if keys in lines:
            return lines[keys]
        keys = keys[:-1]
    return None


def _document(root: "Node") -> Iterator[tuple[Keys, int]]:
    counts: dict[Keys, int] = {}  # of the tables in a list of tables
    for node in root.named_children:
        match node.type:
            case "pair":
                yield from _pair(node, ())
            case "table" | "table_array_element":
                header, *pairs = (part for part in node.named_children if part.type != "comment")
                keys = _through_lists(_keys(header), counts)
                if node.type == "table_array_element":
                    counts[keys] = counts.get(keys, -1) + 1
                    yield keys, _line(header)
                    keys = (*keys, counts[keys])
                yield from _with_parents(keys, 0, _line(header))
                for pair in pairs:
                    yield from _pair(pair, keys)


def _through_lists(keys: Keys, counts: Mapping[Keys, int]) -> Keys:
    """A header's keys, which mean the last table of each list that they go through."""
    through: Keys = ()
    for key in keys:
        if through in counts:
            through = (*through, counts[through])
        through = (*through, key)
    return through


def _pair(node: "Node", within: Keys) -> Iterator[tuple[Keys, int]]:
    key, value, *_ = (part for part in node.named_children if part.type != "comment")
    keys = (*within, *_keys(key))
    yield from _with_parents(keys, len(within), _line(key))
    yield from _value(value, keys)


def _value(node: "Node", keys: Keys) -> Iterator[tuple[Keys, int]]:
    parts = [part for part in node.named_children if part.type != "comment"]
    if node.type == "array":
        for index, part in enumerate(parts):
            yield (*keys, index), _line(part)
            yield from _value(part, (*keys, index))
    elif node.type == "inline_table":
        for part in parts:
            yield from _pair(part, keys)


def _with_parents(keys: Keys, known: int, line: int) -> Iterator[tuple[Keys, int]]:
    for end in range(known + 1, len(keys) + 1):
        yield keys[:end], line


def _keys(node: "Node") -> tuple[str, ...]:
    if node.type == "dotted_key":
        return tuple(key for part in node.named_children for key in _keys(part))
    text = (node.text or b"").decode()
    if node.type == "quoted_key":
        return (str(tomllib.loads(f"key = {text}")["key"]),)
    return (text,)


def _line(node: "Node") -> int:
    return node.start_point.row + 1
