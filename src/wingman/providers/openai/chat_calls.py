"""The tool calls of a chat completion, put together out of their pieces: pure, no network.

OpenAI gives each call an index, and an id and a name with its first piece. What other servers do is
understood: no index, one index for all, no id, an id or a name with each piece, one id for all, a
call that comes whole, arguments that are an object. The id tells first which call a piece belongs
to, then the index, and a name that is new begins a call. Where no id is given, and
no index that tells, a name that comes again begins one if arguments follow it, or if
it stands in the same list and neither has any.
"""

from collections.abc import Iterable
from typing import Any

import attrs
import msgspec

from wingman.providers.wire import Characters, Json, arguments_text, fields, index, text, word

__all__ = ["ChatCall", "ChatCalls"]


@attrs.define(eq=False)
class ChatCall:
    """A tool call as it grows."""

    id: str = ""
    name: str = ""
    index: int | None = None
    _pieces: list[str] = attrs.field(factory=list)  # of the arguments: there may be many
    _characters: Characters = attrs.field(factory=Characters)

    @property
    def arguments(self) -> str:
        """The arguments so far."""
        return "".join(self._pieces)

    @property
    def is_whole(self) -> bool:
        """Whether the arguments so far are an object, so that nothing can follow."""
        if not self._pieces or not self._pieces[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(msgspec.json.decode(self.arguments), dict)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False

    def grow(self, piece: "_Piece") -> None:
        """Take a piece."""
        self.id = self.id or piece.id
        self.name = self.name or piece.name
        if self.index is None:
            self.index = piece.index
        if piece.comes_whole:
            self._pieces = [piece.arguments]
        elif arguments := self._characters.feed(piece.arguments):
            self._pieces.append(arguments)


class ChatCalls:
    """The calls of one completion, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[ChatCall] = []
        self._by_id: dict[str, ChatCall] = {}
        self._by_index: dict[int, ChatCall] = {}
        self._again: _Piece | None = None  # a name that came again, after a call that is whole

    def feed(self, deltas: Iterable[Json]) -> None:
        """Take a delta's `tool_calls`."""
        bare = False  # whether a call without id, index and arguments has begun in this list
        for piece in map(_Piece.of, deltas):
            is_bare = not piece.id and piece.index is None
            if bare and is_bare and piece.name and not piece.arguments:
                self._take(piece, None)
            elif (call := self._known(piece)) is not None and _may_begin(call, piece):
                self._again = piece
            elif self._again is not None and _follows(self._again, piece):
                self._take(self._again, None)
                self._take(piece, self.all[-1])
            else:
                self._take(piece, call)
            bare = is_bare and bool(piece.name) and not self.all[-1].arguments

    def _take(self, piece: "_Piece", call: ChatCall | None) -> None:
        self._again = None
        if call is None:
            call = ChatCall()
            self.all.append(call)
        elif _is_repeated(call, piece):
            return
        call.grow(piece)
        if piece.id:
            self._by_id[piece.id] = call
        if piece.index is not None:
            self._by_index[piece.index] = call

    def _known(self, piece: "_Piece") -> ChatCall | None:
        """The call that a piece goes on with; None where it begins one."""
        call = self._by_id.get(piece.id) if piece.id else None
        if call is not None:
            # One id for all, with an index for each: there it is the index that tells.
            another = None not in (piece.index, call.index) and piece.index != call.index
            if another:
                call = self._by_index.get(piece.index or 0)
                return None if call is None or _begins(call, piece) else call
            return None if _begins(call, piece) else call
        if piece.index is not None:
            call = self._by_index.get(piece.index)
        elif self.all:
            call = self.all[-1]
        if call is None or (piece.id and call.id and piece.name):
            return None
        return None if _begins(call, piece) else call


@attrs.frozen
class _Piece:
    """One element of a delta's `tool_calls`."""

    id: str
    name: str
    index: int | None
    arguments: str
    comes_whole: bool

    @classmethod
    def of(cls, delta: Json) -> "_Piece":
        function = fields(delta.get("function")) or delta
        given: Any = function.get("arguments")
        whole = given is not None and not isinstance(given, str)
        return cls(
            word(delta.get("id")),
            word(function.get("name")),
            index(delta.get("index")),
            arguments_text(given) if whole else text(given, "a call's arguments"),
            whole,
        )


def _begins(call: ChatCall, piece: _Piece) -> bool:
    """Whether a piece that could go on with a call begins another one."""
    if not piece.name or not call.name:
        return False
    if piece.name != call.name:
        return True
    if piece.id and piece.id == call.id and piece.arguments == call.arguments:
        return False
    # The same name again comes with each piece of one call, or with the next call of the tool.
    return bool(piece.arguments) and call.is_whole


def _may_begin(call: ChatCall, piece: _Piece) -> bool:
    """Whether a name comes again, alone, after a call that is whole: what follows it will tell."""
    alone = not piece.arguments and (not piece.id or piece.id != call.id)
    return alone and bool(piece.name) and call.is_whole


def _follows(again: _Piece, piece: _Piece) -> bool:
    """Whether a piece has the first arguments for a name that came again."""
    bare = not piece.id and not piece.name and piece.index == again.index
    return bare and bool(piece.arguments)


def _is_repeated(call: ChatCall, piece: _Piece) -> bool:
    """Whether a call that is whole comes again as a whole, as at the end of some streams."""
    same = bool(piece.id) and piece.id == call.id and piece.arguments == call.arguments
    return same and call.is_whole
