"""A history as an API's JSON, written once: what was written for a request serves the next one.

Each API has a `Writer`, which makes its turns of messages, one after the other. A `History` feeds
it, holds the JSON of all turns that are complete, and writes for each request but those that came
since, and the last message, which may yet be another one or have a mark of its own.
"""

import copy
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from operator import is_
from typing import Any, Final, Protocol, TypeAlias

import attrs
import msgspec
import trio

from wingman.conversation import Message
from wingman.providers.base import Request

__all__ = ["History", "Outline", "SameRole", "Turn", "Writer", "body_of", "written"]

Turn: TypeAlias = dict[str, Any]

_encode: Final = msgspec.json.Encoder().encode

_A_SLICE: Final = 64  # messages, after which others have their turn
_A_SLICE_BYTES: Final = 256 * 1024


class Writer(Protocol):
    """How an API has a history: messages in, the turns of its JSON out.

    A shallow copy of it (`copy.copy`) goes on by itself, so it changes no list or dict that it
    holds, but for names and ids of calls, which are the same in all of one history.
    """

    def add(self, message: Message) -> Iterable[Turn]:
        """Take the next message; return the turns that are complete by it."""

    def rest(self) -> Iterable[Turn]:
        """The turns that are not complete, as they are sent where no message follows."""


class SameRole:
    """A writer's last turn, which is open: what has the same role is joined to it."""

    def __init__(self, field: str) -> None:
        self._field = field
        self.open: Turn | None = None

    def follow(self, role: str, content: list[Turn]) -> Iterable[Turn]:
        """Take a role's content, if it is any; return the turn before it where that is complete."""
        before = self.open
        if not content:
            return ()
        if before is not None and before["role"] == role:
            self.open = {"role": role, self._field: [*before[self._field], *content]}
            return ()
        self.open = {"role": role, self._field: content}
        return () if before is None else (before,)


@attrs.frozen
class Outline:
    """A request but for its history. `values` is the JSON around it; in its field `name` stands
    what comes before the turns.

    `key` is all that the writing of messages depends on: for the same key the same is written.
    """

    values: dict[str, Any]
    name: str
    key: Hashable
    writer: Callable[[], Writer]


class History:
    """The messages of one conversation as JSON. `ids` are those of all tool calls in it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._written: list[Message] = []
        self._pieces: list[bytes] = []
        self.ids: set[str] = set()
        self.size = 0

    def precedes(self, messages: Sequence[Message]) -> bool:
        """Whether all that is written here are the first of these messages: the very same."""
        known = self._written
        return len(known) < len(messages) and all(map(is_, known, messages))

    async def grow(self, messages: Sequence[Message]) -> None:
        """Write these messages, but for the last one. Others have their turn within a long one."""
        turns: list[bytes] = []
        begun = size = 0
        for message in messages[len(self._written) : -1]:
            new = [*map(_encode, self._writer.add(message))]
            self.ids.update(use.id for use in message.tool_uses)
            self._written.append(message)
            turns += new
            begun, size = begun + 1, size + sum(map(len, new))
            if begun == _A_SLICE or size >= _A_SLICE_BYTES:
                self._hold(turns)
                turns, begun, size = [], 0, 0
                await trio.lowlevel.checkpoint()
        self._hold(turns)

    def with_last(self, message: Message) -> list[bytes]:
        """The turns' JSON, in pieces, as it is with this last message."""
        writer = copy.copy(self._writer)
        turns = [*map(_encode, writer.add(message))]
        turns += map(_encode, writer.rest())
        return [*self._pieces, *self._joined(turns)]

    def _hold(self, turns: list[bytes]) -> None:
        """Add to the pieces, which are few: each is at least twice as long as the next."""
        pieces = self._pieces
        pieces += self._joined(turns)
        while len(pieces) > 1 and len(pieces[-2]) < 2 * len(pieces[-1]):
            pieces[-2:] = [pieces[-2] + pieces[-1]]
        self.size = sum(map(len, pieces)) + 8 * len(self._written)

    def _joined(self, turns: list[bytes]) -> list[bytes]:
        if not turns:
            return []
        return [b",".join([b"", *turns] if self._pieces else turns)]


async def written(outline: Outline, request: Request) -> tuple[list[bytes], Collection[str]]:
    """The body of a request, in pieces, and the ids of the tool calls in its history.

    What the request's conversation keeps is used, and goes on being kept.
    """
    kept, messages = request.kept, request.messages
    history: History | None = None if kept is None else kept.take(outline.key)
    if history is None or not history.precedes(messages):
        history = History(outline.writer())
    turns: list[bytes] = []
    ids: Collection[str] = history.ids
    if messages:
        await history.grow(messages)
        turns = history.with_last(messages[-1])
        if calls := messages[-1].tool_uses:
            ids = {*ids, *(use.id for use in calls)}
    if kept is not None:
        kept.put(outline.key, history, history.size)
    return _around(outline, turns), ids


def body_of(outline: Outline, messages: Iterable[Message]) -> dict[str, Any]:
    """The body of one request as a value."""
    writer = outline.writer()
    turns = [turn for message in messages for turn in writer.add(message)]
    before = outline.values[outline.name]
    return outline.values | {outline.name: [*before, *turns, *writer.rest()]}


def _around(outline: Outline, turns: list[bytes]) -> list[bytes]:
    values, name = outline.values, outline.name
    at = list(values).index(name) + 1
    before, after = list(values.items())[:at], list(values.items())[at:]
    head = _encode(dict(before)).removesuffix(b"]}")
    if values[name] and turns:
        head += b","
    foot = b"]," + _encode(dict(after))[1:] if after else b"]}"
    return [head, *turns, foot]
