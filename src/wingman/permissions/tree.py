"""Tree: the simple commands in the tree that tree-sitter makes of a line.

`structure_of` tells them only where the tree and the tokens agree on every token of the line.
`visible` tells what can be seen in any tree.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from wingman.permissions.words import Token, Word, guessed

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["Found", "Visible", "structure_of", "visible"]


@attrs.frozen
class Found:
    """A simple command: its words, its redirections and those of what is around it.

    `loops` are the heads of the loops that it stands in, and `pipeline` the pipeline, as written.
    """

    words: tuple[Word, ...]
    redirections: tuple[Token, ...] = ()
    loops: tuple[str, ...] = ()
    pipeline: str = ""


@attrs.frozen
class Visible:
    """What can be seen in a line that is not understood: commands, and files by redirection."""

    commands: tuple[Found, ...]
    files: tuple[Token, ...]


# What is made of statements and the words and signs between them.
_OF_STATEMENTS: Final = frozenset(
    {"program", "list", "pipeline", "negated_command", "subshell", "compound_statement"}
    | {"if_statement", "elif_clause", "else_clause", "while_statement", "do_group"}
)
_OPENING: Final = frozenset({"if", "then", "elif", "else", "while", "until", "do", "{", "!"})
_CLOSING: Final = frozenset({"fi", "done", "}"})
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\+?=|\[)")
# A loop's variable may be one that programs look at: PATH, IFS, LD_PRELOAD, https_proxy.
_LOOP_NAME: Final = re.compile(r"(?!.*_proxy$)[a-z][a-z0-9_]*|[A-Z]")


@attrs.frozen
class _Around:
    redirections: tuple[Token, ...] = ()
    loops: tuple[str, ...] = ()
    pipeline: str = ""


class _Disagree(Exception):
    """The tree is not what the tokens say, or holds what is not understood."""


def structure_of(root: "Node", text: str, tokens: Sequence[Token]) -> tuple[Found, ...] | None:
    """The simple commands of a line. None: not all of it is understood."""
    if root.has_error:
        return None
    try:
        return _Reading(text, tokens).commands_of(root)
    except _Disagree:
        return None


class _Reading:
    """One reading of a tree: each token gets the one role that the tree has for it."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = {token.start: place for place, token in enumerate(tokens)}
        self._roles = [""] * len(tokens)
        self._found: list[Found] = []

    def commands_of(self, root: "Node") -> tuple[Found, ...]:
        stack = [(root, _Around())]
        while stack:
            node, around = stack.pop()
            kind = node.type
            if kind in _OF_STATEMENTS:
                if kind == "pipeline" and not around.pipeline:
                    source = self._text[node.start_byte : node.end_byte]
                    around = attrs.evolve(around, pipeline=source)
                stack += [(each, around) for each in reversed([*self._parts(node.children)])]
            elif kind in ("command", "test_command"):
                self._command(node, around)
            elif kind == "redirected_statement":
                body = node.child_by_field_name("body")
                if body is None or body.type in ("command", "test_command"):
                    self._command(node, around)
                else:
                    stack.append((body, self._redirected(node, body, around)))
            elif kind == "for_statement":
                stack.append(self._loop(node, around))
            elif kind != "comment":
                raise _Disagree
        self._check()
        return tuple(self._found)

    def _parts(self, nodes: Sequence["Node"]) -> Iterator["Node"]:
        """The nodes that have a name; the others are signs and words of the grammar."""
        for node in nodes:
            if node.is_named:
                yield node
            elif node.type != "\n":
                self._take(self._place(node), node.type)

    def _place(self, node: "Node") -> int:
        place = self._at.get(node.start_byte)
        if place is None or self._tokens[place].end != node.end_byte:
            raise _Disagree
        return place

    def _take(self, place: int, sign: str) -> None:
        token = self._tokens[place] if place < len(self._tokens) else None
        if token is None or self._roles[place] or token.source != sign:
            raise _Disagree
        if token.kind == "operator":
            self._roles[place] = "operator"
        elif sign in _OPENING or sign in _CLOSING:
            self._roles[place] = "opening" if sign in _OPENING else "closing"
        else:
            raise _Disagree

    def _range(self, start: int, end: int) -> range:
        """The places of the tokens from one byte to another; they begin and end exactly there."""
        first = place = self._at.get(start)
        if first is None or place is None:
            raise _Disagree
        while place < len(self._tokens) and self._tokens[place].end < end:
            place += 1
        if place == len(self._tokens) or self._tokens[place].end != end:
            raise _Disagree
        return range(first, place + 1)

    def _command(self, node: "Node", around: _Around) -> None:
        places = self._range(node.start_byte, node.end_byte)
        tokens = [self._tokens[place] for place in places]
        if any(token.kind == "operator" or token.source in ("{", "}") for token in tokens):
            raise _Disagree
        named = [token for token in tokens if token.kind == "word"]
        if not named or _ASSIGNMENT.match(named[0].source):
            raise _Disagree
        for place in places:
            if self._roles[place]:
                raise _Disagree
            self._roles[place] = "command"
        self._roles[places[0]] = "first"
        words = tuple(token.word for token in named if token.word is not None)
        redirections = tuple(token for token in tokens if token.kind == "redirection")
        self._found.append(
            Found(words, redirections + around.redirections, around.loops, around.pipeline)
        )

    def _redirected(self, node: "Node", body: "Node", around: _Around) -> _Around:
        tokens: list[Token] = []
        for child in node.children:
            if child == body:
                continue
            if child.type != "file_redirect":
                raise _Disagree
            for place in self._range(child.start_byte, child.end_byte):
                if self._roles[place] or self._tokens[place].kind != "redirection":
                    raise _Disagree
                self._roles[place] = "redirection"
                tokens.append(self._tokens[place])
        return attrs.evolve(around, redirections=(*tokens, *around.redirections))

    def _loop(self, node: "Node", around: _Around) -> tuple["Node", _Around]:
        """`for NAME in WORDS; do …; done`."""
        body = node.child_by_field_name("body")
        place = self._at.get(node.start_byte)
        if body is None or body.type != "do_group" or place is None:
            raise _Disagree
        head = []
        while place < len(self._tokens) and self._tokens[place].start < body.start_byte:
            if self._roles[place]:
                raise _Disagree
            head.append(self._tokens[place])
            self._roles[place] = "operator" if head[-1].kind == "operator" else "head"
            place += 1
        ends = [at for at, token in enumerate(head) if token.kind != "word"]
        known = head[: ends[0]] if ends else []
        signs = {token.source for token in head[len(known) :]}
        if (
            len(known) < 3
            or known[0].source != "for"
            or not _LOOP_NAME.fullmatch(known[1].source)
            or known[2].source != "in"
            or not signs <= {";", "\n"}
            or any(token.source in ("{", "}") for token in known)
        ):
            raise _Disagree
        self._roles[place - len(head)] = "opening"
        shown = " ".join(token.word.shown for token in known if token.word is not None)
        return body, attrs.evolve(around, loops=(*around.loops, shown))

    def _check(self) -> None:
        """Every token has a role, and a command begins and ends where bash has it so."""
        before, sign = "operator", ""
        for token, role in zip(self._tokens, self._roles, strict=True):
            separates = before in ("operator", "opening") and sign != ")"
            if token.source == "\n" and token.kind == "operator":
                role = role or "operator"
            if not role:
                raise _Disagree
            if (role in ("first", "opening") or token.source == "(") and not separates:
                raise _Disagree
            if role == "closing" and before in ("first", "command", "head"):
                raise _Disagree
            if role == "operator" and before == "opening" and token.source not in "\n(":
                raise _Disagree
            before, sign = role, token.source


def visible(root: "Node", text: str) -> Visible:
    """The commands and files that stand in a tree, inside of substitutions too."""
    commands: list[Found] = []
    files: list[Token] = []
    stack = [root]
    while stack:
        node = stack.pop()
        children = node.children
        stack += reversed(children)
        if node.type in ("command", "declaration_command", "unset_command"):
            words = tuple(_words(node.type, children, text))
            if words:
                commands.append(Found(words))
        elif node.type == "file_redirect":
            signs = [text[each.start_byte : each.end_byte] for each in children]
            source = next((sign for sign in signs if sign[:1] in "<>&"), ">")
            word = guessed(signs[-1])
            files.append(Token("redirection", node.start_byte, node.end_byte, source, word))
    return Visible(tuple(commands), tuple(files))


def _words(kind: str, nodes: Sequence["Node"], text: str) -> Iterator[Word]:
    begun = kind != "command"
    for node in nodes:
        begun = begun or node.type == "command_name"
        if begun and "redirect" not in node.type and node.start_byte < node.end_byte:
            yield guessed(text[node.start_byte : node.end_byte])
